//! Uplink: what comes in from outside of the region.
//!
//! Source: Reachability Analyzer explanation codes (gateways reject spoofed sources; private sources are not of the
//! internet); broadcast and neighbour discovery of the uplink's own link are not the VPC's.

use crate::journey::{Journey, Stop};
use crate::{Detail, DropReason, Read, Stage, StepAction, neighborhood};
use gp_model::Eni;
use gp_wire::{Packet, Transport, icmp, protocol};
use std::net::{IpAddr, Ipv4Addr};

pub(crate) fn check(journey: &mut Journey<'_>) -> Result<(), Stop> {
    let tuple = journey.tuple();
    let is_discovery = match journey.packet {
        Packet::Arp(_) => true,
        Packet::Ip(packet) => match packet.transport {
            Transport::Icmp { icmp_type, .. } if tuple.protocol == protocol::ICMPV6 => {
                (icmp::V6_ROUTER_SOLICITATION..=icmp::V6_REDIRECT).contains(&icmp_type)
            }
            _ => false,
        },
    };
    if is_discovery {
        journey.depends_on_more_than_the_tuple();
        return Err(journey.drop(Stage::Uplink, DropReason::NeighborAnnouncement, None, Detail::Announcement));
    }
    if neighborhood::is_group(tuple.dst) {
        return Err(journey.drop(Stage::Uplink, DropReason::Multicast, None, Detail::ToGroup(tuple.dst)));
    }
    if is_held(journey, tuple.dst) && (is_private(tuple.src) || is_held(journey, tuple.src)) {
        let detail = Detail::NotFromOutside(tuple.src);
        return Err(journey.drop(Stage::Uplink, DropReason::SpoofedSource, None, detail));
    }
    journey.step(Stage::Uplink, StepAction::Forward, None, Detail::FromOutside);
    Ok(())
}

/// Is it a public address of this region, or an IPv6 address of one of its VPCs?
pub(crate) fn is_held(journey: &mut Journey<'_>, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => behind(journey, a).is_some(),
        IpAddr::V6(a) => {
            journey.read(Read::Ipv6Blocks);
            journey.world.vpc_of_ipv6(a).is_some()
        }
    }
}

/// The private address, and its ENI, behind a public one.
pub(crate) fn behind<'a>(journey: &mut Journey<'a>, public: Ipv4Addr) -> Option<(&'a Eni, Ipv4Addr)> {
    let world = journey.world;
    journey.read(Read::PublicAddress(public));
    let association = world.address_with_public_ip(public).and_then(|address| address.association.as_ref());
    if let Some(association) = association {
        // Its ENI may be gone.
        journey.read(Read::Eni(association.eni));
    }
    let (eni, private) = world.private_of_public(public)?;
    journey.read(Read::Eni(eni.id));
    Some((eni, private))
}

/// Is it an address that the internet has no way to: private (RFC 1918, RFC 6598, RFC 4193), link-local, loopback, of
/// many or of nobody?
pub(crate) fn is_private(address: IpAddr) -> bool {
    let is_scoped = match address {
        IpAddr::V4(a) => {
            let [first, second, ..] = a.octets();
            let is_shared = first == 100 && second & 0xc0 == 64;
            a.is_private() || is_shared || first == 0 || first >= 240
        }
        IpAddr::V6(a) => a.is_unique_local(),
    };
    let is_nobody = address.is_unspecified() || address.is_loopback() || neighborhood::is_group(address);
    is_scoped || is_nobody || neighborhood::is_link_local(address)
}
