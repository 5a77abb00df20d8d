//! IPv6 neighbour discovery (RFC 4861): neighbour and router solicitations. Like ARP, the VPC answers by itself, and no
//! solicitation reaches another guest.
//!
//! The router advertises the subnet's prefix as on-link but not for autoconfiguration: addresses are managed, by
//! DHCPv6 (VPC user guide, "IPv6 addressing").

use crate::frame::{Ends, Icmpv6, emit_icmpv6, multicast_mac, parse_icmpv6};
use crate::{Asker, VPC_MTU_BYTES};
use gp_model::Mac;
use gp_trace::ROUTER_LINK_LOCAL;
use gp_wire::icmp;
use std::net::{IpAddr, Ipv6Addr};

const ROUTER_ADVERTISEMENT: u8 = 134;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Options of RFC 4861, 4.6; their lengths count units of 8 bytes.
const SOURCE_LINK_ADDRESS: u8 = 1;
pub(crate) const TARGET_LINK_ADDRESS: u8 = 2;
const PREFIX_INFORMATION: u8 = 3;
const MTU: u8 = 5;

pub(crate) const FLAG_ROUTER: u8 = 0x80;
pub(crate) const FLAG_SOLICITED: u8 = 0x40;
pub(crate) const FLAG_OVERRIDE: u8 = 0x20;
/// "Managed address configuration": addresses come by DHCPv6. "Other configuration" goes without saying then.
const FLAG_MANAGED: u8 = 0x80;
const FLAG_ON_LINK: u8 = 0x80;

/// Longest that RFC 8319 allows, in seconds: the router is always there, and no unsolicited advertisement renews this.
const ROUTER_LIFETIME_SECS: u16 = u16::MAX;
/// RFC 4861's value for "for ever".
const PREFIX_LIFETIME_SECS: u32 = u32::MAX;

pub(crate) fn reply(asker: &Asker<'_>, frame: &[u8]) -> Option<Vec<u8>> {
    let message = parse_icmpv6(frame)?;
    // Whatever came over a router is forged, and who has no address speaks to a group (RFC 4861, 7.1.1).
    if message.hop_limit != 255 || message.code != 0 || (message.src.is_unspecified() && !message.dst.is_multicast()) {
        return None;
    }
    match message.icmp_type {
        icmp::V6_NEIGHBOR_SOLICITATION => advertise_neighbor(asker, &message),
        icmp::V6_ROUTER_SOLICITATION => advertise_router(asker, &message),
        _ => None,
    }
}

fn advertise_neighbor(asker: &Asker<'_>, solicitation: &Icmpv6<'_>) -> Option<Vec<u8>> {
    let target: [u8; 16] = solicitation.body.get(4..20)?.try_into().ok()?;
    let target = Ipv6Addr::from(target);
    check_options(solicitation.body.get(20..)?)?;
    if target.is_multicast() {
        return None;
    }
    let mac = asker.mac_behind(IpAddr::V6(target))?;
    let router = if mac == asker.router_mac() { FLAG_ROUTER } else { 0 };
    // The answer to duplicate address detection goes to all (RFC 4861, 7.2.4): here "all" is the asker alone.
    let (dst, dst_mac, solicited) = if solicitation.src.is_unspecified() {
        (ALL_NODES, multicast_mac(ALL_NODES), 0)
    } else {
        (solicitation.src, asker.eni.mac, FLAG_SOLICITED)
    };
    let mut body = target.octets().to_vec();
    push_link_address(&mut body, TARGET_LINK_ADDRESS, mac);
    let ends = Ends { src_mac: mac, dst_mac, src: target, dst };
    emit_icmpv6(&ends, icmp::V6_NEIGHBOR_ADVERTISEMENT, [router | solicited | FLAG_OVERRIDE, 0, 0, 0], &body)
}

fn advertise_router(asker: &Asker<'_>, solicitation: &Icmpv6<'_>) -> Option<Vec<u8>> {
    check_options(solicitation.body.get(4..)?)?;
    // A subnet without IPv6 has no IPv6 router.
    asker.subnet.ipv6_cidrs.first()?;
    let (dst, dst_mac) = if solicitation.src.is_unspecified() {
        (ALL_NODES, multicast_mac(ALL_NODES))
    } else {
        (solicitation.src, asker.eni.mac)
    };
    let mac = asker.router_mac();
    // Reachable time and retransmission timer: the host's own defaults.
    let mut body = vec![0; 8];
    push_link_address(&mut body, SOURCE_LINK_ADDRESS, mac);
    body.extend([MTU, 1, 0, 0]);
    body.extend(u32::from(VPC_MTU_BYTES).to_be_bytes());
    for block in &asker.subnet.ipv6_cidrs {
        body.extend([PREFIX_INFORMATION, 4, block.cidr.prefix_len(), FLAG_ON_LINK]);
        body.extend(PREFIX_LIFETIME_SECS.to_be_bytes());
        body.extend(PREFIX_LIFETIME_SECS.to_be_bytes());
        body.extend([0; 4]);
        body.extend(block.cidr.network().octets());
    }
    let lifetime = ROUTER_LIFETIME_SECS.to_be_bytes();
    let ends = Ends { src_mac: mac, dst_mac, src: ROUTER_LINK_LOCAL, dst };
    emit_icmpv6(&ends, ROUTER_ADVERTISEMENT, [64, FLAG_MANAGED, lifetime[0], lifetime[1]], &body)
}

pub(crate) fn push_link_address(body: &mut Vec<u8>, kind: u8, mac: Mac) {
    body.extend([kind, 1]);
    body.extend(mac.0);
}

