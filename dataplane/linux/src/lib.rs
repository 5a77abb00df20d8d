//! What Groundplane asks of Linux: namespaces, links, taps, raw sockets, mounts, control groups.
//!
//! Every function is idempotent: `ensure_*` makes a thing so or finds it so, `remove_*` makes it gone or finds it gone. The API is
//! synchronous and may be called from any plain thread; nothing here forks a process that then runs more than a few system calls (but
//! masquerading, which runs nft), and a thread of the caller that visits another namespace is back when the call returns, see [`NetNs::run`].
//!
//! Nothing in here decides: names, addresses and limits come from the caller.
//!
//! ```text
//! NetNs ── Links (veth, addresses, routes) ── Tap, PacketSender
//! mounts (bpffs, pins) · Cgroups (v1 and v2) · doctor (can this host do it?)
//! ```

mod cgroup;
pub mod doctor;
mod error;
mod guest;
mod join;
mod link;
mod masquerade;
pub mod mount;
mod netlink;
mod netns;
mod packet;
mod policy;
mod process;
mod record;
mod removal;
mod route;
mod tap;
#[cfg(test)]
mod testing;
mod uplink;
mod userns;

pub use cgroup::{CgroupLimits, Cgroups};
pub use error::LinuxError;
pub use guest::{
    GuestAddress, GuestConfig, add_guest_address, configure_guest, list_guest_addresses, list_own_addresses,
    remove_guest_address,
};
pub use join::{ensure_joined, ensure_tap};
pub use link::{LinkInfo, Links, Veth, VethSpec};
pub use masquerade::{Masquerade, ensure_masquerade, is_forwarding, remove_masquerade, set_forwarding};
pub use netns::NetNs;
pub use packet::PacketSender;
pub use policy::{PolicyTable, Prefix, remove_policy, retain_policies};
pub use process::{ProcessId, wait_end};
pub use record::{load_record, save_record};
pub use removal::LinkRemover;
pub use route::{FoundRoute, Route};
pub use tap::{TAP_QUEUE_PACKETS, Tap, TapDrops};
pub use uplink::{OuterEnd, configure_outer_end, make_router, read_sysctl};

/// A MAC address, as it stands in a frame.
pub type Mac = [u8; 6];
