//! AssociateRouteTable, DisassociateRouteTable and ReplaceRouteTableAssociation.

use crate::context::refuse_unsupported;
use crate::{Context, lookup};
use gp_ec2::{ApiError, shapes};
use gp_model::{RouteTable, RouteTableAssociation, RouteTableAssociationId};
use std::sync::Arc;

/// Makes a table route for a subnet. Asking again for what is so answers the association that is there.
///
/// # Errors
/// `InvalidRouteTableID.NotFound`, `InvalidSubnetID.NotFound`, `Resource.AlreadyAssociated`,
/// `InvalidParameterValue`, `UnsupportedOperation` for gateways.
pub(crate) fn associate(
    ctx: &mut Context<'_>,
    request: &shapes::AssociateRouteTableRequest,
) -> Result<shapes::AssociateRouteTableResult, ApiError> {
    refuse_unsupported(&[
        ("GatewayId", request.gateway_id.is_some()),
        ("PublicIpv4Pool", request.public_ipv4_pool.is_some()),
    ])?;
    let table = ctx.route_table(request.route_table_id.as_deref().unwrap_or_default())?;
    let Some(subnet_id) = request.subnet_id.as_deref() else {
        return Err(ApiError::client("MissingParameter", "Either 'subnetId' or 'gatewayId' should be provided."));
    };
    let subnet = ctx.subnet(subnet_id)?;
    if subnet.vpc != table.vpc {
        let message = format!("route table {} and subnet {} belong to different networks", table.id, subnet.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    let association = match existing(ctx, &table, |association| association.subnet == Some(subnet.id)) {
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
            let association = RouteTableAssociation { id, subnet: Some(subnet.id), gateway: None, main: false };
            ctx.edit(&*table, |table| table.associations.push(association));
            id
        }
    };
    Ok(shapes::AssociateRouteTableResult {
        association_id: Some(association.to_string()),
        association_state: Some(associated()),
    })
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

/// The subnet is back under the main table.
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

/// Moves a subnet, or the VPC's main association, to another table in one step. The association's id changes.
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
