//! CreateRoute, ReplaceRoute and DeleteRoute. The targets that exist are the VPC's internet gateway and `local`.
//!
//! A route table's local routes follow from its VPC's blocks: they can't be made, taken away or pointed elsewhere.

use crate::context::refuse_unsupported;
use crate::{Context, block};
use gp_ec2::{ApiError, shapes};
use gp_model::{InternetGatewayId, Route, RouteOrigin, RouteTable, RouteTarget};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Where the VPC's own services live: routes into these would never be asked.
/// Source: VPC user guide, "Route table concepts".
const SERVICES: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 168, 0), 22)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32)),
];

/// Destinations and targets that CreateRoute and ReplaceRoute share and that don't exist here.
macro_rules! beyond_gateways {
    ($request:ident) => {
        [
            ("DestinationPrefixListId", $request.destination_prefix_list_id.is_some()),
            ("VpcEndpointId", $request.vpc_endpoint_id.is_some()),
            ("TransitGatewayId", $request.transit_gateway_id.is_some()),
            ("LocalGatewayId", $request.local_gateway_id.is_some()),
            ("CarrierGatewayId", $request.carrier_gateway_id.is_some()),
            ("CoreNetworkArn", $request.core_network_arn.is_some()),
            ("OdbNetworkArn", $request.odb_network_arn.is_some()),
            ("EgressOnlyInternetGatewayId", $request.egress_only_internet_gateway_id.is_some()),
            ("InstanceId", $request.instance_id.is_some()),
            ("NetworkInterfaceId", $request.network_interface_id.is_some()),
            ("VpcPeeringConnectionId", $request.vpc_peering_connection_id.is_some()),
            ("NatGatewayId", $request.nat_gateway_id.is_some()),
        ]
    };
}

