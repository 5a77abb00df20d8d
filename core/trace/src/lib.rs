//! `trace(world, connections, ingress, packet, now) -> Path`: the only place that knows who may talk to whom.
//!
//! ```text
//! packet → depart: source check → security group out → route (network ACL out) → gateways
//!        → arrive: network ACL in → destination check → security group in → deliver
//! ```

mod connection;
mod drop_reason;
mod path;

pub use connection::{Connection, Connections, NoConnections};
pub use drop_reason::DropReason;
pub use path::*;

use serde::Serialize;

/// The stages in the order in which a packet meets them. Their names are metric labels, trace output and headings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    LocalService,
    SourceCheck,
    SecurityGroupOut,
    NetworkAclOut,
    Route,
    InternetGateway,
    NetworkAclIn,
    SecurityGroupIn,
    DestinationCheck,
    Deliver,
}
