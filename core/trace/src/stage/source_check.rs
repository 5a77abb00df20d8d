//! Source check: what a guest may claim to be.
//!
//! The MAC address must be the ENI's even with the check off: a VPC forwards for ENIs, not for stations behind them.
//! With the check off the IP address may be foreign (routers, NAT instances).
//! Source: EC2 user guide, "Source/destination checking"; that foreign MAC addresses always die is observed, not
//! documented.

use crate::journey::{Journey, Stop};
use crate::{Detail, DropReason, Resource, Stage, StepAction};
use gp_model::Eni;
use gp_wire::{ArpPacket, IpPacket, Packet};
use std::net::{IpAddr, Ipv4Addr};

pub(crate) fn check(journey: &mut Journey<'_>, sender: &Eni) -> Result<(), Stop> {
    let detail = match journey.packet {
        Packet::Arp(arp) => check_arp(journey, sender, arp)?,
        Packet::Ip(packet) => check_ip(journey, sender, packet)?,
    };
    journey.step(Stage::SourceCheck, StepAction::Pass, None, detail);
    Ok(())
}

fn check_arp(journey: &mut Journey<'_>, sender: &Eni, arp: &ArpPacket) -> Result<Detail, Stop> {
    journey.depends_on_more_than_the_tuple();
    for mac in [arp.src_mac, arp.sender_mac] {
        if mac != sender.mac {
            return Err(refuse(journey, sender, Detail::ForeignMac(mac)));
        }
    }
    // A probe for a duplicate address has no sender yet (RFC 5227).
    if arp.sender == Ipv4Addr::UNSPECIFIED {
        return Ok(Detail::NoSourceYet);
    }
    check_address(journey, sender, arp.sender.into())
}

fn check_ip(journey: &mut Journey<'_>, sender: &Eni, packet: &IpPacket) -> Result<Detail, Stop> {
    if packet.src_mac != sender.mac {
        // The flow's key has no MAC address: a station behind the guest must not poison the guest's own flow.
        journey.depends_on_more_than_the_tuple();
        return Err(refuse(journey, sender, Detail::ForeignMac(packet.src_mac)));
    }
    let source = packet.tuple.src;
    // Guests without an address speak to groups only: DHCP, router solicitation, duplicate address detection.
    if source.is_unspecified() && crate::neighborhood::is_group(packet.tuple.dst) {
        return Ok(Detail::NoSourceYet);
    }
    if can_never_send(source) {
        return Err(refuse(journey, sender, Detail::ForeignSource(source)));
    }
    check_address(journey, sender, source)
}

fn check_address(journey: &mut Journey<'_>, sender: &Eni, source: IpAddr) -> Result<Detail, Stop> {
    if sender.holds(source) || source == IpAddr::V6(sender.mac.link_local()) {
        Ok(Detail::OwnSource)
    } else if !sender.source_dest_check {
        Ok(Detail::SourceNotChecked)
    } else {
        Err(refuse(journey, sender, Detail::ForeignSource(source)))
    }
}

/// No packet has such a source (RFC 1122, 3.2.1.3; RFC 4291, 2.5 and 2.7), not even one that is forwarded.
fn can_never_send(source: IpAddr) -> bool {
    source.is_unspecified()
        || source.is_loopback()
        || source.is_multicast()
        || source == IpAddr::V4(Ipv4Addr::BROADCAST)
}

fn refuse(journey: &mut Journey<'_>, sender: &Eni, detail: Detail) -> Stop {
    journey.drop(Stage::SourceCheck, DropReason::SourceCheck, Some(Resource::Eni { id: sender.id }), detail)
}
