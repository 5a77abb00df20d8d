//! STS GetCallerIdentity: who the caller is.

use crate::{Context, place};
use gp_ec2::{ApiError, shapes};

/// # Errors
/// None.
pub(crate) fn get(ctx: &Context<'_>) -> Result<shapes::GetCallerIdentityResponse, ApiError> {
    let (account, principal) = (ctx.account().to_string(), &ctx.caller.principal);
    let name = if *principal == account { "root".to_owned() } else { format!("user/{principal}") };
    Ok(shapes::GetCallerIdentityResponse {
        arn: Some(format!("arn:{}:iam::{account}:{name}", place::partition(ctx.region().as_str()))),
        user_id: Some(principal.clone()),
        account: Some(account),
    })
}
