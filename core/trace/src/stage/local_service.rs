//! Local services: what the VPC itself answers, and what never leaves a link.
//!
//! Exempt from security groups and network ACLs (VPC user guide, "Network ACLs": no effect on DNS, IMDS, DHCP, time
//! sync and the router's address).
//! ARP and neighbour discovery are answered from what the VPC knows, never by asking guests, so nothing that a guest
//! announces has any effect (AWS: mapping service).

use crate::journey::{Journey, Stop};
use crate::neighborhood::{self, Neighborhood};
use crate::{Detail, DropReason, LocalService, Resource, Stage, StepAction, Verdict};
use gp_model::{Eni, Subnet};
use gp_wire::{IpPacket, Packet, Transport, icmp, protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const DHCP_CLIENT_PORT: u16 = 68;
const DHCP_SERVER_PORT: u16 = 67;
const DHCPV6_CLIENT_PORT: u16 = 546;
const DHCPV6_SERVER_PORT: u16 = 547;
/// All DHCP relay agents and servers (RFC 9915, 7.1).
const DHCPV6_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

pub(crate) fn check(journey: &mut Journey<'_>, sender: &Eni, subnet: &Subnet) -> Result<(), Stop> {
    match journey.packet {
        Packet::Arp(arp) if arp.is_request => {
            Err(neighbor(journey, sender, subnet, arp.target.into(), LocalService::Arp))
        }
        Packet::Arp(_) => Err(announcement(journey)),
        Packet::Ip(packet) => check_ip(journey, sender, subnet, packet),
    }
}

fn check_ip(journey: &mut Journey<'_>, sender: &Eni, subnet: &Subnet, packet: &IpPacket) -> Result<(), Stop> {
    if let Some(stop) = neighbor_discovery(journey, sender, subnet, packet) {
        return Err(stop);
    }
    if is_dhcp(packet, subnet) {
        return Err(answer(journey, LocalService::Dhcp));
    }
    let dst = packet.tuple.dst;
    let (reason, detail) = if neighborhood::is_group(dst) || is_own_broadcast(dst, subnet) {
        (DropReason::Multicast, Detail::ToGroup(dst))
    } else if neighborhood::is_service(journey.vpc(sender.vpc)?, dst) {
        (DropReason::ServiceUnavailable, Detail::ServiceNotOffered(dst))
    } else if neighborhood::is_router(subnet, dst) {
        (DropReason::ReservedAddress, Detail::ToRouter(dst))
    } else if matches!(dst, IpAddr::V4(a) if a.is_link_local()) {
        (DropReason::NoRoute, Detail::LinkLocal(dst))
    } else {
        return Ok(());
    };
    Err(journey.drop(Stage::LocalService, reason, Some(Resource::Subnet { id: subnet.id }), detail))
}

/// ICMPv6 types 133 to 137 never leave the link (RFC 4861, 6.1 and 7.1).
fn neighbor_discovery(journey: &mut Journey<'_>, sender: &Eni, subnet: &Subnet, packet: &IpPacket) -> Option<Stop> {
    let Transport::Icmp { icmp_type, .. } = packet.transport else { return None };
    if packet.tuple.protocol != protocol::ICMPV6 {
        return None;
    }
    match icmp_type {
        icmp::V6_NEIGHBOR_SOLICITATION => {
            journey.depends_on_more_than_the_tuple();
            Some(match packet.solicited {
                Some(target) => neighbor(journey, sender, subnet, target.into(), LocalService::NeighborDiscovery),
                None => journey.drop(Stage::LocalService, DropReason::Malformed, None, Detail::InvalidSolicitation),
            })
        }
        // Without an IPv6 block there is no router to speak of.
        icmp::V6_ROUTER_SOLICITATION if !subnet.ipv6_cidrs.is_empty() => {
            Some(answer(journey, LocalService::NeighborDiscovery))
        }
        icmp::V6_ROUTER_ADVERTISEMENT | icmp::V6_NEIGHBOR_ADVERTISEMENT | icmp::V6_REDIRECT => {
            Some(announcement(journey))
        }
        _ => None,
    }
}

fn neighbor(journey: &mut Journey<'_>, sender: &Eni, subnet: &Subnet, target: IpAddr, service: LocalService) -> Stop {
    let vpc = match journey.vpc(sender.vpc) {
        Ok(vpc) => vpc,
        Err(error) => return error.into(),
    };
    let neighborhood = Neighborhood { world: journey.world, vpc, subnet, own: sender };
    if neighborhood.is_own(target) {
        return announcement(journey);
    }
    match neighborhood.mac_of(target, &mut |read| journey.read(read)) {
        Some(mac) => {
            journey.step(Stage::LocalService, StepAction::Deliver, None, Detail::Neighbor { target, mac });
            Verdict::LocalService(service).into()
        }
        None => journey.drop(
            Stage::LocalService,
            DropReason::NoSuchAddress,
            Some(Resource::Subnet { id: subnet.id }),
            Detail::NobodyHolds(target),
        ),
    }
}

fn announcement(journey: &mut Journey<'_>) -> Stop {
    journey.drop(Stage::LocalService, DropReason::NeighborAnnouncement, None, Detail::Announcement)
}

fn answer(journey: &mut Journey<'_>, service: LocalService) -> Stop {
    journey.depends_on_more_than_the_tuple();
    journey.step(Stage::LocalService, StepAction::Deliver, None, Detail::Answered(service));
    Verdict::LocalService(service).into()
}

fn is_dhcp(packet: &IpPacket, subnet: &Subnet) -> bool {
    if packet.transport != Transport::Udp || packet.fragment.is_some() {
        return false;
    }
    match (packet.tuple.dst, packet.tuple.src_port, packet.tuple.dst_port) {
        (IpAddr::V4(dst), DHCP_CLIENT_PORT, DHCP_SERVER_PORT) => {
            dst == Ipv4Addr::BROADCAST || neighborhood::is_router(subnet, dst.into())
        }
        (IpAddr::V6(dst), DHCPV6_CLIENT_PORT, DHCPV6_SERVER_PORT) => dst == DHCPV6_SERVERS,
        _ => false,
    }
}

fn is_own_broadcast(dst: IpAddr, subnet: &Subnet) -> bool {
    subnet.cidr.is_some_and(|cidr| dst == IpAddr::V4(cidr.broadcast()))
}
