//! The one list of actions: each goes to the function of its resource.

use crate::{Context, caller_identity};
use gp_ec2::{Action, ApiError, Reply};

/// Carries out one action on the context's copy of the world.
///
/// # Errors
/// The action's refusal.
pub(crate) fn run(ctx: &mut Context<'_>, action: &Action) -> Result<Reply, ApiError> {
    Ok(match action {
        Action::GetCallerIdentity(_) => Reply::GetCallerIdentity(caller_identity::get(ctx)?),
        other => {
            return Err(ApiError::unsupported(format!(
                "The action {} is not implemented by Groundplane.",
                other.name()
            )));
        }
    })
}
