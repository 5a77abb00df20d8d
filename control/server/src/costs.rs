//! What would cost on AWS by the hour: each public IPv4 address of Amazon's, used or idle, and each NAT gateway.
//!
//! Prices are the list prices of us-east-1 as of 2024, in US dollars. Source: AWS, "New – AWS Public IPv4 Address
//! Charge" (every public IPv4 address since 1 February 2024) and VPC pricing. Traffic is not counted.

use crate::engine::Engine;
use axum::Json;
use axum::extract::State;
use gp_model::{AccountId, NatGateway, NatGatewayState, Region, World};
use serde::Serialize;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Ten-thousandths of a dollar.
const PUBLIC_IPV4: u64 = 50;
const NAT_GATEWAY: u64 = 450;

/// One thing that costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Cost {
    region: Region,
    account: AccountId,
    /// `elastic-ip`, `public-ip` or `nat-gateway`.
    kind: &'static str,
    /// The allocation, the ENI of an automatic address, or the gateway.
    id: String,
    public_ip: Option<Ipv4Addr>,
    /// What uses it; none where an address is idle.
    used_by: Option<String>,
    /// Dollars in ten-thousandths, so that sums are exact.
    usd_e4_per_hour: u64,
}

/// What would cost in every region.
pub(crate) async fn list(State(engine): State<Arc<Engine>>) -> Json<Vec<Cost>> {
    Json(engine.store.snapshot().regions.values().flat_map(|world| of(world)).collect())
}

/// Everything that costs in a region, kind by kind.
fn of(world: &World) -> Vec<Cost> {
    let tables = world.tables();
    // What the operator brought costs nothing, as with AWS's customers.
    let charged = tables.addresses.values().filter(|address| address.pool == "amazon");
    let elastic = charged.map(|address| Cost {
        region: world.region.clone(),
        account: address.owner,
        kind: "elastic-ip",
        id: address.id.to_string(),
        public_ip: Some(address.public_ip),
        used_by: address.association.as_ref().map(|association| user(world, association.eni)),
        usd_e4_per_hour: PUBLIC_IPV4,
    });
    let automatic = tables.enis.values().filter_map(|eni| {
        let public_ip = eni.public_ipv4?;
        Some(Cost {
            region: world.region.clone(),
            account: eni.owner,
            kind: "public-ip",
            id: eni.id.to_string(),
            public_ip: Some(public_ip),
            used_by: Some(user(world, eni.id)),
            usd_e4_per_hour: PUBLIC_IPV4,
        })
    });
    let gateways = tables.nat_gateways.values().filter(|gateway| is_billed(gateway)).map(|gateway| Cost {
        region: world.region.clone(),
        account: gateway.owner,
        kind: "nat-gateway",
        id: gateway.id.to_string(),
        public_ip: None,
        used_by: Some(gateway.subnet.to_string()),
        usd_e4_per_hour: NAT_GATEWAY,
    });
    elastic.chain(automatic).chain(gateways).collect()
}

fn is_billed(gateway: &NatGateway) -> bool {
    matches!(gateway.state, NatGatewayState::Pending | NatGatewayState::Available | NatGatewayState::Deleting)
}

/// The instance or the gateway behind an ENI, else the ENI.
fn user(world: &World, eni: gp_model::EniId) -> String {
    let attachment = world.eni(eni).and_then(|eni| eni.attachment.as_ref());
    let gateway = world.nat_gateway_of_eni(eni).map(|gateway| gateway.id.to_string());
    attachment.map(|a| a.instance.to_string()).or(gateway).unwrap_or_else(|| eni.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_model::{Address, AllocationId, Change};

    #[test]
    fn an_idle_address_costs_as_much_as_a_used_one_and_says_so() {
        let mut world = World::new(Region::new("eu-central-1"));
        let address = Address {
            id: AllocationId::from_bits(1),
            owner: AccountId::default(),
            public_ip: Ipv4Addr::new(198, 51, 100, 20),
            pool: "amazon".into(),
            network_border_group: "eu-central-1".into(),
            association: None,
            service_managed: None,
            domain_name: None,
            tags: Default::default(),
        };
        world.apply(Change::Put(address.into()));
        let costs = of(&world);
        assert_eq!(costs.len(), 1);
        assert_eq!((costs[0].kind, &costs[0].used_by, costs[0].usd_e4_per_hour), ("elastic-ip", &None, 50));
    }
}
