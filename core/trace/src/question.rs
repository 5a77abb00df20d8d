//! Questions of people: would this packet arrive, and would its answer come back?

use crate::neighborhood::router_mac;
use crate::{Connection, Connections, Effect, Path, TraceError, Tracker, Verdict, neighbor_mac, trace};
use gp_model::{Eni, EniId, NatGatewayId, Timestamp, World};
use gp_wire::build::{self, Ends};
use gp_wire::{FiveTuple, IpPacket, Packet, TcpFlags, Transport, icmp, protocol};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// Source port of questions: ephemeral for Linux and for Windows, so that it asks what a real client would.
const EPHEMERAL_PORT: u16 = 49152;
/// Identifier of the echo requests of questions.
const ECHO_ID: u16 = 1;

/// What a question sends. Written `tcp/80`, `udp/53`, `icmp` (an echo request of the address family), or a protocol's
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    Tcp { port: u16 },
    Udp { port: u16 },
    Echo,
    Protocol(u8),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not traffic: write tcp/PORT, udp/PORT, icmp or a protocol's number")]
pub struct ParseProbeError(String);

impl FromStr for Probe {
    type Err = ParseProbeError;
    fn from_str(text: &str) -> Result<Self, ParseProbeError> {
        let malformed = || ParseProbeError(text.to_owned());
        let lower = text.to_ascii_lowercase();
        match lower.split_once('/') {
            Some(("tcp", port)) => Ok(Self::Tcp { port: port.parse().map_err(|_| malformed())? }),
            Some(("udp", port)) => Ok(Self::Udp { port: port.parse().map_err(|_| malformed())? }),
            Some(_) => Err(malformed()),
            None if matches!(lower.as_str(), "icmp" | "icmpv6" | "ping") => Ok(Self::Echo),
            None => match lower.parse().map_err(|_| malformed())? {
                // These can't be asked for without more than the number.
                protocol::TCP | protocol::UDP => Err(malformed()),
                protocol::ICMP | protocol::ICMPV6 => Ok(Self::Echo),
                number => Ok(Self::Protocol(number)),
            },
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { port } => write!(f, "tcp/{port}"),
            Self::Udp { port } => write!(f, "udp/{port}"),
            Self::Echo => f.write_str("icmp"),
            Self::Protocol(number) => write!(f, "{number}"),
        }
    }
}

/// The first packet that the guest behind `from` would send to `to`.
///
/// # Errors
/// `UnknownEni`, and `NoSourceAddress` if the ENI has no address of that family.
pub fn question(world: &World, from: EniId, to: IpAddr, probe: Probe) -> Result<Packet, TraceError> {
    let eni = world.eni(from).ok_or(TraceError::UnknownEni(from))?;
    let src = source_address(eni, to).ok_or(TraceError::NoSourceAddress(from, to))?;
    let dst_mac = neighbor_mac(world, eni, to).unwrap_or_else(|| router_mac(eni.subnet));
    let ends = Ends { src_mac: eni.mac, dst_mac, src, dst: to };
    Ok(Packet::Ip(match probe {
        Probe::Tcp { port } => build::tcp(ends, EPHEMERAL_PORT, port, TcpFlags(TcpFlags::SYN), 0),
        Probe::Udp { port } => build::udp(ends, EPHEMERAL_PORT, port, 0),
        Probe::Echo => build::icmp_echo(ends, ECHO_ID, 0),
        Probe::Protocol(number) => build::other(ends, number, 0),
    }))
}

/// The address that a guest would take for a packet to `to`: its first one, single before delegated.
fn source_address(eni: &Eni, to: IpAddr) -> Option<IpAddr> {
    match to {
        IpAddr::V4(_) => {
            let delegated = || eni.ipv4_prefixes.first().map(|prefix| prefix.network());
            eni.primary_ipv4().or_else(delegated).map(IpAddr::V4)
        }
        IpAddr::V6(a) if a.is_unicast_link_local() || a.is_multicast() => Some(eni.mac.link_local().into()),
        IpAddr::V6(_) => {
            let delegated = || eni.ipv6_prefixes.first().map(|prefix| prefix.network());
            eni.ipv6.first().copied().or_else(delegated).map(IpAddr::V6)
        }
    }
}

/// The answer to a question: the way of its packet and, if that arrives, the way of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    pub forward: Path,
    pub reply: Option<Path>,
}

impl Why {
    /// Would the two ends understand each other?
    pub fn is_reachable(&self) -> bool {
        let delivered = |path: &Path| matches!(path.verdict(), Verdict::Deliver { .. });
        delivered(&self.forward) && self.reply.as_ref().is_some_and(delivered)
    }
}

/// Traces the packet of a [`question`] and, if it is delivered, the receiver's answer, as if the first had opened its
/// connections: a stateless list may stop the answer although it let the question pass.
///
/// # Errors
/// As [`question`] and [`trace`].
pub fn why(
    world: &World,
    connections: &dyn Connections,
    from: EniId,
    to: IpAddr,
    probe: Probe,
    now: Timestamp,
) -> Result<Why, TraceError> {
    let packet = question(world, from, to, probe)?;
    let forward = trace(world, connections, from, &packet, now)?;
    let reply = match (forward.verdict(), &packet) {
        (Verdict::Deliver { eni, .. }, Packet::Ip(packet)) => {
            let opened = Opened { earlier: connections, effects: forward.effects() };
            let answer = answer_to(world, *eni, packet)?;
            Some(trace(world, &opened, *eni, &Packet::Ip(answer), now)?)
        }
        _ => None,
    };
    Ok(Why { forward, reply })
}

fn answer_to(world: &World, receiver: EniId, packet: &IpPacket) -> Result<IpPacket, TraceError> {
    let eni = world.eni(receiver).ok_or(TraceError::UnknownEni(receiver))?;
    let tuple = packet.tuple.reversed();
    let transport = match packet.transport {
        Transport::Tcp { .. } => Transport::Tcp { flags: TcpFlags(TcpFlags::SYN | TcpFlags::ACK) },
        Transport::Icmp { id, .. } => {
            let is_ipv4 = tuple.src.is_ipv4();
            Transport::Icmp { icmp_type: if is_ipv4 { icmp::ECHO_REPLY } else { icmp::V6_ECHO_REPLY }, code: 0, id }
        }
        other => other,
    };
    let dst_mac = neighbor_mac(world, eni, tuple.dst).unwrap_or_else(|| router_mac(eni.subnet));
    Ok(IpPacket { src_mac: eni.mac, dst_mac, tuple, transport, ..packet.clone() })
}

/// The connections that were there, and those that a path opens.
struct Opened<'a> {
    earlier: &'a dyn Connections,
    effects: &'a [Effect],
}

impl Connections for Opened<'_> {
    fn find(&self, tracker: Tracker, tuple: &FiveTuple) -> Option<Connection> {
        let opened = self.effects.iter().find_map(|effect| {
            let Effect::OpenConnection { tracker: opener, connection } = effect;
            (*opener == tracker && connection.has(tuple)).then_some(*connection)
        });
        opened.or_else(|| self.earlier.find(tracker, tuple))
    }

    fn free_port(
        &self,
        gateway: NatGatewayId,
        addresses: &[Ipv4Addr],
        limit: u32,
        wanted: &FiveTuple,
    ) -> Option<(Ipv4Addr, u16)> {
        self.earlier.free_port(gateway, addresses, limit, wanted)
    }
}
