//! What the outside asks an uplink: who has a public address (ARP, RFC 826), who has an IPv6 address (ND, RFC 4861).
//!
//! The answer is the uplink itself, for every address that stands for something inside. Where the outside is a link of
//! ours it asks nothing, since both ends know each other.

use crate::arp;
use crate::frame::{Ends, emit_icmpv6};
use crate::nd::{FLAG_OVERRIDE, FLAG_ROUTER, FLAG_SOLICITED, TARGET_LINK_ADDRESS, push_link_address};
use gp_model::{Mac, World};
use gp_trace::LocalService;
use gp_wire::{IpPacket, Packet, icmp};
use std::net::IpAddr;

/// Does a packet from outside ask for a neighbour?
pub fn outside_asks(packet: &Packet) -> Option<LocalService> {
    match packet {
        Packet::Arp(_) => Some(LocalService::Arp),
        Packet::Ip(IpPacket { solicited: Some(_), .. }) => Some(LocalService::NeighborDiscovery),
        Packet::Ip(_) => None,
    }
}

/// The frame that answers it, from the uplink's own MAC address; `None` for addresses that stand for nothing.
pub fn reply_outside(world: &World, own_mac: Mac, packet: &Packet) -> Option<Vec<u8>> {
    match packet {
        Packet::Arp(request) => {
            let is_ours = request.is_request && world.is_public_ip_taken(request.target);
            is_ours.then(|| arp::emit_reply(own_mac, request.target, request.sender_mac, request.sender))
        }
        Packet::Ip(IpPacket { solicited: Some(target), src_mac, tuple, .. }) => {
            let (IpAddr::V6(asker), Some(_)) = (tuple.src, world.vpc_of_ipv6(*target)) else { return None };
            // Who looks for duplicates has no address, and no business on this link.
            if asker.is_unspecified() {
                return None;
            }
            let mut body = target.octets().to_vec();
            push_link_address(&mut body, TARGET_LINK_ADDRESS, own_mac);
            let ends = Ends { src_mac: own_mac, dst_mac: *src_mac, src: *target, dst: asker };
            let flags = [FLAG_ROUTER | FLAG_SOLICITED | FLAG_OVERRIDE, 0, 0, 0];
            emit_icmpv6(&ends, icmp::V6_NEIGHBOR_ADVERTISEMENT, flags, &body)
        }
        Packet::Ip(_) => None,
    }
}
