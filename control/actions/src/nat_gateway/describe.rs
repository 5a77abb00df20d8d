//! DescribeNatGateways, and a gateway as replies show it.

use crate::Context;
use crate::filter::{Filter, one};
use crate::network_interface::wire_time;
use crate::page::Query;
use crate::tag_spec::tag_list;
use gp_ec2::{ApiError, shapes};
use gp_model::{NatConnectivity, NatGateway, NatGatewayAddress, NatGatewayState};

const FILTERS: &[Filter<shapes::NatGateway>] = &[
    ("nat-gateway-id", |g| one(&g.nat_gateway_id)),
    ("state", |g| one(&g.state)),
    ("subnet-id", |g| one(&g.subnet_id)),
    ("vpc-id", |g| one(&g.vpc_id)),
];

/// # Errors
/// `NatGatewayNotFound`, and those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeNatGatewaysRequest,
) -> Result<shapes::DescribeNatGatewaysResult, ApiError> {
    let gateways = ctx.nat_gateways(&request.nat_gateway_ids)?;
    let query = Query {
        filters: &request.filter,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.nat_gateway_ids.is_empty(), "natGatewayIds"),
    };
    let key = |gateway: &shapes::NatGateway| gateway.nat_gateway_id.clone().unwrap_or_default();
    let shapes = gateways.iter().map(|gateway| shape(ctx, gateway));
    let (nat_gateways, next_token) = ctx.list(shapes, query, FILTERS, key)?;
    Ok(shapes::DescribeNatGatewaysResult { nat_gateways, next_token })
}

pub(super) fn shape(ctx: &Context<'_>, gateway: &NatGateway) -> shapes::NatGateway {
    let shown = |address| address_shape(ctx, gateway, address, address_status(gateway, address));
    let addresses = gateway.addresses.iter().map(shown);
    // It is known before the gateway has failed, but AWS doesn't tell so early.
    let failure = gateway.failure.as_ref().filter(|_| gateway.state != NatGatewayState::Pending);
    shapes::NatGateway {
        create_time: Some(wire_time(gateway.created_at)),
        delete_time: gateway.deleted_at.map(wire_time),
        failure_code: failure.map(|(code, _)| code.clone()),
        failure_message: failure.map(|(_, message)| message.clone()),
        nat_gateway_addresses: addresses.collect(),
        nat_gateway_id: Some(gateway.id.to_string()),
        state: Some(state(gateway.state).to_owned()),
        subnet_id: Some(gateway.subnet.to_string()),
        vpc_id: Some(gateway.vpc.to_string()),
        tags: tag_list(&gateway.tags),
        connectivity_type: Some(connectivity(gateway.connectivity).to_owned()),
        availability_mode: Some("zonal".to_owned()),
        ..Default::default()
    }
}

/// One of the gateway's addresses; the first is the primary one.
pub(super) fn address_shape(
    ctx: &Context<'_>,
    gateway: &NatGateway,
    address: &NatGatewayAddress,
    status: &str,
) -> shapes::NatGatewayAddress {
    let elastic = address.allocation.and_then(|id| ctx.world().address(id));
    let primary = gateway.addresses.first().is_some_and(|first| first.private_ip == address.private_ip);
    shapes::NatGatewayAddress {
        allocation_id: address.allocation.map(|id| id.to_string()),
        network_interface_id: gateway.eni.map(|id| id.to_string()),
        private_ip: Some(address.private_ip.to_string()),
        public_ip: elastic.map(|address| address.public_ip.to_string()),
        association_id: address.association.map(|id| id.to_string()),
        is_primary: Some(primary),
        status: Some(status.to_owned()),
        ..Default::default()
    }
}

/// What is being done with the address.
pub(super) fn address_status(gateway: &NatGateway, address: &NatGatewayAddress) -> &'static str {
    let goes = gateway.state == NatGatewayState::Deleting || address.drains_until.is_some();
    match (gateway.state, gateway.connectivity) {
        (NatGatewayState::Pending, NatConnectivity::Public) => "associating",
        (NatGatewayState::Pending, NatConnectivity::Private) => "assigning",
        (_, NatConnectivity::Public) if goes => "disassociating",
        (_, NatConnectivity::Private) if goes => "unassigning",
        _ => "succeeded",
    }
}

fn state(state: NatGatewayState) -> &'static str {
    match state {
        NatGatewayState::Pending => "pending",
        NatGatewayState::Available => "available",
        NatGatewayState::Failed => "failed",
        NatGatewayState::Deleting => "deleting",
        NatGatewayState::Deleted => "deleted",
    }
}

fn connectivity(connectivity: NatConnectivity) -> &'static str {
    match connectivity {
        NatConnectivity::Public => "public",
        NatConnectivity::Private => "private",
    }
}