/// # Errors
/// `InvalidRouteTableID.NotFound`, `InvalidGatewayID.NotFound`, `RouteAlreadyExists`, `RouteLimitExceeded`,
/// `InvalidParameterValue`, `InvalidParameterCombination`, `MissingParameter`, `UnsupportedOperation`.
pub(crate) fn create(
    ctx: &mut Context<'_>,
    request: &shapes::CreateRouteRequest,
) -> Result<shapes::CreateRouteResult, ApiError> {
    refuse_unsupported(&beyond_gateways!(request))?;
    let table = ctx.route_table(request.route_table_id.as_deref().unwrap_or_default())?;
    let (v4, v6) = (request.destination_cidr_block.as_deref(), request.destination_ipv6_cidr_block.as_deref());
    let destination = destination(v4, v6)?;
    let target = gateway(ctx, &table, request.gateway_id.as_deref())?;
    if ctx.world().routes(&table).iter().any(|route| route.destination == destination.into()) {
        let message = format!("The route identified by {destination} already exists.");
        return Err(ApiError::client("RouteAlreadyExists", message));
    }
    check_destination(ctx, &table, destination)?;
    check_quota(ctx, &table, destination)?;
    let route = Route { destination: destination.into(), target, origin: RouteOrigin::CreateRoute };
    ctx.edit(&*table, |table| table.routes.push(route));
    Ok(shapes::CreateRouteResult { r#return: Some(true) })
}

/// # Errors
/// As [`create`]; `InvalidParameterValue` where there is no such route.
pub(crate) fn replace(ctx: &mut Context<'_>, request: &shapes::ReplaceRouteRequest) -> Result<(), ApiError> {
    refuse_unsupported(&beyond_gateways!(request))?;
    let table = ctx.route_table(request.route_table_id.as_deref().unwrap_or_default())?;
    let (v4, v6) = (request.destination_cidr_block.as_deref(), request.destination_ipv6_cidr_block.as_deref());
    let destination = destination(v4, v6)?;
    let to_local = request.local_target == Some(true) || request.gateway_id.as_deref() == Some("local");
    if to_local && request.gateway_id.as_deref().is_some_and(|id| id != "local") {
        let message = "The parameter localTarget cannot be used with the parameter gatewayId";
        return Err(ApiError::client("InvalidParameterCombination", message));
    }
    let routes = ctx.world().routes(&table);
    let Some(route) = routes.iter().find(|route| route.destination == destination.into()) else {
        let message =
            format!("There is no route defined for '{destination}' in the route table. Use CreateRoute instead.");
        return Err(ApiError::client("InvalidParameterValue", message));
    };
    match (route.target, to_local) {
        // Which is what it is.
        (RouteTarget::Local, true) => return Ok(()),
        (RouteTarget::Local, false) => return Err(not_for_a_gateway(destination)),
        (_, true) => {
            let message = format!("The target local is only for routes to the VPC's own blocks, not for {destination}");
            return Err(ApiError::client("InvalidParameterValue", message));
        }
        (_, false) => {}
    }
    let target = gateway(ctx, &table, request.gateway_id.as_deref())?;
    ctx.edit(&*table, |table| {
        for route in table.routes.iter_mut().filter(|route| route.destination == destination.into()) {
            route.target = target;
        }
    });
    Ok(())
}

/// # Errors
/// `InvalidRouteTableID.NotFound`, `InvalidRoute.NotFound`, `InvalidParameterValue`, `UnsupportedOperation`.
pub(crate) fn delete(ctx: &mut Context<'_>, request: &shapes::DeleteRouteRequest) -> Result<(), ApiError> {
    refuse_unsupported(&[("DestinationPrefixListId", request.destination_prefix_list_id.is_some())])?;
    let table = ctx.route_table(request.route_table_id.as_deref().unwrap_or_default())?;
    let (v4, v6) = (request.destination_cidr_block.as_deref(), request.destination_ipv6_cidr_block.as_deref());
    let destination = destination(v4, v6)?;
    let routes = ctx.world().routes(&table);
    match routes.iter().find(|route| route.destination == destination.into()).map(|route| route.target) {
        Some(RouteTarget::Local) => {
            let message = format!("cannot remove local route {destination} in route table {}", table.id);
            Err(ApiError::client("InvalidParameterValue", message))
        }
        Some(_) => {
            ctx.edit(&*table, |table| table.routes.retain(|route| route.destination != destination.into()));
            Ok(())
        }
        None => {
            let parameter = match destination {
                IpNet::V4(_) => "destination-cidr-block",
                IpNet::V6(_) => "destination-ipv6-cidr-block",
            };
            let message = format!("no route with {parameter} {destination} in route table {}", table.id);
            Err(ApiError::client("InvalidRoute.NotFound", message))
        }
    }
}

fn destination(v4: Option<&str>, v6: Option<&str>) -> Result<IpNet, ApiError> {
    match (v4, v6) {
        (Some(text), None) => block::parse_ipv4(text, "destinationCidrBlock").map(IpNet::V4),
        (None, Some(text)) => block::parse_ipv6(text, "destinationIpv6CidrBlock").map(IpNet::V6),
        (None, None) => {
            let message = "The request must contain exactly one of destinationCidrBlock, destinationIpv6CidrBlock, \
                           destinationPrefixListId";
            Err(ApiError::client("MissingParameter", message))
        }
        (Some(_), Some(_)) => {
            let message = "Only one of destinationCidrBlock, destinationIpv6CidrBlock, destinationPrefixListId can \
                           be specified";
            Err(ApiError::client("InvalidParameterCombination", message))
        }
    }
}

/// The internet gateway that a route of this table may go to.
fn gateway(ctx: &Context<'_>, table: &RouteTable, id: Option<&str>) -> Result<RouteTarget, ApiError> {
    let Some(text) = id else {
        let message = "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, \
                       vpcPeeringConnectionId or transitGatewayId";
        return Err(ApiError::client("MissingParameter", message));
    };
    if text == "local" {
        let message = "Local routes follow from the blocks of the VPC and cannot be created.";
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    if ["vgw-", "vpce-", "eigw-"].iter().any(|prefix| text.starts_with(prefix)) {
        let message = format!("Groundplane supports routes to internet gateways only, not to '{text}'.");
        return Err(ApiError::unsupported(message));
    }
    let not_found = || ApiError::client("InvalidGatewayID.NotFound", format!("The gateway ID '{text}' does not exist"));
    let id: InternetGatewayId = text.parse().map_err(|_| not_found())?;
    let gateway = ctx.world().internet_gateway(id).filter(|gateway| gateway.owner == ctx.account());
    if gateway.ok_or_else(not_found)?.attached_to != Some(table.vpc) {
        let message = format!("route table {} and network gateway {id} belong to different networks", table.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    Ok(RouteTarget::InternetGateway(id))
}

fn check_destination(ctx: &Context<'_>, table: &RouteTable, destination: IpNet) -> Result<(), ApiError> {
    if SERVICES.iter().any(|services| services.contains(&destination)) {
        let message = format!("The destination CIDR block {destination} is reserved for services of the VPC.");
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    let inside = ctx.world().vpc(table.vpc).is_some_and(|vpc| vpc.blocks().any(|block| block.contains(&destination)));
    if inside { Err(not_for_a_gateway(destination)) } else { Ok(()) }
}

fn not_for_a_gateway(destination: IpNet) -> ApiError {
    let message = format!(
        "The destination CIDR block {destination} is equal to or more specific than one of this VPC's CIDR blocks. \
         This route can target only an interface or an instance."
    );
    ApiError::client("InvalidParameterValue", message)
}

fn check_quota(ctx: &Context<'_>, table: &RouteTable, destination: IpNet) -> Result<(), ApiError> {
    let is_ipv4 = |net: IpNet| matches!(net, IpNet::V4(_));
    let same_family =
        table.routes.iter().filter(|route| route.destination.block().map(is_ipv4) == Some(is_ipv4(destination)));
    if same_family.count() < ctx.settings.quotas.routes_per_table {
        return Ok(());
    }
    Err(ApiError::client("RouteLimitExceeded", "The maximum number of routes has been reached."))
}
