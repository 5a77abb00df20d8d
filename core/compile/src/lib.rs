//! `Path` → [`FlowEntry`](gp_abi::FlowValue): what the fast path replays; and the messages between server and host.

mod host;

pub use host::{HostReport, HostView, InstanceOutcome};
