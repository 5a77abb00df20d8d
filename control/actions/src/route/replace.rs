//! ReplaceRoute.

use super::target::{self, given};
use super::{destination, is_local};
use crate::Context;
use crate::context::refuse_unsupported;
use gp_ec2::{ApiError, shapes};
use gp_model::{Route, RouteDestination, RouteOrigin, RouteTable};

/// Gives a route another target. A local route's can be replaced, too, and be restored by `LocalTarget`.
///
/// # Errors
/// As [`super::create`]; `InvalidParameterValue` where there is no such route.
pub(crate) fn replace(ctx: &mut Context<'_>, request: &shapes::ReplaceRouteRequest) -> Result<(), ApiError> {
    refuse_unsupported(&target::not_here!(request))?;
    let table = ctx.route_table(request.route_table_id.as_deref().unwrap_or_default())?;
    let destination = destination::parse(ctx, &destination::given!(request))?;
    let is_local = is_local(ctx, &table, destination);
    if !is_local && table.routes.iter().all(|route| route.destination != destination) {
        let message =
            format!("There is no route defined for '{destination}' in the route table. Use CreateRoute instead.");
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    let given = given!(request);
    if request.local_target == Some(true) || given.gateway == Some("local") {
        return restore_local(ctx, &table, destination, is_local, &given);
    }
    let target = target::find(ctx, &table, &given)?;
    destination::check(ctx, &table, destination, target)?;
    ctx.edit(&*table, |table| match table.routes.iter_mut().find(|route| route.destination == destination) {
        Some(route) => route.target = target,
        None => table.routes.push(Route { destination, target, origin: RouteOrigin::CreateRouteTable }),
    });
    Ok(())
}

/// The local route comes back when nothing stands in its place.
fn restore_local(
    ctx: &mut Context<'_>,
    table: &RouteTable,
    destination: RouteDestination,
    is_local: bool,
    given: &target::Given<'_>,
) -> Result<(), ApiError> {
    if given.names_a_target_besides_local() {
        let message = "The parameter localTarget cannot be used with the parameters of other targets";
        return Err(ApiError::client("InvalidParameterCombination", message));
    }
    if !is_local {
        let message = format!("The target local is only for routes to the VPC's own blocks, not for {destination}");
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    ctx.edit(table, |table| table.routes.retain(|route| route.destination != destination));
    Ok(())
}
