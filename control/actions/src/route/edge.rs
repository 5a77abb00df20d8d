//! Route tables of a gateway: they say where in the VPC what comes in by it goes first.
//!
//! Source: VPC user guide, "Gateway route tables".

use super::destination::{is_whole, no_subnet};
use crate::Context;
use gp_ec2::ApiError;
use gp_model::{RouteDestination, RouteTable, RouteTarget, World};

/// Does the table route for a gateway?
pub(crate) fn has_gateway(table: &RouteTable) -> bool {
    table.associations.iter().any(|association| association.gateway.is_some())
}

/// Could the table route for a gateway, with the routes that it has?
///
/// # Errors
/// `InvalidParameterValue`.
pub(crate) fn check_for_gateway(ctx: &Context<'_>, table: &RouteTable) -> Result<(), ApiError> {
    if table.associations.iter().any(|association| association.main) {
        let message = format!("The main route table {} cannot be associated with a gateway.", table.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    table.routes.iter().try_for_each(|route| check(ctx.world(), table, route.destination, route.target))
}

/// # Errors
/// `InvalidParameterValue` for what a gateway's table can't have.
pub(super) fn check(
    world: &World,
    table: &RouteTable,
    destination: RouteDestination,
    target: RouteTarget,
) -> Result<(), ApiError> {
    let Some(block) = destination.block() else {
        let message = format!("A gateway's route table cannot have a route to the prefix list {destination}.");
        return Err(ApiError::client("InvalidParameterValue", message));
    };
    if !matches!(target, RouteTarget::Local | RouteTarget::NetworkInterface(_)) {
        let message = format!(
            "The route to {destination} is not for a gateway's route table: its target can only be local or a network \
             interface."
        );
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    let whole = world.vpc(table.vpc).is_some_and(|vpc| is_whole(world, vpc, block));
    if whole { Ok(()) } else { Err(no_subnet()) }
}
