//! Where instances go: the zone and, where the request names no subnet, the default one of that zone.

use crate::Context;
use crate::context::refuse_unsupported;
use gp_ec2::ApiError;
use gp_ec2::shapes::Placement;
use gp_model::{Subnet, Zone};
use std::sync::Arc;

/// Checks everything about a placement that is not its zone.
///
/// # Errors
/// `InvalidPlacementGroup.Unknown`, since there are none; `UnsupportedOperation` for hosts of one's own.
pub(super) fn check(ctx: &Context<'_>, placement: Option<&Placement>) -> Result<(), ApiError> {
    let Some(placement) = placement else { return Ok(()) };
    let said = |value: &Option<String>| value.as_deref().is_some_and(|value| !value.is_empty());
    let tenancy = placement.tenancy.as_deref().unwrap_or("default");
    refuse_unsupported(&[
        ("Placement.Tenancy", !matches!(tenancy, "default" | "")),
        ("Placement.Affinity", said(&placement.affinity)),
        ("Placement.HostId", said(&placement.host_id)),
        ("Placement.HostResourceGroupArn", said(&placement.host_resource_group_arn)),
        ("Placement.PartitionNumber", placement.partition_number.is_some()),
        ("Placement.SpreadDomain", said(&placement.spread_domain)),
    ])?;
    let mut groups = [&placement.group_name, &placement.group_id].into_iter().flatten();
    if let Some(group) = groups.find(|group| !group.is_empty()) {
        let message = format!("The Placement Group '{group}' is unknown.");
        return Err(ApiError::client("InvalidPlacementGroup.Unknown", message));
    }
    zone(ctx, Some(placement)).map(drop)
}

/// The zone that the request asks for.
///
/// # Errors
/// `InvalidParameterValue` for one that the region has not.
pub(super) fn zone(ctx: &Context<'_>, placement: Option<&Placement>) -> Result<Option<Zone>, ApiError> {
    let Some(placement) = placement else { return Ok(None) };
    let name = placement.availability_zone.as_deref().filter(|name| !name.is_empty());
    let id = placement.availability_zone_id.as_deref().filter(|id| !id.is_empty());
    let Some(given) = name.or(id) else { return Ok(None) };
    let zones = crate::zones_of(ctx.region(), ctx.settings);
    let fits = |facts: &&crate::ZoneFacts| {
        name.is_none_or(|name| facts.zone.as_str() == name) && id.is_none_or(|id| facts.id == id)
    };
    match zones.iter().find(fits) {
        Some(facts) => Ok(Some(facts.zone.clone())),
        None => {
            let message = format!("Invalid availability zone: [{given}]");
            Err(ApiError::client("InvalidParameterValue", message))
        }
    }
}

/// The subnet that the request names, in the zone that it names.
///
/// # Errors
/// `InvalidSubnetID.NotFound`; `InvalidParameterValue` where the two disagree.
pub(super) fn named_subnet(ctx: &Context<'_>, id: &str, zone: Option<&Zone>) -> Result<Arc<Subnet>, ApiError> {
    let subnet = ctx.subnet(id)?;
    if let Some(zone) = zone
        && *zone != subnet.zone
    {
        let why = format!("Subnet '{id}' is in the availability zone {}.", subnet.zone);
        return Err(ApiError::invalid_value(zone, "AvailabilityZone", why));
    }
    Ok(subnet)
}

/// The default VPC's default subnet: of the zone, or the first there is.
///
/// # Errors
/// `VPCIdNotSpecified` without a default VPC, `MissingInput` without a default subnet.
pub(super) fn default_subnet(ctx: &Context<'_>, zone: Option<&Zone>) -> Result<Arc<Subnet>, ApiError> {
    let Some(vpc) = ctx.default_vpc() else {
        let message = "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.";
        return Err(ApiError::client("VPCIdNotSpecified", message));
    };
    let fits = |subnet: &&Arc<Subnet>| subnet.default_for_az && zone.is_none_or(|zone| subnet.zone == *zone);
    let subnet = ctx.world().subnets_of_vpc(vpc.id).filter(fits).min_by(|a, b| a.zone.cmp(&b.zone));
    subnet.cloned().ok_or_else(|| {
        let message = match zone {
            Some(zone) => format!("No default subnet for availability zone: '{zone}'."),
            None => format!("No subnets found for the default VPC '{}'. Please specify a subnet.", vpc.id),
        };
        ApiError::client("MissingInput", message)
    })
}
