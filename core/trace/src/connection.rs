//! Tracked connections: what makes security groups and gateways stateful, and how long they last.
//!
//! A connection belongs to one tracker. An ENI opens one when a group's rule lets a packet pass whose answer would not
//! be let pass by rules alone, and it then lets both directions pass until it has been idle for its timeout. NAT and
//! egress-only gateways open one for whatever is sent from inside.
//! Source: EC2 user guide, "Security group connection tracking"; VPC user guide, "NAT gateways".

use crate::nat_ports::NatPorts;
use gp_model::{ConnectionTracking, EgressOnlyInternetGatewayId, EniId, NatGatewayId};
use gp_wire::{FiveTuple, TcpFlags, protocol};
use std::net::Ipv4Addr;

/// Who tracks connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tracker {
    Eni(EniId),
    NatGateway(NatGatewayId),
    EgressOnlyInternetGateway(EgressOnlyInternetGatewayId),
}

/// One tracked connection of one tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// As the opening packet had it where it met the tracker.
    pub tuple: FiveTuple,
    /// Did the opening packet leave the ENI (egress) or arrive at it? Gateways open for what leaves.
    pub opened_by: gp_model::Direction,
    /// Of a NAT gateway: the tuple that the opening packet left with.
    pub translated: Option<FiveTuple>,
}

impl Connection {
    /// Is a packet with this tuple, at the connection's tracker, a part of it? A NAT gateway meets its connections
    /// as they are inside and, as answers and in quotes of ICMP errors, as they are outside.
    pub fn has(&self, tuple: &FiveTuple) -> bool {
        let is_either = |of: &FiveTuple| of == tuple || of.reversed() == *tuple;
        is_either(&self.tuple) || self.translated.as_ref().is_some_and(is_either)
    }
}

/// The connections that a trace may look at. Tuples are given as the packet at hand has them: an implementation
/// answers for the opener's direction and for the reverse, and of a NAT gateway for both sides of its translation
/// (see [`Connection::has`]).
///
/// A path's reads do not name connections: whoever opens or closes one must trace again what is cached for its tuple
/// and for the reversed one. (A cached drop of the other end's packet ends when a connection that admits it opens.)
pub trait Connections {
    /// Is a packet with this tuple, seen at this tracker, part of a connection that it tracks?
    fn find(&self, tracker: Tracker, tuple: &FiveTuple) -> Option<Connection>;

    /// A free address and port (or ICMP identifier) for a new connection of a NAT gateway. `wanted` is the translated
    /// tuple with the sender's own port and no source address yet. At most `limit` connections share an address and a
    /// destination (address, port and protocol). The port is from 1024 on; it is the wanted one if that is free.
    /// `None`: all are taken.
    fn free_port(
        &self,
        gateway: NatGatewayId,
        addresses: &[Ipv4Addr],
        limit: u32,
        wanted: &FiveTuple,
    ) -> Option<(Ipv4Addr, u16)>;
}

/// No connection at all: for questions about a first packet.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoConnections;

impl Connections for NoConnections {
    fn find(&self, _: Tracker, _: &FiveTuple) -> Option<Connection> {
        None
    }

    fn free_port(
        &self,
        _: NatGatewayId,
        addresses: &[Ipv4Addr],
        limit: u32,
        wanted: &FiveTuple,
    ) -> Option<(Ipv4Addr, u16)> {
        NatPorts::default().free(addresses, limit, wanted)
    }
}

/// Idle timeout of established TCP connections, in seconds (EC2 API, `ConnectionTrackingConfiguration`).
pub const TCP_ESTABLISHED_SECS: u32 = 432_000;
/// Idle timeout of UDP with more than one request and response, in seconds (same source).
pub const UDP_STREAM_SECS: u32 = 180;
/// Idle timeout of UDP in one direction, or of one request and its response, in seconds (same source).
pub const UDP_SECS: u32 = 30;
/// Idle timeout of protocols without ports, in seconds (EC2 user guide, "Connection tracking timeouts").
pub const OTHER_SECS: u32 = 600;
/// AWS publishes none for ICMP; Linux takes 30 s, too (`nf_conntrack_icmp_timeout`).
pub const ICMP_SECS: u32 = 30;
/// AWS publishes none for a handshake under way; as Linux (`nf_conntrack_tcp_timeout_syn_recv`).
pub const TCP_OPENING_SECS: u32 = 60;
/// AWS publishes none for a connection that one side has closed. Longer than Linux' 60 to 120 s: the other side may
/// still be sending, and pause.
pub const TCP_HALF_CLOSED_SECS: u32 = 600;
/// AWS publishes none for closed connections; as long as the last acknowledgements may be under way
/// (`nf_conntrack_tcp_timeout_close`).
pub const TCP_CLOSED_SECS: u32 = 10;

/// What a connection has seen: in each direction the number of packets and, of TCP, all flags that were ever set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    /// In the direction of the packet that opened the connection.
    pub forward: DirectionActivity,
    pub reverse: DirectionActivity,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DirectionActivity {
    pub packets: u64,
    pub tcp_flags: TcpFlags,
}

