//! CreateSubnet and CreateDefaultSubnet.

use super::{NewSubnet, cidr, describe::ipv6_association, describe::shape, make};
use crate::context::refuse_unsupported;
use crate::{Context, ZoneFacts, block, zones_of};
use gp_ec2::{ApiError, shapes};
use gp_model::{Vpc, Zone};
use ipnet::{Ipv4Net, Ipv6Net};

/// IPAM pools and Outposts are refused.
///
/// # Errors
/// `InvalidVpcID.NotFound`, `InvalidSubnet.Range`, `InvalidSubnet.Conflict`, `SubnetLimitExceeded`,
/// `InvalidParameterValue`, `InvalidParameterCombination`, `MissingParameter`, `UnsupportedOperation`.
pub(crate) fn create(
    ctx: &mut Context<'_>,
    request: &shapes::CreateSubnetRequest,
) -> Result<shapes::CreateSubnetResult, ApiError> {
    refuse_unsupported(&[
        ("OutpostArn", request.outpost_arn.is_some()),
        ("Ipv4IpamPoolId", request.ipv4_ipam_pool_id.is_some()),
        ("Ipv4NetmaskLength", request.ipv4_netmask_length.is_some()),
        ("Ipv6IpamPoolId", request.ipv6_ipam_pool_id.is_some()),
        ("Ipv6NetmaskLength", request.ipv6_netmask_length.is_some()),
    ])?;
    let vpc = ctx.vpc(request.vpc_id.as_deref().unwrap_or_default())?;
    let zone = zone(ctx, request.availability_zone.as_deref(), request.availability_zone_id.as_deref())?;
    let (cidr, ipv6_cidr) = blocks(ctx, &vpc, request)?;
    let tags = ctx.tags_for(&request.tag_specifications, "subnet")?;
    check_quota(ctx, &vpc)?;
    let subnet = make(ctx, &vpc, NewSubnet { zone, cidr, ipv6_cidr, default_for_az: false, tags });
    // As AWS, the answer is ahead of the IPv6 block's association.
    let ipv6_cidr_block_association_set =
        subnet.ipv6_cidrs.iter().map(|cidr| ipv6_association(cidr, "associating")).collect();
    let shape = shapes::Subnet { ipv6_cidr_block_association_set, ..shape(ctx, &subnet) };
    Ok(shapes::CreateSubnetResult { subnet: Some(shape) })
}

type Blocks = (Option<Ipv4Net>, Option<Ipv6Net>);

fn blocks(ctx: &Context<'_>, vpc: &Vpc, request: &shapes::CreateSubnetRequest) -> Result<Blocks, ApiError> {
    let (v4, v6) = (request.cidr_block.as_deref(), request.ipv6_cidr_block.as_deref());
    match (request.ipv6_native == Some(true), v4, v6) {
        (true, Some(_), _) => {
            let message =
                "When specifying ipv4 parameters, cidrBlock or ipv4IpamPoolId, you cannot set ipv6Native to true.";
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
        (true, None, None) => {
            let message = "Either 'ipv6CidrBlock' or 'ipv6IpamPoolId' should be provided.";
            return Err(ApiError::client("MissingParameter", message));
        }
        (false, None, _) => {
            let message = "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.";
            return Err(ApiError::client("MissingParameter", message));
        }
        _ => {}
    }
    let v4 = v4.map(|text| cidr::check_ipv4(ctx, vpc, text)).transpose()?;
    let v6 = v6.map(|text| cidr::check_ipv6(ctx, vpc, text)).transpose()?;
    Ok((v4, v6))
}

/// The zone that a request names, by name or by id; the region's first if it names none.
fn zone(ctx: &Context<'_>, name: Option<&str>, id: Option<&str>) -> Result<Zone, ApiError> {
    let zones = zones_of(ctx.region(), ctx.settings);
    let (found, given, parameter): (Option<&ZoneFacts>, _, _) = match (name, id) {
        (Some(_), Some(_)) => {
            let message = "You cannot specify both availabilityZone and availabilityZoneId";
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
        (Some(name), None) => (zones.iter().find(|z| z.zone.as_str() == name), name, "availabilityZone"),
        (None, Some(id)) => (zones.iter().find(|z| z.id == id), id, "availabilityZoneId"),
        (None, None) => (zones.first(), "", "availabilityZone"),
    };
    found.map(|zone| zone.zone.clone()).ok_or_else(|| {
        let by_id = parameter == "availabilityZoneId";
        let names: Vec<_> = zones.iter().map(|z| if by_id { z.id.as_str() } else { z.zone.as_str() }).collect();
        let why =
            format!("Subnets can currently only be created in the following availability zones: {}.", names.join(", "));
        ApiError::invalid_value(given, parameter, why)
    })
}

fn check_quota(ctx: &Context<'_>, vpc: &Vpc) -> Result<(), ApiError> {
    if ctx.world().subnets_of_vpc(vpc.id).count() < ctx.settings.quotas.subnets_per_vpc {
        return Ok(());
    }
    let message = "The maximum number of subnets has been reached.";
    Err(ApiError::client("SubnetLimitExceeded", message))
}

/// Takes the first free /20 of the default VPC.
///
/// # Errors
/// `DefaultVpcDoesNotExist`, `DefaultSubnetAlreadyExistsInAvailabilityZone`, `InvalidParameterValue`,
/// `InvalidSubnet.Conflict` if no block is free, `UnsupportedOperation`.
pub(crate) fn create_default(
    ctx: &mut Context<'_>,
    request: &shapes::CreateDefaultSubnetRequest,
) -> Result<shapes::CreateDefaultSubnetResult, ApiError> {
    refuse_unsupported(&[("Ipv6Native", request.ipv6_native == Some(true))])?;
    if request.availability_zone.is_none() && request.availability_zone_id.is_none() {
        return Err(ApiError::missing_parameter("AvailabilityZone"));
    }
    let zone = zone(ctx, request.availability_zone.as_deref(), request.availability_zone_id.as_deref())?;
    let Some(vpc) = ctx.default_vpc() else {
        let message = "There is no default VPC in this region. Use CreateDefaultVpc to create one.";
        return Err(ApiError::client("DefaultVpcDoesNotExist", message));
    };
    if ctx.world().subnets_of_vpc(vpc.id).any(|subnet| subnet.default_for_az && subnet.zone == zone) {
        let message = format!("A default subnet already exists in Availability Zone '{zone}'.");
        return Err(ApiError::client("DefaultSubnetAlreadyExistsInAvailabilityZone", message));
    }
    check_quota(ctx, &vpc)?;
    let mut blocks =
        vpc.primary_cidr().subnets(block::DEFAULT_SUBNET_LEN).expect("a default VPC's block is a /16, larger than /20");
    let free = blocks.find(|block| !cidr::overlaps_a_subnet(ctx, &vpc, (*block).into()));
    let Some(cidr) = free else {
        let message = format!("The default VPC {} has no free block for another default subnet", vpc.id);
        return Err(ApiError::client("InvalidSubnet.Conflict", message));
    };
    let subnet = make(ctx, &vpc, NewSubnet::default_for(zone, cidr));
    Ok(shapes::CreateDefaultSubnetResult { subnet: Some(shape(ctx, &subnet)) })
}