/// Each option has a length that is not 0 and ends within the message (RFC 4861, 7.1).
fn check_options(mut options: &[u8]) -> Option<()> {
    while let [_, units, ..] = options {
        if *units == 0 {
            return None;
        }
        options = options.get(usize::from(*units) * 8..)?;
    }
    options.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Subnet, subnet};
    use gp_trace::LocalService;
    use gp_wire::Packet;

    fn solicit(s: &Subnet, src: Ipv6Addr, icmp_type: u8, body: &[u8]) -> Vec<u8> {
        let ends = Ends { src_mac: s.a.mac, dst_mac: multicast_mac(ALL_NODES), src, dst: ALL_NODES };
        emit_icmpv6(&ends, icmp_type, [0; 4], body).unwrap()
    }

    fn ask(s: &Subnet, frame: &[u8]) -> Option<Vec<u8>> {
        let packet = gp_wire::parse(frame).unwrap();
        assert!(matches!(packet, Packet::Ip(_)));
        crate::reply(&s.world, &s.a, &packet, frame, LocalService::NeighborDiscovery)
    }

    /// Flags, MAC and destination of the advertisement for a target.
    fn resolve(s: &Subnet, src: Ipv6Addr, target: Ipv6Addr) -> Option<(u8, Mac, Ipv6Addr)> {
        let frame = ask(s, &solicit(s, src, icmp::V6_NEIGHBOR_SOLICITATION, &target.octets()))?;
        let answer = parse_icmpv6(&frame).unwrap();
        assert_eq!((answer.icmp_type, answer.hop_limit, answer.src), (icmp::V6_NEIGHBOR_ADVERTISEMENT, 255, target));
        assert_eq!(answer.body[4..20], target.octets());
        assert_eq!(answer.body[20..22], [TARGET_LINK_ADDRESS, 1]);
        Some((answer.body[0], Mac(answer.body[22..28].try_into().unwrap()), answer.dst))
    }

    #[test]
    fn neighbours_and_the_router_are_resolved() {
        let s = subnet();
        let own = s.a.mac.link_local();
        let router = gp_trace::router_mac(s.a.subnet);
        let of_router = (FLAG_ROUTER | FLAG_SOLICITED | FLAG_OVERRIDE, router, own);
        assert_eq!(resolve(&s, own, ROUTER_LINK_LOCAL), Some(of_router));
        let of_b = (FLAG_SOLICITED | FLAG_OVERRIDE, s.b.mac, own);
        assert_eq!(resolve(&s, own, s.b.ipv6[0]), Some(of_b));
        assert_eq!(resolve(&s, own, s.b.mac.link_local()), Some(of_b));
    }

    #[test]
    fn duplicate_detection_meets_silence_for_own_and_a_conflict_for_held_addresses() {
        let s = subnet();
        let nobody = Ipv6Addr::UNSPECIFIED;
        assert_eq!(resolve(&s, nobody, s.a.ipv6[0]), None);
        assert_eq!(resolve(&s, nobody, s.a.mac.link_local()), None);
        assert_eq!(resolve(&s, nobody, s.b.ipv6[0]), Some((FLAG_OVERRIDE, s.b.mac, ALL_NODES)));
    }

    #[test]
    fn strangers_are_not_resolved() {
        let s = subnet();
        let own = s.a.mac.link_local();
        for target in ["2001:db8::77", "fe80::1", "fe80::1:ff:fe02:3"] {
            assert_eq!(resolve(&s, own, target.parse().unwrap()), None, "{target}");
        }
    }

    #[test]
    fn a_router_solicitation_gets_the_subnet_and_the_mtu() {
        let s = subnet();
        let own = s.a.mac.link_local();
        let frame = ask(&s, &solicit(&s, own, icmp::V6_ROUTER_SOLICITATION, &[])).unwrap();
        let answer = parse_icmpv6(&frame).unwrap();
        assert_eq!((answer.icmp_type, answer.src, answer.dst), (ROUTER_ADVERTISEMENT, ROUTER_LINK_LOCAL, own));
        assert_eq!(answer.body[..4], [64, FLAG_MANAGED, 0xff, 0xff]);
        let options = &answer.body[12..];
        assert_eq!(options[..2], [SOURCE_LINK_ADDRESS, 1]);
        assert_eq!(options[8..16], [MTU, 1, 0, 0, 0, 0, 0x23, 0x29]);
        assert_eq!(options[16..20], [PREFIX_INFORMATION, 4, 64, FLAG_ON_LINK]);
        assert!(check_options(options).is_some());
    }

    #[test]
    fn a_subnet_without_ipv6_has_no_ipv6_router() {
        let s = subnet();
        let frame = solicit(&s, s.other.mac.link_local(), icmp::V6_ROUTER_SOLICITATION, &[]);
        let packet = gp_wire::parse(&frame).unwrap();
        assert_eq!(crate::reply(&s.world, &s.other, &packet, &frame, LocalService::NeighborDiscovery), None);
    }

    #[test]
    fn forged_and_broken_solicitations_are_ignored() {
        let s = subnet();
        let own = s.a.mac.link_local();
        let good = solicit(&s, own, icmp::V6_NEIGHBOR_SOLICITATION, &s.b.ipv6[0].octets());
        assert!(ask(&s, &good).is_some());
        let mut routed = good.clone();
        routed[21] = 64;
        assert_eq!(ask(&s, &routed), None, "hop limit");
        let mut corrupt = good.clone();
        *corrupt.last_mut().unwrap() ^= 1;
        assert_eq!(ask(&s, &corrupt), None, "checksum");
        let mut body = s.b.ipv6[0].octets().to_vec();
        body.extend([SOURCE_LINK_ADDRESS, 0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(ask(&s, &solicit(&s, own, icmp::V6_NEIGHBOR_SOLICITATION, &body)), None, "option of length 0");
    }
}
