//! Tracked connections: what makes security groups stateful, and how long they last.
//!
//! A connection belongs to one ENI. It is opened when a group's rule lets a packet pass whose answer would not be let
//! pass by rules alone, and it then lets both directions pass until it has been idle for its timeout.
//! Source: EC2 user guide, "Security group connection tracking".

use gp_model::{ConnectionTracking, EniId};
use gp_wire::{FiveTuple, TcpFlags, protocol};

/// One tracked connection of one ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// As the opening packet had it.
    pub tuple: FiveTuple,
    /// Did the opening packet leave the ENI (egress) or arrive at it?
    pub opened_by: gp_model::Direction,
}

/// The connections that a trace may look at. Tuples are given as the packet at hand has them: an implementation
/// answers for the opener's direction and for the reverse.
///
/// A path's reads do not name connections: whoever opens or closes one must trace again what is cached for its tuple
/// and for the reversed one. (A cached drop of the other end's packet ends when a connection that admits it opens.)
pub trait Connections {
    /// Is a packet with this tuple, seen at this ENI, part of a connection that the ENI tracks?
    fn find(&self, eni: EniId, tuple: &FiveTuple) -> Option<Connection>;
}

/// No connection at all: for questions about a first packet.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoConnections;

impl Connections for NoConnections {
    fn find(&self, _: EniId, _: &FiveTuple) -> Option<Connection> {
        None
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
