//! DeleteSecurityGroup.

use super::named;
use crate::Context;
use gp_ec2::{ApiError, shapes};
use gp_model::RecordKey;

/// # Errors
/// `InvalidGroup.NotFound`; `CannotDelete` for a VPC's own group; `DependencyViolation` while an ENI is in the group or
/// another group's rule names it.
pub(crate) fn delete(
    ctx: &mut Context<'_>,
    request: &shapes::DeleteSecurityGroupRequest,
) -> Result<shapes::DeleteSecurityGroupResult, ApiError> {
    let group = named(ctx, request.group_id.as_deref(), request.group_name.as_deref())?;
    let world = ctx.world();
    if world.vpc(group.vpc).is_some_and(|vpc| vpc.default_security_group == group.id) {
        let message =
            format!("the specified group: \"{}\" name: \"{}\" cannot be deleted by a user", group.id, group.name);
        return Err(ApiError::client("CannotDelete", message));
    }
    let named_by_others = world.groups_naming(group.id).any(|other| other != group.id);
    if named_by_others || world.enis_of_group(group.id).next().is_some() {
        let message = format!("resource {} has a dependent object", group.id);
        return Err(ApiError::client("DependencyViolation", message));
    }
    ctx.delete(RecordKey::SecurityGroup(group.id));
    Ok(shapes::DeleteSecurityGroupResult { r#return: Some(true), group_id: Some(group.id.to_string()) })
}
