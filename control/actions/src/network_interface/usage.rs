//! Network Address Usage: the quota on how much of a VPC its ENIs take up ([`gp_model::Eni::address_units`]).

use crate::Context;
use gp_ec2::ApiError;
use gp_model::VpcId;

/// Is the VPC's usage within the quota, now that the plan has made it grow?
///
/// # Errors
/// `NetworkAddressUsageLimitExceeded`.
pub(super) fn check(ctx: &Context<'_>, vpc: VpcId) -> Result<(), ApiError> {
    let most = ctx.settings.quotas.network_address_units_per_vpc;
    if ctx.world().address_units_of_vpc(vpc) <= most {
        return Ok(());
    }
    let message = format!("The VPC '{vpc}' has reached its limit of {most} network address units.");
    Err(ApiError::client("NetworkAddressUsageLimitExceeded", message))
}
