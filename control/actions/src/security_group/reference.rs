//! Questions across groups: DescribeSecurityGroupReferences, DescribeStaleSecurityGroups, GetSecurityGroupsForVpc.

use crate::Context;
use crate::filter::{Filter, one};
use crate::page::Query;
use crate::tag_spec::tag_list;
use gp_ec2::{ApiError, shapes};
use gp_model::SecurityGroup;

/// VPCs on the other side of a peering connection that name the caller's groups: there is no peering, so none.
///
/// # Errors
/// `InvalidGroup.NotFound`, `InvalidGroupId.Malformed`.
pub(crate) fn describe_references(
    ctx: &Context<'_>,
    request: &shapes::DescribeSecurityGroupReferencesRequest,
) -> Result<shapes::DescribeSecurityGroupReferencesResult, ApiError> {
    ctx.security_groups(&request.group_id)?;
    Ok(shapes::DescribeSecurityGroupReferencesResult::default())
}

/// Groups with rules that name a group behind a deleted peering connection: there is no peering, so none.
///
/// # Errors
/// `InvalidVpcID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe_stale(
    ctx: &Context<'_>,
    request: &shapes::DescribeStaleSecurityGroupsRequest,
) -> Result<shapes::DescribeStaleSecurityGroupsResult, ApiError> {
    ctx.vpc(request.vpc_id.as_deref().unwrap_or_default())?;
    let query = Query {
        filters: &[],
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (false, "groupIds"),
    };
    let none: [shapes::StaleSecurityGroup; 0] = [];
    let (stale_security_group_set, next_token) = ctx.list(none, query, &[], |_| String::new())?;
    Ok(shapes::DescribeStaleSecurityGroupsResult { next_token, stale_security_group_set })
}

/// The groups that ENIs of a VPC can be in.
///
/// # Errors
/// `InvalidVpcID.NotFound`, and those of [`Context::list`].
pub(crate) fn for_vpc(
    ctx: &Context<'_>,
    request: &shapes::GetSecurityGroupsForVpcRequest,
) -> Result<shapes::GetSecurityGroupsForVpcResult, ApiError> {
    let vpc = ctx.vpc(request.vpc_id.as_deref().unwrap_or_default())?;
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (false, "groupIds"),
    };
    let shapes = ctx.world().groups_of_vpc(vpc.id).map(|group| shape(group));
    let key = |group: &shapes::SecurityGroupForVpc| group.group_id.clone().unwrap_or_default();
    let (security_group_for_vpcs, next_token) = ctx.list(shapes, query, FILTERS, key)?;
    Ok(shapes::GetSecurityGroupsForVpcResult { next_token, security_group_for_vpcs })
}

const FILTERS: &[Filter<shapes::SecurityGroupForVpc>] = &[
    ("group-id", |g| one(&g.group_id)),
    ("description", |g| one(&g.description)),
    ("group-name", |g| one(&g.group_name)),
    ("owner-id", |g| one(&g.owner_id)),
    ("primary-vpc-id", |g| one(&g.primary_vpc_id)),
];

fn shape(group: &SecurityGroup) -> shapes::SecurityGroupForVpc {
    shapes::SecurityGroupForVpc {
        description: Some(group.description.clone()),
        group_name: Some(group.name.clone()),
        owner_id: Some(group.owner.to_string()),
        group_id: Some(group.id.to_string()),
        tags: tag_list(&group.tags),
        primary_vpc_id: Some(group.vpc.to_string()),
    }
}
