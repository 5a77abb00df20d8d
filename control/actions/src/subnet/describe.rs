//! DescribeSubnets, and a subnet as replies show it.

use crate::filter::{Filter, each, one};
use crate::page::Query;
use crate::tag_spec::tag_list;
use crate::{Context, zones_of};
use gp_ec2::{ApiError, shapes};
use gp_model::{HostnameType, Subnet, SubnetIpv6Cidr};

/// Addresses of a block that are never free: the first four and the last.
const RESERVED: i64 = 5;

/// # Errors
/// `InvalidSubnetID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeSubnetsRequest,
) -> Result<shapes::DescribeSubnetsResult, ApiError> {
    let subnets = ctx.subnets(&request.subnet_ids)?;
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.subnet_ids.is_empty(), "subnetIds"),
    };
    let key = |subnet: &shapes::Subnet| subnet.subnet_id.clone().unwrap_or_default();
    let (subnets, next_token) = ctx.list(subnets.iter().map(|subnet| shape(ctx, subnet)), query, FILTERS, key)?;
    Ok(shapes::DescribeSubnetsResult { next_token, subnets })
}

/// The names in camel case, and `cidr`, are older spellings that EC2 and its clients still use.
const FILTERS: &[Filter<shapes::Subnet>] = &[
    ("availability-zone", |s| one(&s.availability_zone)),
    ("availabilityZone", |s| one(&s.availability_zone)),
    ("availability-zone-id", |s| one(&s.availability_zone_id)),
    ("availabilityZoneId", |s| one(&s.availability_zone_id)),
    ("available-ip-address-count", |s| one(&s.available_ip_address_count)),
    ("cidr-block", |s| one(&s.cidr_block)),
    ("cidr", |s| one(&s.cidr_block)),
    ("cidrBlock", |s| one(&s.cidr_block)),
    ("default-for-az", |s| one(&s.default_for_az)),
    ("defaultForAz", |s| one(&s.default_for_az)),
    ("enable-dns64", |s| one(&s.enable_dns64)),
    ("ipv6-cidr-block-association.ipv6-cidr-block", |s| {
        each(&s.ipv6_cidr_block_association_set, |a| a.ipv6_cidr_block.clone())
    }),
    ("ipv6-cidr-block-association.association-id", |s| {
        each(&s.ipv6_cidr_block_association_set, |a| a.association_id.clone())
    }),
    ("ipv6-cidr-block-association.state", |s| {
        each(&s.ipv6_cidr_block_association_set, |a| a.ipv6_cidr_block_state.as_ref()?.state.clone())
    }),
    ("ipv6-native", |s| one(&s.ipv6_native)),
    ("map-customer-owned-ip-on-launch", |s| one(&s.map_customer_owned_ip_on_launch)),
    ("map-public-ip-on-launch", |s| one(&s.map_public_ip_on_launch)),
    ("owner-id", |s| one(&s.owner_id)),
    ("private-dns-name-options-on-launch.hostname-type", |s| {
        each(s.private_dns_name_options_on_launch.as_slice(), |o| o.hostname_type.clone())
    }),
    ("private-dns-name-options-on-launch.enable-resource-name-dns-a-record", |s| {
        each(s.private_dns_name_options_on_launch.as_slice(), |o| o.enable_resource_name_dns_a_record)
    }),
    ("private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record", |s| {
        each(s.private_dns_name_options_on_launch.as_slice(), |o| o.enable_resource_name_dns_aaaa_record)
    }),
    ("state", |s| one(&s.state)),
    ("subnet-arn", |s| one(&s.subnet_arn)),
    ("subnet-id", |s| one(&s.subnet_id)),
    ("subnetId", |s| one(&s.subnet_id)),
    ("vpc-id", |s| one(&s.vpc_id)),
    ("vpcId", |s| one(&s.vpc_id)),
];

/// A subnet as DescribeSubnets shows it.
pub(super) fn shape(ctx: &Context<'_>, subnet: &Subnet) -> shapes::Subnet {
    let zones = zones_of(ctx.region(), ctx.settings);
    let zone_id = zones.into_iter().find(|zone| zone.zone == subnet.zone).map(|zone| zone.id);
    shapes::Subnet {
        availability_zone_id: zone_id,
        map_customer_owned_ip_on_launch: Some(false),
        owner_id: Some(subnet.owner.to_string()),
        assign_ipv6_address_on_creation: Some(subnet.assign_ipv6_address_on_creation),
        ipv6_cidr_block_association_set: subnet.ipv6_cidrs.iter().map(|c| ipv6_association(c, "associated")).collect(),
        tags: tag_list(&subnet.tags),
        subnet_arn: Some(ctx.arn("subnet", subnet.id)),
        enable_dns64: Some(subnet.enable_dns64),
        ipv6_native: Some(subnet.is_ipv6_native()),
        private_dns_name_options_on_launch: Some(shapes::PrivateDnsNameOptionsOnLaunch {
            hostname_type: Some(hostname_type(subnet.hostname_type).into()),
            enable_resource_name_dns_a_record: Some(subnet.resource_name_dns_a_record),
            enable_resource_name_dns_aaaa_record: Some(subnet.resource_name_dns_aaaa_record),
        }),
        block_public_access_states: Some(shapes::BlockPublicAccessStates {
            internet_gateway_block_mode: Some("off".into()),
        }),
        subnet_id: Some(subnet.id.to_string()),
        state: Some("available".into()),
        vpc_id: Some(subnet.vpc.to_string()),
        cidr_block: subnet.cidr.map(|cidr| cidr.to_string()),
        available_ip_address_count: Some(available(ctx, subnet)),
        availability_zone: Some(subnet.zone.to_string()),
        default_for_az: Some(subnet.default_for_az),
        map_public_ip_on_launch: Some(subnet.map_public_ip_on_launch),
        ..Default::default()
    }
}

/// How many IPv4 addresses an ENI could still be given.
fn available(ctx: &Context<'_>, subnet: &Subnet) -> i64 {
    let Some(cidr) = subnet.cidr else { return 0 };
    let size = 1i64 << (cidr.max_prefix_len() - cidr.prefix_len());
    let used = i64::try_from(ctx.world().ipv4_slots_of_subnet(subnet.id)).unwrap_or(i64::MAX);
    size - RESERVED - used
}

pub(super) fn ipv6_association(cidr: &SubnetIpv6Cidr, state: &str) -> shapes::SubnetIpv6CidrBlockAssociation {
    shapes::SubnetIpv6CidrBlockAssociation {
        association_id: Some(cidr.id.to_string()),
        ipv6_cidr_block: Some(cidr.cidr.to_string()),
        ipv6_cidr_block_state: Some(shapes::SubnetCidrBlockState { state: Some(state.into()), status_message: None }),
        ipv6_address_attribute: Some("public".into()),
        ip_source: Some("amazon".into()),
    }
}

/// As the API writes it.
pub(crate) fn hostname_type(hostname_type: HostnameType) -> &'static str {
    match hostname_type {
        HostnameType::IpName => "ip-name",
        HostnameType::ResourceName => "resource-name",
    }
}
