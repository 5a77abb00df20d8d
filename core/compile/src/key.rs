//! 5-tuple ↔ key of the flow table.

use gp_abi::FlowKey;
use gp_model::Mac;
use gp_wire::{FiveTuple, Packet, icmp, protocol};
use std::net::{IpAddr, Ipv6Addr};

/// The key that the fast path looks up for this packet from the port with this number. `None` where it looks nothing
/// up: for ARP, neighbour discovery, ICMP errors and fragments.
///
/// A packet with IPv6 extension headers is sent to user space too, but [`IpPacket`](gp_wire::IpPacket) doesn't tell;
/// its key is that of the same packet without them.
pub fn key_of(packet: &Packet, port: u32) -> Option<FlowKey> {
    match packet {
        Packet::Ip(ip) if ip.fragment.is_none() && is_looked_up(&ip.tuple) => Some(key(&ip.tuple, ip.src_mac, port)),
        _ => None,
    }
}

/// Does the fast path look packets of this tuple up?
pub(crate) fn is_looked_up(tuple: &FiveTuple) -> bool {
    let icmp_type = (tuple.dst_port >> 8) as u8;
    match (tuple.protocol, tuple.src, tuple.dst) {
        (protocol::ICMP, IpAddr::V4(_), IpAddr::V4(_)) => !is_slow_icmp(icmp_type),
        (protocol::ICMPV6, IpAddr::V6(_), IpAddr::V6(_)) => !is_slow_icmpv6(icmp_type),
        (protocol::ICMP | protocol::ICMPV6, _, _) => false,
        (_, src, dst) => src.is_ipv4() == dst.is_ipv4(),
    }
}

/// Errors belong to the connection of the packet that they quote, and so to more than their own tuple.
pub(crate) fn is_slow_icmp(icmp_type: u8) -> bool {
    matches!(icmp_type, icmp::DESTINATION_UNREACHABLE | icmp::TIME_EXCEEDED | icmp::PARAMETER_PROBLEM)
}

/// Errors, as above, and neighbour discovery, which user space answers.
pub(crate) fn is_slow_icmpv6(icmp_type: u8) -> bool {
    matches!(
        icmp_type,
        icmp::V6_DESTINATION_UNREACHABLE..=icmp::V6_PARAMETER_PROBLEM
            | icmp::V6_ROUTER_SOLICITATION..=icmp::V6_REDIRECT
    )
}

pub(crate) fn key(tuple: &FiveTuple, src_mac: Mac, port: u32) -> FlowKey {
    FlowKey {
        src: mapped(tuple.src),
        dst: mapped(tuple.dst),
        port,
        src_mac: src_mac.0,
        src_port: tuple.src_port,
        dst_port: tuple.dst_port,
        protocol: tuple.protocol,
        family: family(tuple.src),
    }
}

/// The 5-tuple that the key stands for.
pub fn tuple_of(key: &FlowKey) -> FiveTuple {
    FiveTuple {
        protocol: key.protocol,
        src: unmapped(key.src, key.family),
        dst: unmapped(key.dst, key.family),
        src_port: key.src_port,
        dst_port: key.dst_port,
    }
}

pub(crate) fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { 4 } else { 6 }
}

pub(crate) fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

pub(crate) fn unmapped(octets: [u8; 16], family: u8) -> IpAddr {
    let [.., a, b, c, d] = octets;
    if family == 4 { IpAddr::from([a, b, c, d]) } else { Ipv6Addr::from(octets).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuple_survives_the_way_through_a_key() {
        for (src, dst) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2"), ("::ffff:10.0.0.1", "::1")] {
            let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
            let tuple = FiveTuple { protocol: 6, src, dst, src_port: 1000, dst_port: 443 };
            assert_eq!(tuple_of(&key(&tuple, Mac([2; 6]), 7)), tuple);
        }
    }

    #[test]
    fn families_never_share_a_key() {
        let four = FiveTuple {
            protocol: 17,
            src: "10.0.0.1".parse().unwrap(),
            dst: "10.0.0.2".parse().unwrap(),
            src_port: 1,
            dst_port: 2,
        };
        let six =
            FiveTuple { src: "::ffff:10.0.0.1".parse().unwrap(), dst: "::ffff:10.0.0.2".parse().unwrap(), ..four };
        assert_ne!(key(&four, Mac([2; 6]), 7), key(&six, Mac([2; 6]), 7));
    }
}
