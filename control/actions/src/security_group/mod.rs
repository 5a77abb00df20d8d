//! Security groups and their rules.

mod authorize;
mod create;
mod delete;
mod describe;
mod make;
mod modify;
mod permission;
mod reference;
mod revoke;
mod rule;
mod traffic;

pub(crate) use authorize::{authorize_egress, authorize_ingress, check_quota};
pub(crate) use create::create;
pub(crate) use delete::delete;
pub(crate) use describe::describe;
pub(crate) use make::{allow_ipv6, default_group};
pub(crate) use modify::{modify_rules, update_descriptions_egress, update_descriptions_ingress};
pub(crate) use reference::{describe_references, describe_stale, for_vpc};
pub(crate) use revoke::{revoke_egress, revoke_ingress};
pub(crate) use rule::describe_rules;

use crate::Context;
use gp_ec2::ApiError;
use gp_model::SecurityGroup;
use std::sync::Arc;

/// Characters of names and descriptions, next to letters and digits.
const PUNCTUATION: &str = " ._-:/()#,@[]+=&;{}!$*";
/// Longest name and longest description, in characters.
const MAX_TEXT: usize = 255;

/// Is it a name or description that a group or rule may have?
fn is_plain_text(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || PUNCTUATION.contains(c);
    text.chars().all(plain) && text.chars().count() <= MAX_TEXT
}

/// The group that a request is about: by id, or by name in the default VPC.
///
/// # Errors
/// `InvalidGroup.NotFound`, `InvalidGroupId.Malformed`, `MissingParameter`.
fn named(ctx: &Context<'_>, id: Option<&str>, name: Option<&str>) -> Result<Arc<SecurityGroup>, ApiError> {
    match (id, name) {
        (Some(id), _) => ctx.security_group(id),
        (None, Some(name)) => in_default_vpc(ctx, name),
        (None, None) => {
            let message = "The request must contain the parameter groupName or groupId";
            Err(ApiError::client("MissingParameter", message))
        }
    }
}

/// # Errors
/// `InvalidGroup.NotFound`, `VPCIdNotSpecified`.
fn in_default_vpc(ctx: &Context<'_>, name: &str) -> Result<Arc<SecurityGroup>, ApiError> {
    let vpc = ctx.default_vpc().ok_or_else(no_default_vpc)?;
    let found = ctx.world().group_named(vpc.id, name).filter(|group| group.name == name);
    found.cloned().ok_or_else(|| {
        let message = format!("The security group '{name}' does not exist in default VPC '{}'", vpc.id);
        ApiError::client("InvalidGroup.NotFound", message)
    })
}

fn no_default_vpc() -> ApiError {
    ApiError::client("VPCIdNotSpecified", "No default VPC for this user")
}

#[cfg(test)]
mod tests;
