//! Questions of people: would this packet arrive, and would its answer come back?

use crate::neighborhood::router_mac;
use crate::{Connection, Connections, Effect, Ingress, Path, TraceError, Tracker, Verdict, neighbor_mac, trace};
use gp_model::{Eni, EniId, Mac, NatGatewayId, Timestamp, World};
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

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// The guest behind this ENI.
    Eni(EniId),
    /// Somebody outside of the region, with this address.
    Outside(IpAddr),
}

impl From<EniId> for Asker {
    fn from(eni: EniId) -> Self {
        Self::Eni(eni)
    }
}

impl Asker {
    /// Where the asker's packets come in.
    pub fn ingress(self) -> Ingress {
        match self {
            Self::Eni(eni) => Ingress::Eni(eni),
            Self::Outside(_) => Ingress::Uplink,
        }
    }
}

/// The first packet that `from` would send to `to`.
///
/// # Errors
/// `UnknownEni`, `NoSourceAddress` if the ENI has no address of that family, and `TwoFamilies` if an address outside is
/// of another one.
pub fn question(world: &World, from: impl Into<Asker>, to: IpAddr, probe: Probe) -> Result<Packet, TraceError> {
    let ends = match from.into() {
        Asker::Eni(from) => {
            let eni = world.eni(from).ok_or(TraceError::UnknownEni(from))?;
            let src = source_address(eni, to).ok_or(TraceError::NoSourceAddress(from, to))?;
            let dst_mac = neighbor_mac(world, eni, to).unwrap_or_else(|| router_mac(eni.subnet));
            Ends { src_mac: eni.mac, dst_mac, src, dst: to }
        }
        Asker::Outside(src) if src.is_ipv4() != to.is_ipv4() => return Err(TraceError::TwoFamilies(src, to)),
        Asker::Outside(src) => Ends { src_mac: Mac::default(), dst_mac: Mac::default(), src, dst: to },
    };
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
        let arrives = |path: &Path| matches!(path.verdict(), Verdict::Deliver { .. } | Verdict::Uplink);
        arrives(&self.forward) && self.reply.as_ref().is_some_and(arrives)
    }
}

/// Traces the packet of a [`question`] and, if it is delivered or leaves the region, the receiver's answer, as if the first had opened its
/// connections: a stateless list may stop the answer although it let the question pass.
///
/// # Errors
/// As [`question`] and [`trace`].
pub fn why(
    world: &World,
    connections: &dyn Connections,
    from: impl Into<Asker>,
    to: IpAddr,
    probe: Probe,
    now: Timestamp,
) -> Result<Why, TraceError> {
    let from = from.into();
    let packet = question(world, from, to, probe)?;
    let forward = trace(world, connections, from.ingress(), &packet, now)?;
    let reply = match (forward.verdict(), &packet) {
        (Verdict::Deliver { eni, .. }, Packet::Ip(packet)) => {
            let opened = Opened { earlier: connections, effects: forward.effects() };
            let answer = answer_to(world, *eni, packet, &forward)?;
            Some(trace(world, &opened, *eni, &Packet::Ip(answer), now)?)
        }
        (Verdict::Uplink, Packet::Ip(packet)) => {
            let opened = Opened { earlier: connections, effects: forward.effects() };
            let answer = Packet::Ip(answer_with(packet, forward.translated().reversed()));
            Some(trace(world, &opened, Ingress::Uplink, &answer, now)?)
        }
        _ => None,
    };
    Ok(Why { forward, reply })
}

pub(crate) fn answer_to(
    world: &World,
    receiver: EniId,
    packet: &IpPacket,
    path: &Path,
) -> Result<IpPacket, TraceError> {
    let eni = world.eni(receiver).ok_or(TraceError::UnknownEni(receiver))?;
    let answer = answer_with(packet, path.translated().reversed());
    let dst_mac = neighbor_mac(world, eni, answer.tuple.dst).unwrap_or_else(|| router_mac(eni.subnet));
    Ok(IpPacket { src_mac: eni.mac, dst_mac, ..answer })
}

/// The answer to a packet, with the tuple that it has where it is given.
fn answer_with(packet: &IpPacket, tuple: FiveTuple) -> IpPacket {
    let transport = match packet.transport {
        Transport::Tcp { .. } => Transport::Tcp { flags: TcpFlags(TcpFlags::SYN | TcpFlags::ACK) },
        Transport::Icmp { id, .. } => {
            let is_ipv4 = tuple.src.is_ipv4();
            Transport::Icmp { icmp_type: if is_ipv4 { icmp::ECHO_REPLY } else { icmp::V6_ECHO_REPLY }, code: 0, id }
        }
        other => other,
    };
    IpPacket { tuple, transport, ..packet.clone() }
}

/// The connections that were there, and those that a path opens.
pub(crate) struct Opened<'a> {
    pub earlier: &'a dyn Connections,
    pub effects: &'a [Effect],
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
