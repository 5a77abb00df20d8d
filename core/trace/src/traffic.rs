//! Does a packet belong to the traffic that a rule or a list entry is about?

use gp_model::{PortRange, TrafficMatch};
use gp_wire::{FiveTuple, protocol};

/// Does `traffic` cover a packet with this tuple? Ports are the packet's destination port in both directions
/// (EC2 user guide, "Security group rules").
pub(crate) fn covers(traffic: TrafficMatch, tuple: &FiveTuple) -> bool {
    match traffic {
        TrafficMatch::All => true,
        TrafficMatch::Tcp(ports) => tuple.protocol == protocol::TCP && ports.contains(tuple.dst_port),
        TrafficMatch::Udp(ports) => tuple.protocol == protocol::UDP && ports.contains(tuple.dst_port),
        TrafficMatch::Icmp { icmp_type, code } => {
            tuple.protocol == protocol::ICMP && covers_icmp(icmp_type, code, tuple)
        }
        TrafficMatch::Icmpv6 { icmp_type, code } => {
            tuple.protocol == protocol::ICMPV6 && covers_icmp(icmp_type, code, tuple)
        }
        TrafficMatch::Protocol(number) => tuple.protocol == number,
    }
}

fn covers_icmp(icmp_type: Option<u8>, code: Option<u8>, tuple: &FiveTuple) -> bool {
    let [packet_type, packet_code] = tuple.dst_port.to_be_bytes();
    icmp_type.is_none_or(|wanted| wanted == packet_type) && code.is_none_or(|wanted| wanted == packet_code)
}

/// Does `traffic` cover every port of the tuple's protocol?
pub(crate) fn covers_all_ports(traffic: TrafficMatch, tuple: &FiveTuple) -> bool {
    match traffic {
        TrafficMatch::All => true,
        TrafficMatch::Tcp(ports) => tuple.protocol == protocol::TCP && ports == PortRange::ALL,
        TrafficMatch::Udp(ports) => tuple.protocol == protocol::UDP && ports == PortRange::ALL,
        TrafficMatch::Icmp { .. } | TrafficMatch::Icmpv6 { .. } => false,
        TrafficMatch::Protocol(number) => tuple.protocol == number,
    }
}
