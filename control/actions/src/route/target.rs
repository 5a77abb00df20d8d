//! Where a route leads, as requests write it.

use crate::Context;
use gp_ec2::ApiError;
use gp_model::{
    EgressOnlyInternetGatewayId, Eni, InternetGatewayId, NatGatewayId, NatGatewayState, RouteTable, RouteTarget,
};
use std::fmt::Display;

/// Targets that AWS has and that don't exist here; CreateRoute and ReplaceRoute share them.
macro_rules! not_here {
    ($request:ident) => {
        [
            ("VpcEndpointId", $request.vpc_endpoint_id.is_some()),
            ("TransitGatewayId", $request.transit_gateway_id.is_some()),
            ("LocalGatewayId", $request.local_gateway_id.is_some()),
            ("CarrierGatewayId", $request.carrier_gateway_id.is_some()),
            ("CoreNetworkArn", $request.core_network_arn.is_some()),
            ("OdbNetworkArn", $request.odb_network_arn.is_some()),
            ("VpcPeeringConnectionId", $request.vpc_peering_connection_id.is_some()),
        ]
    };
}
pub(super) use not_here;

/// The parameters that name a target.
pub(super) struct Given<'a> {
    pub gateway: Option<&'a str>,
    pub egress_only_gateway: Option<&'a str>,
    pub nat_gateway: Option<&'a str>,
    pub instance: Option<&'a str>,
    pub network_interface: Option<&'a str>,
}

/// The target of a request; two actions have it under the same names.
macro_rules! given_target {
    ($request:ident) => {
        $crate::route::target::Given {
            gateway: $request.gateway_id.as_deref(),
            egress_only_gateway: $request.egress_only_internet_gateway_id.as_deref(),
            nat_gateway: $request.nat_gateway_id.as_deref(),
            instance: $request.instance_id.as_deref(),
            network_interface: $request.network_interface_id.as_deref(),
        }
    };
}
pub(super) use given_target as given;

impl Given<'_> {
    fn count(&self) -> usize {
        let all = [self.gateway, self.egress_only_gateway, self.nat_gateway, self.instance, self.network_interface];
        all.iter().flatten().count()
    }

    pub(super) fn names_a_target_besides_local(&self) -> bool {
        self.count() > usize::from(self.gateway == Some("local"))
    }
}

/// The one target that is given, if the table may lead there.
///
/// # Errors
/// The targets' `….NotFound`; `InvalidParameterValue` for one of another VPC; `InvalidInstanceID` for an instance with
/// several interfaces; `MissingParameter` and `InvalidParameterCombination` unless exactly one is given;
/// `UnsupportedOperation`.
pub(super) fn find(ctx: &Context<'_>, table: &RouteTable, given: &Given<'_>) -> Result<RouteTarget, ApiError> {
    if given.count() > 1 {
        let message = "The request must contain exactly one of gatewayId, egressOnlyInternetGatewayId, natGatewayId, \
                       networkInterfaceId or instanceId";
        return Err(ApiError::client("InvalidParameterCombination", message));
    }
    if let Some(id) = given.nat_gateway {
        return nat_gateway(ctx, table, id);
    }
    if let Some(id) = given.network_interface {
        return network_interface(table, &*ctx.eni(id)?);
    }
    if let Some(id) = given.instance {
        return instance(ctx, table, id);
    }
    if let Some(id) = given.egress_only_gateway {
        return egress_only_gateway(ctx, table, id);
    }
    match given.gateway {
        Some(id) => gateway(ctx, table, id),
        None => {
            let message = "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, \
                           vpcPeeringConnectionId or transitGatewayId";
            Err(ApiError::client("MissingParameter", message))
        }
    }
}

fn other_network(table: &RouteTable, what: &str, id: impl Display) -> ApiError {
    let message = format!("route table {} and {what} {id} belong to different networks", table.id);
    ApiError::client("InvalidParameterValue", message)
}

