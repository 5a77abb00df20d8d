//! Create-, Attach-, Detach- and DeleteInternetGateway.

use super::describe::shape;
use crate::{Context, route_table};
use gp_ec2::{ApiError, shapes};
use gp_model::{InternetGateway, InternetGatewayId, RecordKey, VpcId, World};

/// # Errors
/// `InternetGatewayLimitExceeded`: an account may have as many as VPCs.
pub(crate) fn create(
    ctx: &mut Context<'_>,
    request: &shapes::CreateInternetGatewayRequest,
) -> Result<shapes::CreateInternetGatewayResult, ApiError> {
    let tags = ctx.tags_for(&request.tag_specifications, "internet-gateway")?;
    if ctx.internet_gateways(&[])?.len() >= ctx.settings.quotas.vpcs {
        let message = "The maximum number of internet gateways has been reached.";
        return Err(ApiError::client("InternetGatewayLimitExceeded", message));
    }
    let id = ctx.draw(InternetGatewayId::from_bits);
    let gateway = InternetGateway { id, owner: ctx.account(), attached_to: None, tags };
    ctx.put(gateway.clone());
    Ok(shapes::CreateInternetGatewayResult { internet_gateway: Some(shape(&gateway)) })
}

/// # Errors
/// `InvalidInternetGatewayID.NotFound`, `InvalidVpcID.NotFound`; `Resource.AlreadyAssociated` for a gateway that has
/// a VPC, `InvalidParameterValue` for a VPC that has a gateway.
pub(crate) fn attach(ctx: &mut Context<'_>, request: &shapes::AttachInternetGatewayRequest) -> Result<(), ApiError> {
    let gateway = ctx.internet_gateway(request.internet_gateway_id.as_deref().unwrap_or_default())?;
    let vpc = ctx.vpc(request.vpc_id.as_deref().unwrap_or_default())?;
    if let Some(network) = gateway.attached_to {
        let message = format!("resource {} is already attached to network {network}", gateway.id);
        return Err(ApiError::client("Resource.AlreadyAssociated", message));
    }
    if ctx.world().gateway_of_vpc(vpc.id).is_some() {
        let message = format!("Network {} already has an internet gateway attached", vpc.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    ctx.edit(&*gateway, |gateway| gateway.attached_to = Some(vpc.id));
    Ok(())
}

/// Routes to it stay, as black holes; the table that routed what came in by it does so no more.
///
/// # Errors
/// `InvalidInternetGatewayID.NotFound`, `InvalidVpcID.NotFound`, `Gateway.NotAttached`; `DependencyViolation` while
/// anything in the VPC has a public address.
pub(crate) fn detach(ctx: &mut Context<'_>, request: &shapes::DetachInternetGatewayRequest) -> Result<(), ApiError> {
    let gateway = ctx.internet_gateway(request.internet_gateway_id.as_deref().unwrap_or_default())?;
    let vpc = ctx.vpc(request.vpc_id.as_deref().unwrap_or_default())?;
    if gateway.attached_to != Some(vpc.id) {
        let message = format!("resource {} is not attached to network {}", gateway.id, vpc.id);
        return Err(ApiError::client("Gateway.NotAttached", message));
    }
    if has_public_addresses(ctx.world(), vpc.id) {
        let message = format!(
            "Network {} has some mapped public address(es). Please unmap those public address(es) before detaching the \
             gateway.",
            vpc.id
        );
        return Err(ApiError::client("DependencyViolation", message));
    }
    ctx.edit(&*gateway, |gateway| gateway.attached_to = None);
    route_table::release_gateway(ctx, gateway.id);
    Ok(())
}

fn has_public_addresses(world: &World, vpc: VpcId) -> bool {
    let mut enis = world.subnets_of_vpc(vpc).flat_map(|subnet| world.enis_of_subnet(subnet.id));
    enis.any(|eni| eni.public_ipv4.is_some() || world.addresses_of_eni(eni.id).next().is_some())
}

/// # Errors
/// `InvalidInternetGatewayID.NotFound`; `DependencyViolation` while it is attached.
pub(crate) fn delete(ctx: &mut Context<'_>, request: &shapes::DeleteInternetGatewayRequest) -> Result<(), ApiError> {
    let gateway = ctx.internet_gateway(request.internet_gateway_id.as_deref().unwrap_or_default())?;
    if gateway.attached_to.is_some() {
        let message = format!("The internetGateway '{}' has dependencies and cannot be deleted.", gateway.id);
        return Err(ApiError::client("DependencyViolation", message));
    }
    if let Some(table) = ctx.world().route_table_of_gateway(gateway.id).cloned() {
        ctx.edit(&*table, |table| table.associations.retain(|a| a.gateway != Some(gateway.id)));
    }
    ctx.delete(RecordKey::InternetGateway(gateway.id));
    Ok(())
}
