//! DeleteRoute.

use super::{destination, is_local};
use crate::Context;
use gp_ec2::{ApiError, shapes};
use gp_model::RouteDestination;
use ipnet::IpNet;

/// # Errors
/// `InvalidRouteTableID.NotFound`, `InvalidRoute.NotFound`, `InvalidPrefixListID.NotFound`; `InvalidParameterValue` for
/// a local route, whatever its target.
pub(crate) fn delete(ctx: &mut Context<'_>, request: &shapes::DeleteRouteRequest) -> Result<(), ApiError> {
    let table = ctx.route_table(request.route_table_id.as_deref().unwrap_or_default())?;
    let destination = destination::parse(ctx, &destination::given!(request))?;
    if is_local(ctx, &table, destination) {
        let message = format!("cannot remove local route {destination} in route table {}", table.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    if table.routes.iter().all(|route| route.destination != destination) {
        let parameter = match destination {
            RouteDestination::Block(IpNet::V4(_)) => "destination-cidr-block",
            RouteDestination::Block(IpNet::V6(_)) => "destination-ipv6-cidr-block",
            RouteDestination::PrefixList(_) => "destination-prefix-list-id",
        };
        let message = format!("no route with {parameter} {destination} in route table {}", table.id);
        return Err(ApiError::client("InvalidRoute.NotFound", message));
    }
    ctx.edit(&*table, |table| table.routes.retain(|route| route.destination != destination));
    Ok(())
}
