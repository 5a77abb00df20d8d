//! CreateRouteTable and DeleteRouteTable.

use super::describe::shape;
use crate::{Context, context};
use gp_ec2::{ApiError, shapes};
use gp_model::{RecordKey, RouteTable, RouteTableId};

/// A new table has the local routes alone.
///
/// # Errors
/// `InvalidVpcID.NotFound`, `RouteTableLimitExceeded`, `IdempotentParameterMismatch`, `InvalidParameterValue`.
pub(crate) fn create(
    ctx: &mut Context<'_>,
    request: &shapes::CreateRouteTableRequest,
) -> Result<shapes::CreateRouteTableResult, ApiError> {
    let table = match ctx.replayed()?.as_deref() {
        Some([id]) => (*ctx.route_table(id).map_err(|_| context::token_mismatch())?).clone(),
        Some(_) => return Err(context::token_mismatch()),
        None => make(ctx, request)?,
    };
    Ok(shapes::CreateRouteTableResult {
        route_table: Some(shape(ctx, &table)),
        client_token: request.client_token.clone(),
    })
}

fn make(ctx: &mut Context<'_>, request: &shapes::CreateRouteTableRequest) -> Result<RouteTable, ApiError> {
    let vpc = ctx.vpc(request.vpc_id.as_deref().unwrap_or_default())?;
    let tags = ctx.tags_for(&request.tag_specifications, "route-table")?;
    if ctx.world().route_tables_of_vpc(vpc.id).count() >= ctx.settings.quotas.route_tables_per_vpc {
        let message = "The maximum number of route tables has been reached.";
        return Err(ApiError::client("RouteTableLimitExceeded", message));
    }
    let table = RouteTable {
        id: ctx.draw(RouteTableId::from_bits),
        owner: ctx.account(),
        vpc: vpc.id,
        routes: Vec::new(),
        associations: Vec::new(),
        tags,
    };
    ctx.put(table.clone());
    ctx.remember([table.id]);
    Ok(table)
}

/// # Errors
/// `InvalidRouteTableID.NotFound`; `DependencyViolation` for a table that routes for a subnet, or for the main one.
pub(crate) fn delete(ctx: &mut Context<'_>, request: &shapes::DeleteRouteTableRequest) -> Result<(), ApiError> {
    let table = ctx.route_table(request.route_table_id.as_deref().unwrap_or_default())?;
    // The main association is one too.
    if !table.associations.is_empty() {
        let message = format!("The routeTable '{}' has dependencies and cannot be deleted.", table.id);
        return Err(ApiError::client("DependencyViolation", message));
    }
    ctx.delete(RecordKey::RouteTable(table.id));
    Ok(())
}
