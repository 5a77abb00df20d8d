//! CreateRoute.

use super::target::{self, given};
use super::{check_quota, destination};
use crate::Context;
use crate::context::refuse_unsupported;
use gp_ec2::{ApiError, shapes};
use gp_model::{Route, RouteOrigin};

/// Asking again for a route that is there changes nothing.
///
/// # Errors
/// `InvalidRouteTableID.NotFound`, those of bad destinations and targets, `RouteAlreadyExists`, `RouteLimitExceeded`,
/// `UnsupportedOperation`.
pub(crate) fn create(
    ctx: &mut Context<'_>,
    request: &shapes::CreateRouteRequest,
) -> Result<shapes::CreateRouteResult, ApiError> {
    refuse_unsupported(&target::not_here!(request))?;
    let done = Ok(shapes::CreateRouteResult { r#return: Some(true) });
    let table = ctx.route_table(request.route_table_id.as_deref().unwrap_or_default())?;
    let destination = destination::parse(ctx, &destination::given!(request))?;
    let target = target::find(ctx, &table, &given!(request))?;
    if let Some(existing) = ctx.world().routes(&table).find(|route| route.destination == destination) {
        if existing.target == target {
            return done;
        }
        let message = format!("The route identified by {destination} already exists.");
        return Err(ApiError::client("RouteAlreadyExists", message));
    }
    destination::check(ctx, &table, destination, target)?;
    let route = Route { destination, target, origin: RouteOrigin::CreateRoute };
    let edited = ctx.edit(&*table, |table| table.routes.push(route));
    check_quota(ctx, &edited)?;
    done
}
