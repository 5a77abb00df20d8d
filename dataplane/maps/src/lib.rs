//! The kernel side of the fast path: loads the program, keeps its maps, hangs it on ENIs.
//!
//! ```text
//! Fastpath::load ─ adopts or makes ─ Flows · EniStates · DropCounters · Settings · Connections · Buckets · Allowances
//!                │                   Pairs · Grants · OpenedRing
//!                └ attach_eni: the program on ingress of a host side
//! Neighbors::load ─ the program that answers ND on the uplink's card, and its blocks
//! ```
//!
//! Flows and pairs are plain values here and above; the kernel's tables hold them packed (gp-compile's `pack.rs`), with
//! what many of them share in rows of one array (`adjacencies.rs`).
//!
//! Promises: what is pinned and attached works on without this process (nothing here detaches on drop); a second
//! process takes the pinned maps over, if they are of its own shape; a program is replaced without a gap. The handles
//! are cheap to clone, work from every thread, and answer a full table by a value. Needs Linux 5.15, CAP_BPF and
//! CAP_NET_ADMIN.

mod adjacencies;
#[cfg(test)]
mod adjacency_tests;
mod allowances;
mod attach;
mod buckets;
mod connections;
mod counters;
mod enis;
mod error;
mod flows;
mod grants;
mod loader;
mod neighbors;
mod opened;
mod pairs;
mod rows;
mod settings;
mod sys;
mod table;
#[cfg(test)]
mod tests;

pub use adjacencies::ADJACENCIES;
pub use allowances::Allowances;
pub use attach::AttachError;
pub use buckets::Buckets;
pub use connections::Connections;
pub use counters::DropCounters;
pub use enis::{EniStates, UpcallBudget};
pub use error::{LoadError, MapError};
pub use flows::Flows;
pub use grants::Grants;
pub use loader::{Capacity, Fastpath};
pub use neighbors::Neighbors;
pub use opened::OpenedRing;
pub use pairs::Pairs;
pub use settings::Settings;
