//! DescribeNetworkAcls, and a list as replies show it.

use super::traffic;
use crate::filter::{Filter, each, one};
use crate::page::Query;
use crate::tag_spec::tag_list;
use crate::{Context, block};
use gp_ec2::{ApiError, shapes};
use gp_model::{Direction, LAST_RULE_IPV4, LAST_RULE_IPV6, NetworkAcl, NetworkAclEntry, TrafficMatch};
use ipnet::IpNet;

/// # Errors
/// `InvalidNetworkAclID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeNetworkAclsRequest,
) -> Result<shapes::DescribeNetworkAclsResult, ApiError> {
    let acls = ctx.network_acls(&request.network_acl_ids)?;
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.network_acl_ids.is_empty(), "networkAclIds"),
    };
    let key = |acl: &shapes::NetworkAcl| acl.network_acl_id.clone().unwrap_or_default();
    let (network_acls, next_token) = ctx.list(acls.iter().map(|acl| shape(ctx, acl)), query, FILTERS, key)?;
    Ok(shapes::DescribeNetworkAclsResult { network_acls, next_token })
}

const FILTERS: &[Filter<shapes::NetworkAcl>] = &[
    ("association.association-id", |a| each(&a.associations, |x| x.network_acl_association_id.clone())),
    ("association.network-acl-id", |a| each(&a.associations, |x| x.network_acl_id.clone())),
    ("association.subnet-id", |a| each(&a.associations, |x| x.subnet_id.clone())),
    ("default", |a| one(&a.is_default)),
    ("entry.cidr", |a| each(&a.entries, |e| e.cidr_block.clone())),
    ("entry.icmp.code", |a| each(&a.entries, |e| e.icmp_type_code.as_ref()?.code)),
    ("entry.icmp.type", |a| each(&a.entries, |e| e.icmp_type_code.as_ref()?.r#type)),
    ("entry.ipv6-cidr", |a| each(&a.entries, |e| e.ipv6_cidr_block.clone())),
    ("entry.port-range.from", |a| each(&a.entries, |e| e.port_range.as_ref()?.from)),
    ("entry.port-range.to", |a| each(&a.entries, |e| e.port_range.as_ref()?.to)),
    ("entry.protocol", |a| each(&a.entries, |e| e.protocol.clone())),
    ("entry.rule-action", |a| each(&a.entries, |e| e.rule_action.clone())),
    ("entry.egress", |a| each(&a.entries, |e| e.egress)),
    ("entry.rule-number", |a| each(&a.entries, |e| e.rule_number)),
    ("network-acl-id", |a| one(&a.network_acl_id)),
    ("owner-id", |a| one(&a.owner_id)),
    ("vpc-id", |a| one(&a.vpc_id)),
];

pub(super) fn shape(ctx: &Context<'_>, acl: &NetworkAcl) -> shapes::NetworkAcl {
    let under = ctx.world().subnets_of_vpc(acl.vpc).filter(|subnet| subnet.network_acl == acl.id);
    let associations = under.map(|subnet| shapes::NetworkAclAssociation {
        network_acl_association_id: Some(subnet.network_acl_association.to_string()),
        network_acl_id: Some(acl.id.to_string()),
        subnet_id: Some(subnet.id.to_string()),
    });
    let has_ipv6 = ctx.world().vpc(acl.vpc).is_some_and(|vpc| !vpc.ipv6_cidrs.is_empty());
    let mut entries = Vec::new();
    for direction in [Direction::Egress, Direction::Ingress] {
        entries.extend(acl.entries.iter().filter(|e| e.direction == direction).map(entry));
        entries.push(entry(&last(direction, LAST_RULE_IPV4, IpNet::V4(block::ALL_IPV4))));
        if has_ipv6 {
            entries.push(entry(&last(direction, LAST_RULE_IPV6, IpNet::V6(block::ALL_IPV6))));
        }
    }
    shapes::NetworkAcl {
        associations: associations.collect(),
        entries,
        is_default: Some(acl.is_default),
        network_acl_id: Some(acl.id.to_string()),
        tags: tag_list(&acl.tags),
        vpc_id: Some(acl.vpc.to_string()),
        owner_id: Some(acl.owner.to_string()),
    }
}

/// The `*` entry at the end of a list.
fn last(direction: Direction, rule_number: u32, block: IpNet) -> NetworkAclEntry {
    NetworkAclEntry { rule_number, direction, block, traffic: TrafficMatch::All, allow: false }
}

fn entry(entry: &NetworkAclEntry) -> shapes::NetworkAclEntry {
    let traffic::Written { protocol, icmp_type_code, port_range } = traffic::written(entry.traffic);
    let (cidr_block, ipv6_cidr_block) = match entry.block {
        IpNet::V4(net) => (Some(net.to_string()), None),
        IpNet::V6(net) => (None, Some(net.to_string())),
    };
    shapes::NetworkAclEntry {
        cidr_block,
        egress: Some(entry.direction == Direction::Egress),
        icmp_type_code,
        ipv6_cidr_block,
        port_range,
        protocol: Some(protocol),
        rule_action: Some(if entry.allow { "allow" } else { "deny" }.to_owned()),
        rule_number: Some(entry.rule_number.into()),
    }
}
