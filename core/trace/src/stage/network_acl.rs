//! Network ACLs: ordered, stateless lists that judge what crosses a subnet's border.
//!
//! Source: VPC user guide, "Network ACLs": the first matching entry in order of rule numbers decides; a final entry per
//! address family denies the rest. Traffic inside a subnet never meets the list.

use crate::journey::{Journey, Stop};
use crate::{Detail, DropReason, Resource, Stage, StepAction};
use gp_model::{Direction, LAST_RULE_IPV4, LAST_RULE_IPV6, Subnet};
use std::net::IpAddr;

pub(crate) fn check(journey: &mut Journey<'_>, subnet: &Subnet, direction: Direction) -> Result<(), Stop> {
    let acl = journey.network_acl(subnet.network_acl)?;
    let tuple = journey.tuple();
    let (stage, reason, address) = match direction {
        Direction::Egress => (Stage::NetworkAclOut, DropReason::NetworkAclEgress, tuple.dst),
        Direction::Ingress => (Stage::NetworkAclIn, DropReason::NetworkAclIngress, tuple.src),
    };
    let entry = acl.entries.iter().find(|entry| {
        // `ipnet` holds an address of the other family to be outside of every block.
        entry.direction == direction && entry.block.contains(&address) && journey.covers(entry.traffic)
    });
    let (rule_number, allow, detail) = match entry {
        Some(entry) if entry.allow => (entry.rule_number, true, Detail::EntryAllows),
        Some(entry) => (entry.rule_number, false, Detail::EntryDenies),
        None => (last_rule(address), false, Detail::NoEntryMatches),
    };
    let resource = Some(Resource::NetworkAcl { id: acl.id, rule_number });
    if !allow {
        return Err(journey.drop(stage, reason, resource, detail));
    }
    journey.step(stage, StepAction::Pass, resource, detail);
    Ok(())
}

fn last_rule(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => LAST_RULE_IPV4,
        IpAddr::V6(_) => LAST_RULE_IPV6,
    }
}
