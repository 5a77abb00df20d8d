//! Where a NAT gateway gets to once its host has done what its state asks for, and when an address has drained.

use crate::network_interface::managed;
use gp_model::{Change, NatGateway, NatGatewayAddress, NatGatewayId, NatGatewayState, Timestamp, World};
use std::net::Ipv4Addr;

/// The changes that settle those of the gateways that are on their way to another state.
pub fn plan_settled(world: &World, gateways: &[NatGatewayId], now: Timestamp) -> Vec<Change> {
    let passing = gateways.iter().filter_map(|id| world.nat_gateway(*id)).filter(|gateway| gateway.is_passing());
    passing.flat_map(|gateway| settle(world, gateway, now)).collect()
}

fn settle(world: &World, gateway: &NatGateway, now: Timestamp) -> Vec<Change> {
    let mut settled = gateway.clone();
    match (gateway.state, &gateway.failure) {
        (NatGatewayState::Pending, None) => settled.state = NatGatewayState::Available,
        (NatGatewayState::Pending, Some(_)) => {
            settled.state = NatGatewayState::Failed;
            settled.deleted_at = Some(now);
        }
        _ => return delete(world, settled, now),
    }
    vec![Change::Put(settled.into())]
}

/// Its ENI goes, and its Elastic IP addresses are free again.
fn delete(world: &World, mut gateway: NatGateway, now: Timestamp) -> Vec<Change> {
    let mut changes = gateway.eni.take().map(|eni| managed::released(world, eni)).unwrap_or_default();
    gateway.state = NatGatewayState::Deleted;
    gateway.deleted_at = Some(now);
    for address in &mut gateway.addresses {
        address.association = None;
        address.drains_until = None;
    }
    changes.push(Change::Put(gateway.into()));
    changes
}

// === draining addresses ===

/// The changes that take away every address whose time to drain is over.
pub fn plan_drained(world: &World, now: Timestamp) -> Vec<Change> {
    let due = world.draining_nat_gateways().take_while(|(end, _)| *end <= now);
    due.flat_map(|(_, gateway)| take_away(world, gateway, |_, until| until <= now)).collect()
}

/// The changes that take an address away that is to drain until then: no connection uses it any more. None where it
/// has gone, or is the gateway's again.
pub(crate) fn plan_unused(world: &World, id: NatGatewayId, address: Ipv4Addr, drains_until: Timestamp) -> Vec<Change> {
    let available = world.nat_gateway(id).filter(|gateway| gateway.first_drain_end().is_some());
    let is_it = |private: Ipv4Addr, until: Timestamp| private == address && until == drains_until;
    available.map(|gateway| take_away(world, gateway, is_it)).unwrap_or_default()
}

/// Without those of its draining addresses: their Elastic IP addresses are free again.
fn take_away(world: &World, gateway: &NatGateway, goes: impl Fn(Ipv4Addr, Timestamp) -> bool) -> Vec<Change> {
    let goes = |address: &NatGatewayAddress| address.drains_until.is_some_and(|until| goes(address.private_ip, until));
    let (gone, kept): (Vec<_>, Vec<_>) = gateway.addresses.iter().cloned().partition(goes);
    if gone.is_empty() {
        return Vec::new();
    }
    let private: Vec<_> = gone.iter().map(|address| address.private_ip).collect();
    let mut changes = gateway.eni.map(|eni| managed::without_addresses(world, eni, &private)).unwrap_or_default();
    changes.push(Change::Put(NatGateway { addresses: kept, ..gateway.clone() }.into()));
    changes
}
