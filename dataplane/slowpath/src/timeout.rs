//! How long what has gone quiet is kept.
//!
//! Source: EC2 user guide, "Idle connection tracking timeout"; where AWS publishes nothing, Linux's own connection
//! tracking (net/netfilter/nf_conntrack_proto_*.c) is followed.

use crate::connections::Tracked;
use gp_model::ConnectionTracking;
use gp_wire::{TcpFlags, protocol};

/// A flow entry is only a cache: dropping an idle one costs an upcall for its next packet, keeping it costs memory.
pub(crate) const FLOW_IDLE_SECS: u64 = 60;

const TCP_ESTABLISHED_SECS: u64 = 432_000;
const UDP_STREAM_SECS: u64 = 180;
const UDP_SECS: u64 = 30;
const ICMP_SECS: u64 = 30;
/// Tracked by addresses and protocol alone.
const OTHER_SECS: u64 = 600;
/// Not published by AWS. A handshake under way: Linux gives it 120 s for the SYN.
const TCP_OPENING_SECS: u64 = 120;
/// Both sides have said FIN, or one RST: only stragglers may still come.
const TCP_CLOSED_SECS: u64 = 10;
/// One side has said FIN, the other may still send for a while.
const TCP_CLOSING_SECS: u64 = 120;

/// Seconds without a packet after which a connection is forgotten.
pub(crate) fn connection_idle_secs(tracked: &Tracked, settings: &ConnectionTracking) -> u64 {
    match tracked.connection.tuple.protocol {
        protocol::TCP => tcp_idle_secs(tracked, settings),
        protocol::UDP if tracked.is_answered => settings.udp_stream_secs.map_or(UDP_STREAM_SECS, u64::from),
        protocol::UDP => settings.udp_secs.map_or(UDP_SECS, u64::from),
        protocol::ICMP | protocol::ICMPV6 => ICMP_SECS,
        _ => OTHER_SECS,
    }
}

fn tcp_idle_secs(tracked: &Tracked, settings: &ConnectionTracking) -> u64 {
    let (ours, theirs) = (tracked.opener_tcp_flags, tracked.answer_tcp_flags);
    if (ours | theirs) & TcpFlags::RST != 0 || ours & theirs & TcpFlags::FIN != 0 {
        TCP_CLOSED_SECS
    } else if (ours | theirs) & TcpFlags::FIN != 0 {
        TCP_CLOSING_SECS
    } else if ours & TcpFlags::ACK != 0 && theirs & TcpFlags::ACK != 0 {
        settings.tcp_established_secs.map_or(TCP_ESTABLISHED_SECS, u64::from)
    } else {
        TCP_OPENING_SECS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_model::Direction;
    use gp_trace::Connection;
    use gp_wire::FiveTuple;

    fn idle_secs(protocol: u8, ours: u8, theirs: u8, is_answered: bool, settings: ConnectionTracking) -> u64 {
        let (src, dst) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let tuple = FiveTuple { protocol, src, dst, src_port: 1, dst_port: 2 };
        let connection = Connection { tuple, opened_by: Direction::Egress };
        let tracked =
            Tracked { opener_tcp_flags: ours, answer_tcp_flags: theirs, is_answered, ..Tracked::new(connection, 0) };
        connection_idle_secs(&tracked, &settings)
    }

    #[test]
    fn a_tcp_connection_lives_by_its_state() {
        let defaults = ConnectionTracking::default();
        let tcp = |ours, theirs| idle_secs(protocol::TCP, ours, theirs, theirs != 0, defaults);
        assert_eq!(tcp(0x02, 0), TCP_OPENING_SECS);
        assert_eq!(tcp(0x02, 0x12), TCP_OPENING_SECS);
        assert_eq!(tcp(0x12, 0x12), TCP_ESTABLISHED_SECS);
        assert_eq!(tcp(0x13, 0x12), TCP_CLOSING_SECS);
        assert_eq!(tcp(0x13, 0x13), TCP_CLOSED_SECS);
        assert_eq!(tcp(0x02, 0x14), TCP_CLOSED_SECS);
    }

    #[test]
    fn the_users_timeouts_count() {
        let settings =
            ConnectionTracking { tcp_established_secs: Some(60), udp_stream_secs: Some(61), udp_secs: Some(31) };
        assert_eq!(idle_secs(protocol::TCP, 0x12, 0x12, true, settings), 60);
        assert_eq!(idle_secs(protocol::UDP, 0, 0, true, settings), 61);
        assert_eq!(idle_secs(protocol::UDP, 0, 0, false, settings), 31);
        assert_eq!(idle_secs(protocol::ICMP, 0, 0, true, settings), ICMP_SECS);
        assert_eq!(idle_secs(47, 0, 0, true, settings), OTHER_SECS);
    }
}
