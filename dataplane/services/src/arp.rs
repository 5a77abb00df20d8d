//! ARP for IPv4 (RFC 826): the VPC answers every request itself, from what it knows; no request reaches another guest.
//!
//! Silence for the asker's own addresses (announcements and probes, RFC 5227) and for addresses that nobody holds. A
//! probe for somebody else's address is answered: the conflict is real.

use crate::Asker;
use gp_model::Mac;
use gp_wire::ArpPacket;
use std::net::{IpAddr, Ipv4Addr};

pub(crate) fn reply(asker: &Asker<'_>, request: &ArpPacket) -> Option<Vec<u8>> {
    if !request.is_request || request.target == request.sender {
        return None;
    }
    let mac = asker.mac_behind(IpAddr::V4(request.target))?;
    Some(emit_reply(mac, request.target, asker.eni.mac, request.sender))
}

pub(crate) fn emit_reply(mac: Mac, address: Ipv4Addr, asker_mac: Mac, asker: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(42);
    frame.extend(asker_mac.0);
    frame.extend(mac.0);
    frame.extend([0x08, 0x06]);
    // Ethernet, IPv4, their address lengths, "reply".
    frame.extend([0, 1, 0x08, 0, 6, 4, 0, 2]);
    frame.extend(mac.0);
    frame.extend(address.octets());
    frame.extend(asker_mac.0);
    frame.extend(asker.octets());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Subnet, subnet};
    use gp_wire::Packet;

    fn ask(s: &Subnet, sender: Ipv4Addr, target: &str) -> Option<Mac> {
        let target = target.parse().unwrap();
        let request = ArpPacket {
            src_mac: s.a.mac,
            dst_mac: Mac::BROADCAST,
            is_request: true,
            sender_mac: s.a.mac,
            sender,
            target,
        };
        let frame = crate::reply(&s.world, &s.a, &Packet::Arp(request), &[], gp_trace::LocalService::Arp)?;
        let Packet::Arp(reply) = gp_wire::parse(&frame).unwrap() else { panic!("not ARP: {frame:?}") };
        assert!(!reply.is_request);
        assert_eq!((reply.dst_mac, reply.target, reply.sender), (s.a.mac, sender, target));
        assert_eq!(reply.src_mac, reply.sender_mac);
        Some(reply.sender_mac)
    }

    #[test]
    fn the_router_and_every_holder_in_the_subnet_are_known() {
        let s = subnet();
        let own = s.a.primary_ipv4().unwrap();
        assert_eq!(ask(&s, own, "10.0.1.1"), Some(gp_trace::router_mac(s.a.subnet)));
        assert_eq!(ask(&s, own, &s.b.primary_ipv4().unwrap().to_string()), Some(s.b.mac));
        assert_eq!(ask(&s, own, "169.254.169.254"), Some(gp_trace::router_mac(s.a.subnet)));
    }

    #[test]
    fn nobody_answers_for_own_free_and_distant_addresses() {
        let s = subnet();
        let own = s.a.primary_ipv4().unwrap();
        assert_eq!(ask(&s, own, &own.to_string()), None);
        assert_eq!(ask(&s, Ipv4Addr::UNSPECIFIED, &own.to_string()), None);
        assert_eq!(ask(&s, own, "10.0.1.200"), None);
        assert_eq!(ask(&s, own, &s.other.primary_ipv4().unwrap().to_string()), None);
    }

    #[test]
    fn a_probe_for_a_neighbours_address_meets_a_conflict() {
        let s = subnet();
        let theirs = s.b.primary_ipv4().unwrap();
        assert_eq!(ask(&s, Ipv4Addr::UNSPECIFIED, &theirs.to_string()), Some(s.b.mac));
    }
}
