//! Does a packet belong to the traffic that a rule or a list entry is about?

use gp_model::{TrafficMatch, TrafficPoint};
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

/// Where a packet with this tuple lies: traffic [`covers`] it if they share a cell.
pub(crate) fn point(tuple: &FiveTuple) -> TrafficPoint {
    let [icmp_type, code] = tuple.dst_port.to_be_bytes();
    match tuple.protocol {
        number @ protocol::TCP => TrafficPoint::tcp(number, tuple.dst_port),
        number @ protocol::UDP => TrafficPoint::udp(number, tuple.dst_port),
        number @ protocol::ICMP => TrafficPoint::icmp(number, icmp_type, code),
        number @ protocol::ICMPV6 => TrafficPoint::icmpv6(number, icmp_type, code),
        number => TrafficPoint::protocol(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_model::PortRange;

    const PROTOCOLS: [u8; 6] = [protocol::TCP, protocol::UDP, protocol::ICMP, protocol::ICMPV6, 0, 47];
    const NUMBERS: [u16; 10] = [0, 1, 3, 0x0300, 0x0301, 0x0800, 443, 1024, 49152, 65535];

    fn traffics() -> Vec<TrafficMatch> {
        let mut all = vec![TrafficMatch::All];
        all.extend(PROTOCOLS.map(TrafficMatch::Protocol));
        for from in NUMBERS {
            for to in NUMBERS {
                let ports = PortRange { from, to };
                all.extend([TrafficMatch::Tcp(ports), TrafficMatch::Udp(ports)]);
            }
            let [icmp_type, code] = from.to_be_bytes();
            for icmp_type in [None, Some(icmp_type)] {
                for code in [None, Some(code)] {
                    all.extend([TrafficMatch::Icmp { icmp_type, code }, TrafficMatch::Icmpv6 { icmp_type, code }]);
                }
            }
        }
        all
    }

    #[test]
    fn traffic_covers_a_packet_exactly_if_they_share_a_cell() {
        for traffic in traffics() {
            let own = traffic.cells();
            for protocol in PROTOCOLS {
                for dst_port in NUMBERS {
                    let any = std::net::Ipv4Addr::UNSPECIFIED.into();
                    let tuple = FiveTuple { protocol, src: any, dst: any, src_port: 443, dst_port };
                    let shares = point(&tuple).cells().iter().any(|cell| own.contains(&cell));
                    assert_eq!(shares, covers(traffic, &tuple), "{traffic:?} and {tuple:?}");
                }
            }
        }
    }
}
