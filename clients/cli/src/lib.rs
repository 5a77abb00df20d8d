//! The commands that only talk to a running Groundplane: `env`, `status`, `attach`, `counters`, `logs`, `why`, `report`,
//! `dial`, `demo`.
//!
//! They speak HTTP over the admin socket in the run directory (root only) and never look into the store or the kernel.

pub mod admin;
pub mod attach;
pub mod counters;
pub mod demo;
pub mod dial;
pub mod env;
pub mod logs;
pub mod place;
pub mod report;
pub mod status;
pub mod why;

/// How a command shows facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Text,
    Json,
}
