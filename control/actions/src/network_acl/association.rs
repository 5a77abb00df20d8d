//! ReplaceNetworkAclAssociation: a subnet always has a list, so there is no other way to change it.

use crate::{Context, lookup};
use gp_ec2::{ApiError, shapes};
use gp_model::NetworkAclAssociationId;

/// Puts a subnet under another list of its VPC. The association's id changes.
///
/// # Errors
/// `InvalidAssociationID.NotFound`, `InvalidNetworkAclID.NotFound`; `InvalidParameterValue` for a list of another VPC.
pub(crate) fn replace_association(
    ctx: &mut Context<'_>,
    request: &shapes::ReplaceNetworkAclAssociationRequest,
) -> Result<shapes::ReplaceNetworkAclAssociationResult, ApiError> {
    let words = lookup::ASSOCIATION;
    let text = request.association_id.as_deref().unwrap_or_default();
    let association: NetworkAclAssociationId = words.parse(text)?;
    let subnets = ctx.subnets(&[])?;
    let subnet = subnets.iter().find(|subnet| subnet.network_acl_association == association);
    let subnet = subnet.ok_or_else(|| words.not_found(&[text]))?;
    let acl = ctx.network_acl(request.network_acl_id.as_deref().unwrap_or_default())?;
    if acl.vpc != subnet.vpc {
        let message = format!("network acl {} and subnet {} belong to different networks", acl.id, subnet.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    let id = ctx.draw(NetworkAclAssociationId::from_bits);
    ctx.edit(&**subnet, |subnet| {
        subnet.network_acl = acl.id;
        subnet.network_acl_association = id;
    });
    Ok(shapes::ReplaceNetworkAclAssociationResult { new_association_id: Some(id.to_string()) })
}
