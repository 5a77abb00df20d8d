//! Instances for real: started, entered, attacked, limited, stopped; and nothing left behind. Needs root; skips without.

mod attack;
mod boot;
mod common;
mod enter;
mod life;
mod limits;
mod speed;
