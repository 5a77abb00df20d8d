//! DescribeVpcs, and a VPC as replies show it.

use crate::Context;
use crate::filter::{Filter, each, one};
use crate::page::Query;
use crate::tag_spec::tag_list;
use gp_ec2::{ApiError, shapes};
use gp_model::{Vpc, VpcCidr, VpcIpv6Cidr};

/// # Errors
/// `InvalidVpcID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeVpcsRequest,
) -> Result<shapes::DescribeVpcsResult, ApiError> {
    let vpcs = ctx.vpcs(&request.vpc_ids)?;
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.vpc_ids.is_empty(), "vpcIds"),
    };
    let key = |vpc: &shapes::Vpc| vpc.vpc_id.clone().unwrap_or_default();
    let (vpcs, next_token) = ctx.list(vpcs.iter().map(|vpc| shape(vpc)), query, FILTERS, key)?;
    Ok(shapes::DescribeVpcsResult { next_token, vpcs })
}

/// The names in camel case, and `cidr-block`, are older spellings that EC2 and its clients still use.
const FILTERS: &[Filter<shapes::Vpc>] = &[
    ("cidr", |v| one(&v.cidr_block)),
    ("cidr-block", |v| one(&v.cidr_block)),
    ("cidrBlock", |v| one(&v.cidr_block)),
    ("cidr-block-association.cidr-block", |v| each(&v.cidr_block_association_set, |a| a.cidr_block.clone())),
    ("cidr-block-association.association-id", |v| each(&v.cidr_block_association_set, |a| a.association_id.clone())),
    ("cidr-block-association.state", |v| {
        each(&v.cidr_block_association_set, |a| a.cidr_block_state.as_ref()?.state.clone())
    }),
    ("dhcp-options-id", |v| one(&v.dhcp_options_id)),
    ("dhcpOptionsId", |v| one(&v.dhcp_options_id)),
    ("ipv6-cidr-block-association.ipv6-cidr-block", |v| {
        each(&v.ipv6_cidr_block_association_set, |a| a.ipv6_cidr_block.clone())
    }),
    ("ipv6-cidr-block-association.ipv6-pool", |v| each(&v.ipv6_cidr_block_association_set, |a| a.ipv6_pool.clone())),
    ("ipv6-cidr-block-association.association-id", |v| {
        each(&v.ipv6_cidr_block_association_set, |a| a.association_id.clone())
    }),
    ("ipv6-cidr-block-association.state", |v| {
        each(&v.ipv6_cidr_block_association_set, |a| a.ipv6_cidr_block_state.as_ref()?.state.clone())
    }),
    ("is-default", |v| one(&v.is_default)),
    ("isDefault", |v| one(&v.is_default)),
    ("instance-tenancy", |v| one(&v.instance_tenancy)),
    ("owner-id", |v| one(&v.owner_id)),
    ("state", |v| one(&v.state)),
    ("vpc-id", |v| one(&v.vpc_id)),
    ("vpcId", |v| one(&v.vpc_id)),
];

/// A VPC as DescribeVpcs shows it.
pub(super) fn shape(vpc: &Vpc) -> shapes::Vpc {
    shapes::Vpc {
        owner_id: Some(vpc.owner.to_string()),
        instance_tenancy: Some(vpc.tenancy.clone()),
        ipv6_cidr_block_association_set: vpc
            .ipv6_cidrs
            .iter()
            .map(|cidr| ipv6_association(cidr, "associated"))
            .collect(),
        cidr_block_association_set: vpc.cidrs.iter().map(|cidr| association(cidr, "associated")).collect(),
        is_default: Some(vpc.is_default),
        tags: tag_list(&vpc.tags),
        block_public_access_states: Some(shapes::BlockPublicAccessStates {
            internet_gateway_block_mode: Some("off".into()),
        }),
        vpc_id: Some(vpc.id.to_string()),
        state: Some("available".into()),
        cidr_block: Some(vpc.primary_cidr().to_string()),
        // AWS writes `default` where a VPC has no set.
        dhcp_options_id: Some(vpc.dhcp_options.map_or("default".into(), |id| id.to_string())),
        ..Default::default()
    }
}

pub(super) fn association(cidr: &VpcCidr, state: &str) -> shapes::VpcCidrBlockAssociation {
    shapes::VpcCidrBlockAssociation {
        association_id: Some(cidr.id.to_string()),
        cidr_block: Some(cidr.cidr.to_string()),
        cidr_block_state: Some(block_state(state)),
    }
}

pub(super) fn ipv6_association(cidr: &VpcIpv6Cidr, state: &str) -> shapes::VpcIpv6CidrBlockAssociation {
    shapes::VpcIpv6CidrBlockAssociation {
        association_id: Some(cidr.id.to_string()),
        ipv6_cidr_block: Some(cidr.cidr.to_string()),
        ipv6_cidr_block_state: Some(block_state(state)),
        network_border_group: Some(cidr.network_border_group.clone()),
        ipv6_pool: Some(cidr.pool.clone()),
        ipv6_address_attribute: Some("public".into()),
        ip_source: Some(if cidr.is_amazons() { "amazon" } else { "byoip" }.into()),
    }
}

fn block_state(state: &str) -> shapes::VpcCidrBlockState {
    shapes::VpcCidrBlockState { state: Some(state.into()), status_message: None }
}
