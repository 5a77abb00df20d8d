//! What a trace's answer becomes on a host: a flow entry that the fast path replays; and the messages between server
//! and host.
//!
//! ```text
//! Path → FlowEntry::from_path → flow table ────→ from_eni.bpf.c
//! Pair → PairEntry::from_pair → table of pairs ─→ execute (the same in Rust)
//! ```
//!
//! Entries are plain values here and everywhere above gp-maps, which packs them for the kernel's tables (`pack.rs`).
//!
//! Promises: an entry comes from a `Path` and from nothing else; [`execute`] does to bytes and counters what the kernel
//! program does, and gp-agreement holds the two against each other.

mod connection;
mod execute;
mod flow_entry;
mod host;
mod key;
mod pack;
mod pair;
mod upcall;

pub use connection::{connection_entry, connection_of};
pub use execute::{
    Arrival, FlowTable, Gso, Outcome, PairMaps, Refill, drop_reason_of, execute, is_open, refill, refill_in_place,
    rewrite, take,
};
pub use flow_entry::{FlowEntry, HostSide, HostSides, Output, UplinkSide, buckets_of, mss, out_port, port_number};
pub use host::{HostReport, HostView, InstanceOutcome};
pub use key::{key_of, tuple_of};
pub use pack::{adjacency_of, pack_flow, pack_key, pack_pair, unpack_flow, unpack_key};
pub use pair::{PairEntry, answer_key, forward_key, pair_key_of};
pub use upcall::{Cause, Upcall};
