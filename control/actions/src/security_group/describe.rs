//! DescribeSecurityGroups, and a group as replies show it.

use super::{in_default_vpc, traffic};
use crate::Context;
use crate::filter::{Filter, each, one};
use crate::page::Query;
use crate::tag_spec::tag_list;
use gp_ec2::{ApiError, shapes};
use gp_model::{Direction, RulePeer, SecurityGroup, SecurityGroupRule};
use std::collections::BTreeMap;
use std::sync::Arc;

/// # Errors
/// `InvalidGroup.NotFound`, `InvalidGroupId.Malformed`, and those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeSecurityGroupsRequest,
) -> Result<shapes::DescribeSecurityGroupsResult, ApiError> {
    let by_id = !request.group_ids.is_empty();
    let by_name = !request.group_names.is_empty();
    let mut groups: BTreeMap<_, Arc<SecurityGroup>> = BTreeMap::new();
    if by_id || !by_name {
        groups.extend(ctx.security_groups(&request.group_ids)?.into_iter().map(|group| (group.id, group)));
    }
    for name in &request.group_names {
        let group = in_default_vpc(ctx, name)?;
        groups.insert(group.id, group);
    }
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (by_id || by_name, "securityGroupIds"),
    };
    let key = |group: &shapes::SecurityGroup| group.group_id.clone().unwrap_or_default();
    let shapes = groups.values().map(|group| shape(ctx, group));
    let (mut security_groups, next_token) = ctx.list(shapes, query, FILTERS, key)?;
    for group in &mut security_groups {
        let permissions = group.ip_permissions.iter_mut().chain(&mut group.ip_permissions_egress);
        // The names were there for the filters only: a VPC group's rules show the ids alone.
        permissions.flat_map(|permission| &mut permission.user_id_group_pairs).for_each(|pair| pair.group_name = None);
    }
    Ok(shapes::DescribeSecurityGroupsResult { next_token, security_groups })
}

const FILTERS: &[Filter<shapes::SecurityGroup>] = &[
    ("description", |g| one(&g.description)),
    ("egress.ip-permission.cidr", |g| blocks(&g.ip_permissions_egress)),
    ("egress.ip-permission.from-port", |g| each(&g.ip_permissions_egress, |p| p.from_port)),
    ("egress.ip-permission.group-id", |g| pairs(&g.ip_permissions_egress, |pair| pair.group_id.clone())),
    ("egress.ip-permission.group-name", |g| pairs(&g.ip_permissions_egress, |pair| pair.group_name.clone())),
    ("egress.ip-permission.ipv6-cidr", |g| ipv6_blocks(&g.ip_permissions_egress)),
    ("egress.ip-permission.prefix-list-id", |g| lists(&g.ip_permissions_egress)),
    ("egress.ip-permission.protocol", |g| each(&g.ip_permissions_egress, |p| p.ip_protocol.clone())),
    ("egress.ip-permission.to-port", |g| each(&g.ip_permissions_egress, |p| p.to_port)),
    ("egress.ip-permission.user-id", |g| pairs(&g.ip_permissions_egress, |pair| pair.user_id.clone())),
    ("group-id", |g| one(&g.group_id)),
    ("group-name", |g| one(&g.group_name)),
    ("ip-permission.cidr", |g| blocks(&g.ip_permissions)),
    ("ip-permission.from-port", |g| each(&g.ip_permissions, |p| p.from_port)),
    ("ip-permission.group-id", |g| pairs(&g.ip_permissions, |pair| pair.group_id.clone())),
    ("ip-permission.group-name", |g| pairs(&g.ip_permissions, |pair| pair.group_name.clone())),
    ("ip-permission.ipv6-cidr", |g| ipv6_blocks(&g.ip_permissions)),
    ("ip-permission.prefix-list-id", |g| lists(&g.ip_permissions)),
    ("ip-permission.protocol", |g| each(&g.ip_permissions, |p| p.ip_protocol.clone())),
    ("ip-permission.to-port", |g| each(&g.ip_permissions, |p| p.to_port)),
    ("ip-permission.user-id", |g| pairs(&g.ip_permissions, |pair| pair.user_id.clone())),
    ("owner-id", |g| one(&g.owner_id)),
    ("vpc-id", |g| one(&g.vpc_id)),
];

fn blocks(permissions: &[shapes::IpPermission]) -> Vec<String> {
    permissions.iter().flat_map(|p| each(&p.ip_ranges, |range| range.cidr_ip.clone())).collect()
}

fn ipv6_blocks(permissions: &[shapes::IpPermission]) -> Vec<String> {
    permissions.iter().flat_map(|p| each(&p.ipv6_ranges, |range| range.cidr_ipv6.clone())).collect()
}

fn lists(permissions: &[shapes::IpPermission]) -> Vec<String> {
    permissions.iter().flat_map(|p| each(&p.prefix_list_ids, |list| list.prefix_list_id.clone())).collect()
}

fn pairs(permissions: &[shapes::IpPermission], value: fn(&shapes::UserIdGroupPair) -> Option<String>) -> Vec<String> {
    permissions.iter().flat_map(|p| each(&p.user_id_group_pairs, value)).collect()
}

fn shape(ctx: &Context<'_>, group: &SecurityGroup) -> shapes::SecurityGroup {
    shapes::SecurityGroup {
        group_id: Some(group.id.to_string()),
        ip_permissions_egress: permissions(ctx, group.rules(Direction::Egress)),
        tags: tag_list(&group.tags),
        vpc_id: Some(group.vpc.to_string()),
        security_group_arn: Some(ctx.arn("security-group", group.id)),
        owner_id: Some(group.owner.to_string()),
        group_name: Some(group.name.clone()),
        description: Some(group.description.clone()),
        ip_permissions: permissions(ctx, group.rules(Direction::Ingress)),
    }
}

/// Rules as permissions: those of equal protocol and ports are one.
pub(super) fn permissions<'a>(
    ctx: &Context<'_>,
    rules: impl Iterator<Item = &'a SecurityGroupRule>,
) -> Vec<shapes::IpPermission> {
    let mut merged: BTreeMap<_, shapes::IpPermission> = BTreeMap::new();
    for rule in rules {
        let (protocol, ports) = traffic::written(rule.traffic);
        let permission = merged.entry((protocol.clone(), ports)).or_insert_with(|| shapes::IpPermission {
            ip_protocol: Some(protocol),
            from_port: ports.map(|ports| ports.0),
            to_port: ports.map(|ports| ports.1),
            ..Default::default()
        });
        let description = rule.description.clone();
        match rule.peer {
            RulePeer::Ipv4(net) => {
                permission.ip_ranges.push(shapes::IpRange { description, cidr_ip: Some(net.to_string()) });
            }
            RulePeer::Ipv6(net) => {
                permission.ipv6_ranges.push(shapes::Ipv6Range { description, cidr_ipv6: Some(net.to_string()) });
            }
            RulePeer::Group { group, owner } => permission.user_id_group_pairs.push(shapes::UserIdGroupPair {
                description,
                user_id: Some(owner.to_string()),
                group_name: ctx.world().security_group(group).map(|group| group.name.clone()),
                group_id: Some(group.to_string()),
                ..Default::default()
            }),
            RulePeer::PrefixList(list) => permission
                .prefix_list_ids
                .push(shapes::PrefixListId { description, prefix_list_id: Some(list.to_string()) }),
        }
    }
    merged.into_values().collect()
}
