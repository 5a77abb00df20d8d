//! CreateSecurityGroup.

use super::make::{DEFAULT_NAME, new_group};
use super::{is_plain_text, no_default_vpc};
use crate::Context;
use crate::tag_spec::tag_list;
use gp_ec2::{ApiError, shapes};
use gp_model::{SecurityGroupId, Vpc};

/// Without `VpcId` the group is for the default VPC.
///
/// # Errors
/// `InvalidVpcID.NotFound`, `VPCIdNotSpecified`, `InvalidGroup.Duplicate`, `InvalidParameterValue`,
/// `SecurityGroupLimitExceeded`.
pub(crate) fn create(
    ctx: &mut Context<'_>,
    request: &shapes::CreateSecurityGroupRequest,
) -> Result<shapes::CreateSecurityGroupResult, ApiError> {
    // EC2 trims what stands behind a name, not before it.
    let name = request.group_name.as_deref().unwrap_or_default().trim_end();
    let description = request.description.as_deref().unwrap_or_default();
    check_name(name)?;
    check_description(description)?;
    let vpc = match request.vpc_id.as_deref() {
        Some(id) => ctx.vpc(id)?,
        None => ctx.default_vpc().ok_or_else(no_default_vpc)?,
    };
    refuse_duplicate(ctx, &vpc, name)?;
    let tags = ctx.tags_for(&request.tag_specifications, "security-group")?;
    if ctx.world().groups_of_owner(ctx.account()) >= ctx.settings.quotas.security_groups {
        let message = "The maximum number of security groups has been reached.";
        return Err(ApiError::client("SecurityGroupLimitExceeded", message));
    }
    let id = ctx.draw(SecurityGroupId::from_bits);
    let group = new_group(ctx, id, &vpc, name.to_owned(), description.to_owned(), tags);
    let result = shapes::CreateSecurityGroupResult {
        group_id: Some(id.to_string()),
        tags: tag_list(&group.tags),
        security_group_arn: Some(ctx.arn("security-group", id)),
    };
    ctx.put(group);
    Ok(result)
}

fn check_name(name: &str) -> Result<(), ApiError> {
    if name.is_empty() {
        return Err(ApiError::missing_parameter("GroupName"));
    }
    if name.eq_ignore_ascii_case(DEFAULT_NAME) {
        return Err(invalid(format!("Cannot use reserved security group name: {name}")));
    }
    if name.starts_with("sg-") {
        return Err(ApiError::invalid_value(name, "GroupName", "Group names may not be in the format sg-*."));
    }
    if !is_plain_text(name) {
        return Err(invalid(
            "Invalid security group name. Valid names are strings less than 256 characters from the following set: \
             a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
        ));
    }
    Ok(())
}

fn check_description(description: &str) -> Result<(), ApiError> {
    if description.is_empty() {
        return Err(ApiError::missing_parameter("GroupDescription"));
    }
    if !is_plain_text(description) {
        return Err(invalid(
            "Invalid security group description. Valid descriptions are strings less than 256 characters from the \
             following set: a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
        ));
    }
    Ok(())
}

/// Names are one per VPC, whatever their case.
fn refuse_duplicate(ctx: &Context<'_>, vpc: &Vpc, name: &str) -> Result<(), ApiError> {
    if ctx.world().group_named(vpc.id, name).is_none() {
        return Ok(());
    }
    let message = format!("The security group '{name}' already exists for VPC '{}'", vpc.id);
    Err(ApiError::client("InvalidGroup.Duplicate", message))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::client("InvalidParameterValue", message)
}
