//! The slow path: what happens to a packet that the flow table does not know yet, and to the table when the world
//! changes.
//!
//! ```text
//! upcall → parse → trace → effects (connections) → flow entry → the packet itself goes on
//! first packet between two peers → pair → the fast path begins the next ones → ring → flows and connections known here
//! new HostView → which reads changed → re-trace the flows that rest on them → replace their entries
//! ```
//!
//! Promises: nothing but a trace decides; when [`Engine::apply`] returns, every packet obeys the new world; bytes from
//! guests never panic and never hold more memory than the bounds in each module say; connections outlive the process.

mod adopt;
mod allowance;
mod cache;
mod change;
mod clock;
mod connections;
mod counters;
mod dropped;
mod engine;
mod expire;
mod flows;
mod fragments;
mod kernel;
mod nat;
mod note;
mod opened;
mod pairs;
mod places;
mod ports;
mod runner;
mod upcall;
mod why;

pub use allowance::Allowance;
pub use clock::Now;
pub use counters::{Counters, EniCounters, Totals};
pub use dropped::DroppedFlow;
pub use engine::Engine;
pub use gp_compile::Output;
pub use kernel::{HostKernel, Kernel, KernelError};
pub use nat::NatCounters;
pub use ports::{Port, Uplink};
pub use runner::{RunnerError, UpcallRunner};
pub use upcall::Fate;

/// Upcalls that one ENI may make. One core answers some 30,000 new flows a second in a build without optimisation
/// (measured on a busy two-core machine: 4,000 flows from one guest in 134 ms): a flooding ENI gets a third of that. What it sends at
/// once keeps its neighbours' first packets waiting, so the burst is worth some 50 ms. Who opens more connections than
/// this meets `upcall-budget` among the drops.
pub const UPCALL_BUDGET: gp_maps::UpcallBudget = gp_maps::UpcallBudget { per_second: 10_000, burst: 2_000 };

#[cfg(test)]
mod allowance_tests;
#[cfg(test)]
mod gateway_tests;
#[cfg(test)]
mod pair_tests;
#[cfg(test)]
mod portion_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
