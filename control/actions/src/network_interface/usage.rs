//! Network Address Usage: how much of a VPC its ENIs take up, and the quota on it.
//!
//! Every address and every prefix of an ENI is a unit, and so is each ENI of an instance after its first; what a
//! service holds counts as six. Source: VPC user guide, "Network Address Usage for your VPC".

use super::new_eni::INTERFACE;
use crate::Context;
use gp_ec2::ApiError;
use gp_model::{Eni, VpcId, World};

/// Units of an ENI that a service holds.
const OF_A_SERVICE: usize = 6;
/// No ENI comes to more: as many addresses of both families as one without an instance may hold, and itself.
const MOST_OF_AN_ENI: usize = 101;

/// Is the VPC's usage within the quota, now that the plan has made it grow?
///
/// # Errors
/// `NetworkAddressUsageLimitExceeded`.
pub(super) fn check(ctx: &Context<'_>, vpc: VpcId) -> Result<(), ApiError> {
    let (world, most) = (ctx.world(), ctx.settings.quotas.network_address_units_per_vpc);
    // Nearly every account is far below, and need not be counted.
    if world.enis_of_owner(ctx.account()).saturating_mul(MOST_OF_AN_ENI) <= most || of_vpc(world, vpc) <= most {
        return Ok(());
    }
    let message = format!("The VPC '{vpc}' has reached its limit of {most} network address units.");
    Err(ApiError::client("NetworkAddressUsageLimitExceeded", message))
}

fn of_vpc(world: &World, vpc: VpcId) -> usize {
    let enis = world.subnets_of_vpc(vpc).flat_map(|subnet| world.enis_of_subnet(subnet.id));
    enis.filter_map(|id| world.eni(id)).map(|eni| of_eni(eni)).sum()
}

fn of_eni(eni: &Eni) -> usize {
    if eni.requester_managed && eni.interface_type != INTERFACE {
        return OF_A_SERVICE;
    }
    let held = eni.private_ipv4.len() + eni.ipv6.len() + eni.ipv4_prefixes.len() + eni.ipv6_prefixes.len();
    let is_additional = eni.attachment.as_ref().is_some_and(|attachment| attachment.device_index > 0);
    held + usize::from(is_additional)
}
