//! What a route is for, as requests write it, and which targets it may have.
//!
//! Source: VPC user guide, "Route table concepts" and "Middlebox routing".

use super::edge;
use crate::{Context, block, prefix_list};
use gp_ec2::ApiError;
use gp_model::{RouteDestination, RouteTable, RouteTarget, Vpc, World};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Where the VPC's own services live: routes into these would never be asked.
const SERVICES: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 168, 0), 22)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32)),
];

/// The three parameters that name a destination.
pub(super) struct Given<'a> {
    pub ipv4: Option<&'a str>,
    pub ipv6: Option<&'a str>,
    pub prefix_list: Option<&'a str>,
}

/// The destination of a request; three actions have it under the same names.
macro_rules! given_destination {
    ($request:ident) => {
        $crate::route::destination::Given {
            ipv4: $request.destination_cidr_block.as_deref(),
            ipv6: $request.destination_ipv6_cidr_block.as_deref(),
            prefix_list: $request.destination_prefix_list_id.as_deref(),
        }
    };
}
pub(super) use given_destination as given;

/// # Errors
/// `InvalidParameterValue`, `InvalidPrefixListID.NotFound`; `MissingParameter` and `InvalidParameterCombination` unless
/// exactly one is given.
pub(super) fn parse(ctx: &Context<'_>, given: &Given<'_>) -> Result<RouteDestination, ApiError> {
    match (given.ipv4, given.ipv6, given.prefix_list) {
        (Some(text), None, None) => block::parse_ipv4(text, "destinationCidrBlock").map(|net| IpNet::V4(net).into()),
        (None, Some(text), None) => {
            block::parse_ipv6(text, "destinationIpv6CidrBlock").map(|net| IpNet::V6(net).into())
        }
        (None, None, Some(id)) => ctx.prefix_list(id).map(|list| RouteDestination::PrefixList(list.id)),
        (None, None, None) => {
            let message = "The request must contain exactly one of destinationCidrBlock, destinationIpv6CidrBlock, \
                           destinationPrefixListId";
            Err(ApiError::client("MissingParameter", message))
        }
        _ => {
            let message = "Only one of destinationCidrBlock, destinationIpv6CidrBlock, destinationPrefixListId can \
                           be specified";
            Err(ApiError::client("InvalidParameterCombination", message))
        }
    }
}

/// May the table have a route for that destination to that target?
///
/// # Errors
/// `InvalidParameterValue`, `InvalidParameterCombination`.
pub(super) fn check(
    ctx: &Context<'_>,
    table: &RouteTable,
    destination: RouteDestination,
    target: RouteTarget,
) -> Result<(), ApiError> {
    if matches!(target, RouteTarget::EgressOnlyInternetGateway(_)) && has_ipv4(ctx.world(), destination) {
        let message = "The parameter egressOnlyInternetGatewayId can only be used with an IPv6 destination";
        return Err(ApiError::client("InvalidParameterCombination", message));
    }
    if let RouteDestination::Block(block) = destination {
        if SERVICES.iter().any(|services| services.contains(&block)) {
            let message = format!("The destination CIDR block {block} is reserved for services of the VPC.");
            return Err(ApiError::client("InvalidParameterValue", message));
        }
        if let Some(vpc) = ctx.world().vpc(table.vpc) {
            check_inside(ctx.world(), vpc, block, target)?;
        }
    }
    if edge::has_gateway(table) { edge::check(ctx.world(), table, destination, target) } else { Ok(()) }
}

fn has_ipv4(world: &World, destination: RouteDestination) -> bool {
    match destination {
        RouteDestination::Block(block) => matches!(block, IpNet::V4(_)),
        RouteDestination::PrefixList(list) => prefix_list::weight(world, list).0 > 0,
    }
}

/// A route inside the VPC sends through a middlebox what goes to a whole subnet, or to all of a block of the VPC.
fn check_inside(world: &World, vpc: &Vpc, block: IpNet, target: RouteTarget) -> Result<(), ApiError> {
    if !vpc.blocks().any(|of_vpc| of_vpc.contains(&block)) {
        return Ok(());
    }
    if !matches!(target, RouteTarget::NatGateway(_) | RouteTarget::NetworkInterface(_)) {
        let message = format!(
            "The destination CIDR block {block} is equal to or more specific than one of this VPC's CIDR blocks. \
             This route can target only an interface or an instance."
        );
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    if is_whole(world, vpc, block) { Ok(()) } else { Err(no_subnet()) }
}

/// Is it a whole block of the VPC or of one of its subnets?
pub(super) fn is_whole(world: &World, vpc: &Vpc, block: IpNet) -> bool {
    let of_subnets = world.subnets_of_vpc(vpc.id).flat_map(|subnet| subnet.blocks().collect::<Vec<_>>());
    vpc.blocks().chain(of_subnets).any(|whole| whole == block)
}

pub(super) fn no_subnet() -> ApiError {
    ApiError::client("InvalidParameterValue", "Route destination doesn't match any subnet CIDR blocks.")
}
