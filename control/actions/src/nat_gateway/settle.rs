//! Where a NAT gateway gets to once its host has done what its state asks for.

use crate::network_interface::managed;
use gp_model::{Change, NatGateway, NatGatewayId, NatGatewayState, Timestamp, World};

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
    }
    changes.push(Change::Put(gateway.into()));
    changes
}
