//! `trace(world, connections, ingress, packet, now) -> Path`: the only place that knows who may talk to whom.
//!
//! ```text
//! packet → depart: source check → local service → security group out
//!        → way:    network ACL out → route → gateways, from place to place
//!        → arrive: network ACL in → destination check → security group in → deliver
//! ```
//!
//! Promises: the same arguments give the same path; a packet is decided by its IP addresses, whatever the frame's
//! destination MAC address (AWS forwards by IP address, too); being dropped is a verdict, an error means that no
//! decision was possible.

mod arrive;
pub mod connection;
mod decisive;
mod depart;
mod detail;
mod drop_reason;
pub mod explain;
mod journey;
mod nat_ports;
mod neighborhood;
mod pair;
mod path;
mod ports;
mod question;
mod read;
mod stage;
mod traffic;
mod way;

pub use connection::{
    Activity, Connection, Connections, DirectionActivity, NoConnections, Tracker, idle_timeout_secs,
    nat_idle_timeout_secs,
};
pub use decisive::decisive;
pub use detail::Detail;
pub use drop_reason::DropReason;
pub use nat_ports::{FIRST_NAT_PORT, NatPorts};
pub use neighborhood::{ROUTER_LINK_LOCAL, holder, neighbor_mac, resolver_ipv4, router_ipv4, router_mac};
pub use pair::{Pair, pair};
pub use path::*;
pub use question::{Asker, ParseProbeError, Probe, Why, question, why};
pub use read::Read;
pub use stage::Stage;
pub use stage::target::route_is_active;

use gp_model::{EniId, Timestamp, World};
use gp_wire::Packet;
use journey::{Journey, Stop};
use std::convert::Infallible;

/// Why no decision was possible. Never the packet's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    #[error("{0} is not in this world")]
    UnknownEni(EniId),
    #[error("{0} has no address to send to {1} from")]
    NoSourceAddress(EniId, std::net::IpAddr),
    #[error("{0} is no public address of any region")]
    NotOfARegion(std::net::IpAddr),
    #[error("{0} and {1} are of two address families")]
    TwoFamilies(std::net::IpAddr, std::net::IpAddr),
    #[error("the world names an entity that it does not hold: {0:?}")]
    Dangling(Read),
}

/// Follows a packet from the guest behind `ingress`, or from the outside, to its end.
///
/// Effects hold whatever the verdict: a connection opens when its packet has left the sender's groups, also if the
/// packet dies later, since the sender's host does not learn of that. Only a NAT gateway's connection needs a packet that
/// gets through: its ports are few.
///
/// `now` is for stages whose answer depends on the time; connections must already be judged by it.
///
/// # Errors
/// `UnknownEni` if `ingress` is not in the world, `Dangling` if an entity names another one that is not.
pub fn trace(
    world: &World,
    connections: &dyn Connections,
    ingress: impl Into<Ingress>,
    packet: &Packet,
    _now: Timestamp,
) -> Result<Path, TraceError> {
    let mut journey = Journey::new(world, connections, ingress.into(), packet);
    let Err(end) = follow(&mut journey);
    journey.finish(end)
}

/// A journey always ends.
fn follow(journey: &mut Journey<'_>) -> Result<Infallible, Stop> {
    let place = depart::depart(journey)?;
    way::walk(journey, place)
}

impl From<gp_wire::ParseError> for DropReason {
    fn from(error: gp_wire::ParseError) -> Self {
        match error {
            gp_wire::ParseError::UnsupportedEtherType(_) => DropReason::UnsupportedEtherType,
            gp_wire::ParseError::Truncated(_) | gp_wire::ParseError::Malformed(_) => DropReason::Malformed,
        }
    }
}