fn gateway(ctx: &Context<'_>, table: &RouteTable, text: &str) -> Result<RouteTarget, ApiError> {
    if text == "local" {
        let message = "Local routes follow from the blocks of the VPC and cannot be created.";
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    if text.starts_with("eigw-") {
        return egress_only_gateway(ctx, table, text);
    }
    if ["vgw-", "vpce-"].iter().any(|prefix| text.starts_with(prefix)) {
        return Err(ApiError::unsupported(format!("Groundplane supports no routes to '{text}'.")));
    }
    attached_gateway(ctx, table, text).map(RouteTarget::InternetGateway)
}

/// The internet gateway of the table's VPC with that id.
///
/// # Errors
/// `InvalidGatewayID.NotFound`; `InvalidParameterValue` for one that is attached elsewhere or nowhere.
pub(crate) fn attached_gateway(
    ctx: &Context<'_>,
    table: &RouteTable,
    text: &str,
) -> Result<InternetGatewayId, ApiError> {
    let not_found = || gateway_not_found(text);
    let id: InternetGatewayId = text.parse().map_err(|_| not_found())?;
    let gateway = ctx.world().internet_gateway(id).filter(|gateway| gateway.owner == ctx.account());
    if gateway.ok_or_else(not_found)?.attached_to != Some(table.vpc) {
        return Err(other_network(table, "network gateway", id));
    }
    Ok(id)
}

fn gateway_not_found(text: &str) -> ApiError {
    ApiError::client("InvalidGatewayID.NotFound", format!("The gateway ID '{text}' does not exist"))
}

fn egress_only_gateway(ctx: &Context<'_>, table: &RouteTable, text: &str) -> Result<RouteTarget, ApiError> {
    let not_found = || gateway_not_found(text);
    let id: EgressOnlyInternetGatewayId = text.parse().map_err(|_| not_found())?;
    let gateway = ctx.world().egress_only_internet_gateway(id).filter(|gateway| gateway.owner == ctx.account());
    if gateway.ok_or_else(not_found)?.vpc != table.vpc {
        return Err(other_network(table, "network gateway", id));
    }
    Ok(RouteTarget::EgressOnlyInternetGateway(id))
}

/// A pending gateway is one already; a failed or deleted one is none any more.
fn nat_gateway(ctx: &Context<'_>, table: &RouteTable, text: &str) -> Result<RouteTarget, ApiError> {
    let not_found =
        || ApiError::client("InvalidNatGatewayID.NotFound", format!("The natGateway ID '{text}' does not exist"));
    let id: NatGatewayId = text.parse().map_err(|_| not_found())?;
    let usable = [NatGatewayState::Pending, NatGatewayState::Available];
    let gateway = ctx.world().nat_gateway(id).filter(|gateway| gateway.owner == ctx.account());
    let gateway = gateway.filter(|gateway| usable.contains(&gateway.state)).ok_or_else(not_found)?;
    if gateway.vpc != table.vpc {
        return Err(other_network(table, "network gateway", id));
    }
    Ok(RouteTarget::NatGateway(id))
}

fn network_interface(table: &RouteTable, eni: &Eni) -> Result<RouteTarget, ApiError> {
    if eni.vpc != table.vpc {
        return Err(other_network(table, "interface", eni.id));
    }
    if eni.requester_managed {
        let message = format!("The network interface '{}' is managed by a service and cannot be a target.", eni.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    Ok(RouteTarget::NetworkInterface(eni.id))
}

/// An instance stands for its only network interface.
fn instance(ctx: &Context<'_>, table: &RouteTable, text: &str) -> Result<RouteTarget, ApiError> {
    let instance = ctx.instance(text)?;
    match ctx.world().enis_of_instance(instance.id).as_slice() {
        [eni] => network_interface(table, eni),
        [] => {
            let message = format!("The instance '{}' has no network interface.", instance.id);
            Err(ApiError::client("IncorrectInstanceState", message))
        }
        _ => {
            let message = format!(
                "There are multiple interfaces attached to instance '{}'. Please specify an interface ID for the \
                 operation instead.",
                instance.id
            );
            Err(ApiError::client("InvalidInstanceID", message))
        }
    }
}
