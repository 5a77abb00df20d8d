//! CreateNetworkAcl and DeleteNetworkAcl.

use super::describe::shape;
use crate::{Context, context};
use gp_ec2::{ApiError, shapes};
use gp_model::{NetworkAcl, NetworkAclId, RecordKey};

/// A new list has no entries but the final denies, so it lets nothing through.
///
/// # Errors
/// `InvalidVpcID.NotFound`, `NetworkAclLimitExceeded`, `IdempotentParameterMismatch`, `InvalidParameterValue`.
pub(crate) fn create(
    ctx: &mut Context<'_>,
    request: &shapes::CreateNetworkAclRequest,
) -> Result<shapes::CreateNetworkAclResult, ApiError> {
    let acl = match ctx.replayed()?.as_deref() {
        Some([id]) => (*ctx.network_acl(id).map_err(|_| context::token_mismatch())?).clone(),
        Some(_) => return Err(context::token_mismatch()),
        None => make(ctx, request)?,
    };
    Ok(shapes::CreateNetworkAclResult {
        network_acl: Some(shape(ctx, &acl)),
        client_token: request.client_token.clone(),
    })
}

fn make(ctx: &mut Context<'_>, request: &shapes::CreateNetworkAclRequest) -> Result<NetworkAcl, ApiError> {
    let vpc = ctx.vpc(request.vpc_id.as_deref().unwrap_or_default())?;
    let tags = ctx.tags_for(&request.tag_specifications, "network-acl")?;
    let of_vpc = ctx.world().network_acls_of_vpc(vpc.id).count();
    if of_vpc >= ctx.settings.quotas.network_acls_per_vpc {
        let message = "The maximum number of network ACLs has been reached.";
        return Err(ApiError::client("NetworkAclLimitExceeded", message));
    }
    let acl = NetworkAcl {
        id: ctx.draw(NetworkAclId::from_bits),
        owner: ctx.account(),
        vpc: vpc.id,
        is_default: false,
        entries: Vec::new(),
        tags,
    };
    ctx.put(acl.clone());
    ctx.remember([acl.id]);
    Ok(acl)
}

/// # Errors
/// `InvalidNetworkAclID.NotFound`; `InvalidParameterValue` for a VPC's default list; `DependencyViolation` for a list
/// that guards a subnet.
pub(crate) fn delete(ctx: &mut Context<'_>, request: &shapes::DeleteNetworkAclRequest) -> Result<(), ApiError> {
    let acl = ctx.network_acl(request.network_acl_id.as_deref().unwrap_or_default())?;
    if acl.is_default {
        let message = format!("cannot delete default network ACL {}", acl.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    if ctx.world().subnets_of_vpc(acl.vpc).any(|subnet| subnet.network_acl == acl.id) {
        let message = format!("The networkAcl '{}' has dependencies and cannot be deleted.", acl.id);
        return Err(ApiError::client("DependencyViolation", message));
    }
    ctx.delete(RecordKey::NetworkAcl(acl.id));
    Ok(())
}
