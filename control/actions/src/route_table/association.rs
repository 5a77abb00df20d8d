//! AssociateRouteTable, DisassociateRouteTable and ReplaceRouteTableAssociation.

use crate::context::refuse_unsupported;
use crate::{Context, lookup, route};
use gp_ec2::{ApiError, shapes};
use gp_model::{InternetGatewayId, RouteTable, RouteTableAssociation, RouteTableAssociationId, SubnetId};
use std::sync::Arc;

/// Makes a table route for a subnet, or for what comes in by an internet gateway. Asking again for what is so answers
/// the association that is there.
///
/// # Errors
/// `InvalidRouteTableID.NotFound`, `InvalidSubnetID.NotFound`, `InvalidGatewayID.NotFound`,
/// `Resource.AlreadyAssociated`, `InvalidParameterValue`, `InvalidParameterCombination`, `MissingParameter`,
/// `UnsupportedOperation`.
pub(crate) fn associate(
    ctx: &mut Context<'_>,
    request: &shapes::AssociateRouteTableRequest,
) -> Result<shapes::AssociateRouteTableResult, ApiError> {
    refuse_unsupported(&[("PublicIpv4Pool", request.public_ipv4_pool.is_some())])?;
    let table = ctx.route_table(request.route_table_id.as_deref().unwrap_or_default())?;
    let (subnet, gateway) = match (request.subnet_id.as_deref(), request.gateway_id.as_deref()) {
        (Some(id), None) => (Some(subnet_of(ctx, &table, id)?), None),
        (None, Some(id)) => (None, Some(gateway_of(ctx, &table, id)?)),
        (None, None) => {
            return Err(ApiError::client("MissingParameter", "Either 'subnetId' or 'gatewayId' should be provided."));
        }
        (Some(_), Some(_)) => {
            let message = "The parameter subnetId cannot be used with the parameter gatewayId";
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
    };
    let same = |other: &RouteTableAssociation| !other.main && (other.subnet, other.gateway) == (subnet, gateway);
    let association = match existing(ctx, &table, same) {
        Some((routing, association)) if routing.id == table.id => association.id,
        Some(_) => {
            let message = format!(
                "the specified association for route table {} conflicts with an existing association",
                table.id
            );
            return Err(ApiError::client("Resource.AlreadyAssociated", message));
        }
        None => {
            let id = ctx.draw(RouteTableAssociationId::from_bits);
            let association = RouteTableAssociation { id, subnet, gateway, main: false };
            ctx.edit(&*table, |table| table.associations.push(association));
            id
        }
    };
    Ok(shapes::AssociateRouteTableResult {
        association_id: Some(association.to_string()),
        association_state: Some(associated()),
    })
}

fn subnet_of(ctx: &Context<'_>, table: &RouteTable, id: &str) -> Result<SubnetId, ApiError> {
    let subnet = ctx.subnet(id)?;
    if subnet.vpc == table.vpc {
        return Ok(subnet.id);
    }
    let message = format!("route table {} and subnet {} belong to different networks", table.id, subnet.id);
    Err(ApiError::client("InvalidParameterValue", message))
}

fn gateway_of(ctx: &Context<'_>, table: &RouteTable, id: &str) -> Result<InternetGatewayId, ApiError> {
    if id.starts_with("vgw-") {
        return Err(ApiError::unsupported("Virtual private gateways are not supported by Groundplane."));
    }
    let gateway = route::attached_gateway(ctx, table, id)?;
    route::check_for_gateway(ctx, table)?;
    Ok(gateway)
}

/// Ends what a table does for a gateway that leaves its VPC.
pub(crate) fn release_gateway(ctx: &mut Context<'_>, gateway: InternetGatewayId) {
    if let Some(table) = ctx.world().route_table_of_gateway(gateway).cloned() {
        ctx.edit(&*table, |table| table.associations.retain(|association| association.gateway != Some(gateway)));
    }
}

/// The association of the table's VPC that fits, with the table that has it.
fn existing(
    ctx: &Context<'_>,
    table: &RouteTable,
    fits: impl Fn(&RouteTableAssociation) -> bool,
) -> Option<(Arc<RouteTable>, RouteTableAssociation)> {
    ctx.world().route_tables_of_vpc(table.vpc).find_map(|table| pick(table, &fits))
}

fn pick(
    table: &Arc<RouteTable>,
    fits: impl Fn(&RouteTableAssociation) -> bool,
) -> Option<(Arc<RouteTable>, RouteTableAssociation)> {
    let association = table.associations.iter().find(|association| fits(association))?;
    Some((table.clone(), association.clone()))
}

/// One of the caller's associations, with the table that has it.
fn find(ctx: &Context<'_>, text: Option<&str>) -> Result<(Arc<RouteTable>, RouteTableAssociation), ApiError> {
    let text = text.unwrap_or_default();
    let words = lookup::ASSOCIATION;
    let id: RouteTableAssociationId = words.parse(text)?;
    let found = ctx.route_tables(&[])?.iter().find_map(|table| pick(table, |association| association.id == id));
    found.ok_or_else(|| words.not_found(&[text]))
}

/// A subnet is back under the main table; what comes in by a gateway goes its way unrouted.
///
/// # Errors
/// `InvalidAssociationID.NotFound`; `InvalidParameterValue` for the main association.
pub(crate) fn disassociate(
    ctx: &mut Context<'_>,
    request: &shapes::DisassociateRouteTableRequest,
) -> Result<(), ApiError> {
    let (table, association) = find(ctx, request.association_id.as_deref())?;
    if association.main {
        let message = format!("cannot disassociate the main route table association {}", association.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    ctx.edit(&*table, |table| table.associations.retain(|other| other.id != association.id));
    Ok(())
}

/// Moves a subnet, a gateway, or the VPC's main association, to another table in one step. The association's id changes.
///
/// # Errors
/// `InvalidAssociationID.NotFound`, `InvalidRouteTableID.NotFound`, `InvalidParameterValue`.
pub(crate) fn replace_association(
    ctx: &mut Context<'_>,
    request: &shapes::ReplaceRouteTableAssociationRequest,
) -> Result<shapes::ReplaceRouteTableAssociationResult, ApiError> {
    let (source, association) = find(ctx, request.association_id.as_deref())?;
    let target_id = request.route_table_id.as_deref().unwrap_or_default();
    let target = ctx.route_table(target_id)?;
    if target.vpc != source.vpc {
        let message = format!("route table {} and route table {} belong to different networks", source.id, target.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    if association.gateway.is_some() {
        route::check_for_gateway(ctx, &target)?;
    }
    if association.main && route::has_gateway(&target) {
        let message = format!("The route table {} is associated with a gateway and cannot be the main one.", target.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    let id = ctx.draw(RouteTableAssociationId::from_bits);
    let moved = RouteTableAssociation { id, ..association };
    ctx.edit(&*source, |table| table.associations.retain(|other| other.id != association.id));
    // Looked up again: it may be the same table.
    let target = ctx.route_table(target_id)?;
    ctx.edit(&*target, |table| table.associations.push(moved));
    if association.main {
        let vpc = ctx.vpc(&target.vpc.to_string())?;
        ctx.edit(&*vpc, |vpc| vpc.main_route_table = target.id);
    }
    Ok(shapes::ReplaceRouteTableAssociationResult {
        new_association_id: Some(id.to_string()),
        association_state: Some(associated()),
    })
}

pub(super) fn associated() -> shapes::RouteTableAssociationState {
    shapes::RouteTableAssociationState { state: Some("associated".into()), status_message: None }
}