impl DirectionActivity {
    fn has(self, flags: u8) -> bool {
        self.tcp_flags.0 & flags != 0
    }
}

/// How long a connection may be idle before it ends, in seconds.
pub fn idle_timeout_secs(protocol: u8, activity: &Activity, configured: &ConnectionTracking) -> u32 {
    match protocol {
        protocol::TCP => tcp_timeout_secs(activity, configured),
        protocol::UDP => {
            // More than one request and response.
            let is_stream = activity.forward.packets > 1 && activity.reverse.packets > 1;
            if is_stream {
                configured.udp_stream_secs.unwrap_or(UDP_STREAM_SECS)
            } else {
                configured.udp_secs.unwrap_or(UDP_SECS)
            }
        }
        protocol::ICMP | protocol::ICMPV6 => ICMP_SECS,
        _ => OTHER_SECS,
    }
}

/// Idle timeout of a NAT gateway's connections of every protocol, in seconds (VPC user guide, "NAT gateways").
pub const NAT_IDLE_SECS: u32 = 350;

/// How long a connection of a NAT gateway may be idle before it ends, in seconds.
pub fn nat_idle_timeout_secs(protocol: u8, activity: &Activity) -> u32 {
    let is_closed =
        protocol == protocol::TCP && tcp_timeout_secs(activity, &ConnectionTracking::default()) == TCP_CLOSED_SECS;
    if is_closed { TCP_CLOSED_SECS } else { NAT_IDLE_SECS }
}

fn tcp_timeout_secs(Activity { forward, reverse }: &Activity, configured: &ConnectionTracking) -> u32 {
    let established = configured.tcp_established_secs.unwrap_or(TCP_ESTABLISHED_SECS);
    let fins = [forward, reverse].into_iter().filter(|side| side.has(TcpFlags::FIN)).count();
    if forward.has(TcpFlags::RST) || reverse.has(TcpFlags::RST) || fins == 2 {
        TCP_CLOSED_SECS
    } else if fins == 1 {
        TCP_HALF_CLOSED_SECS.min(established)
    } else if forward.has(TcpFlags::ACK) && reverse.has(TcpFlags::ACK) {
        established
    } else {
        TCP_OPENING_SECS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(packets: u64, flags: u8) -> DirectionActivity {
        DirectionActivity { packets, tcp_flags: TcpFlags(flags) }
    }

    fn timeout(protocol: u8, forward: DirectionActivity, reverse: DirectionActivity) -> u32 {
        idle_timeout_secs(protocol, &Activity { forward, reverse }, &ConnectionTracking::default())
    }

    #[test]
    fn tcp_lasts_long_only_while_it_is_established() {
        const SYN: u8 = TcpFlags::SYN;
        const ACK: u8 = TcpFlags::ACK;
        const FIN: u8 = TcpFlags::FIN;
        for (forward, reverse, secs) in [
            (SYN, 0, TCP_OPENING_SECS),
            (SYN, SYN | ACK, TCP_OPENING_SECS),
            (SYN | ACK, SYN | ACK, TCP_ESTABLISHED_SECS),
            (ACK, ACK, TCP_ESTABLISHED_SECS),
            (SYN | ACK | FIN, SYN | ACK, TCP_HALF_CLOSED_SECS),
            (SYN | ACK | FIN, SYN | ACK | FIN, TCP_CLOSED_SECS),
            (SYN, TcpFlags::RST | ACK, TCP_CLOSED_SECS),
        ] {
            assert_eq!(timeout(protocol::TCP, seen(3, forward), seen(3, reverse)), secs, "{forward:#x} {reverse:#x}");
        }
    }

    #[test]
    fn udp_is_a_stream_after_more_than_one_request_and_response() {
        for (forward, reverse, secs) in [(1, 0, 30), (9, 0, 30), (1, 1, 30), (2, 1, 30), (2, 2, 180)] {
            assert_eq!(timeout(protocol::UDP, seen(forward, 0), seen(reverse, 0)), secs, "{forward} {reverse}");
        }
    }

    #[test]
    fn other_protocols_have_one_timeout() {
        assert_eq!(timeout(protocol::ICMP, seen(9, 0), seen(9, 0)), 30);
        assert_eq!(timeout(protocol::ICMPV6, seen(9, 0), seen(9, 0)), 30);
        assert_eq!(timeout(50, seen(9, 0), seen(9, 0)), 600);
    }

    #[test]
    fn the_eni_s_own_timeouts_count() {
        let own = ConnectionTracking { tcp_established_secs: Some(120), udp_stream_secs: Some(60), udp_secs: Some(45) };
        let both = |packets, flags| Activity { forward: seen(packets, flags), reverse: seen(packets, flags) };
        assert_eq!(idle_timeout_secs(protocol::TCP, &both(3, TcpFlags::ACK), &own), 120);
        assert_eq!(idle_timeout_secs(protocol::UDP, &both(2, 0), &own), 60);
        assert_eq!(idle_timeout_secs(protocol::UDP, &both(1, 0), &own), 45);
    }
}
