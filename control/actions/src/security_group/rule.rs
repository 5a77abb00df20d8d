//! DescribeSecurityGroupRules, and a rule as replies show it.

use super::traffic;
use crate::filter::{Filter, one};
use crate::page::Query;
use crate::tag_spec::tag_list;
use crate::{Context, lookup};
use gp_ec2::filter::Pattern;
use gp_ec2::{ApiError, shapes};
use gp_model::{Direction, RulePeer, SecurityGroup, SecurityGroupRule, SecurityGroupRuleId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// # Errors
/// `InvalidSecurityGroupRuleId.NotFound`, and those of [`Context::list`].
pub(crate) fn describe_rules(
    ctx: &Context<'_>,
    request: &shapes::DescribeSecurityGroupRulesRequest,
) -> Result<shapes::DescribeSecurityGroupRulesResult, ApiError> {
    let wanted = wanted_ids(ctx, &request.security_group_rule_ids)?;
    let groups = groups_to_look_at(ctx, &wanted, &request.filters)?;
    let rules = groups.iter().flat_map(|group| group.rules.values().map(move |rule| (group, rule)));
    let rules = rules.filter(|(_, rule)| wanted.is_empty() || wanted.contains(&rule.id));
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!wanted.is_empty(), "securityGroupRuleIds"),
    };
    let key = |rule: &shapes::SecurityGroupRule| rule.security_group_rule_id.clone().unwrap_or_default();
    let shapes = rules.map(|(group, rule)| shape(ctx, group, rule));
    let (security_group_rules, next_token) = ctx.list(shapes, query, FILTERS, key)?;
    Ok(shapes::DescribeSecurityGroupRulesResult { security_group_rules, next_token })
}

const FILTERS: &[Filter<shapes::SecurityGroupRule>] =
    &[("group-id", |r| one(&r.group_id)), ("security-group-rule-id", |r| one(&r.security_group_rule_id))];

fn wanted_ids(ctx: &Context<'_>, ids: &[String]) -> Result<BTreeSet<SecurityGroupRuleId>, ApiError> {
    let words = lookup::SECURITY_GROUP_RULE;
    let parsed = ids.iter().map(|id| words.parse(id)).collect::<Result<Vec<_>, _>>()?;
    let own = |id: SecurityGroupRuleId| ctx.world().group_of_rule(id).is_some_and(|g| g.owner == ctx.account());
    let missing: Vec<_> = parsed.iter().zip(ids).filter(|(id, _)| !own(**id)).map(|(_, text)| text.as_str()).collect();
    if missing.is_empty() { Ok(parsed.into_iter().collect()) } else { Err(words.not_found(&missing)) }
}

/// The groups of the rules that are named, or else those that a filter names, or else all.
fn groups_to_look_at(
    ctx: &Context<'_>,
    wanted: &BTreeSet<SecurityGroupRuleId>,
    filters: &[shapes::Filter],
) -> Result<Vec<Arc<SecurityGroup>>, ApiError> {
    let world = ctx.world();
    if !wanted.is_empty() {
        let groups: BTreeMap<_, _> =
            wanted.iter().filter_map(|id| world.group_of_rule(*id)).map(|g| (g.id, g)).collect();
        return Ok(groups.into_values().cloned().collect());
    }
    // What is found here is judged by the filters all the same. A wildcard may fit anything.
    let by_group = filters.iter().find(|filter| filter.name.as_deref() == Some("group-id"));
    let literal = |value: &String| Pattern::new(value).literal();
    match by_group.and_then(|filter| filter.values.iter().map(literal).collect::<Option<BTreeSet<_>>>()) {
        Some(ids) => {
            let groups = ids.iter().filter_map(|id| world.security_group(id.parse().ok()?));
            Ok(groups.filter(|group| group.owner == ctx.account()).cloned().collect())
        }
        None => ctx.security_groups(&[]),
    }
}

/// A rule as DescribeSecurityGroupRules shows it. Where there are no ports, both are -1.
pub(super) fn shape(ctx: &Context<'_>, group: &SecurityGroup, rule: &SecurityGroupRule) -> shapes::SecurityGroupRule {
    let (protocol, ports) = traffic::written(rule.traffic);
    let (from, to) = ports.unwrap_or((-1, -1));
    let mut shape = shapes::SecurityGroupRule {
        security_group_rule_id: Some(rule.id.to_string()),
        group_id: Some(group.id.to_string()),
        group_owner_id: Some(group.owner.to_string()),
        is_egress: Some(rule.direction == Direction::Egress),
        ip_protocol: Some(protocol),
        from_port: Some(from),
        to_port: Some(to),
        description: rule.description.clone(),
        tags: tag_list(&rule.tags),
        security_group_rule_arn: Some(ctx.arn("security-group-rule", rule.id)),
        ..Default::default()
    };
    match rule.peer {
        RulePeer::Ipv4(net) => shape.cidr_ipv4 = Some(net.to_string()),
        RulePeer::Ipv6(net) => shape.cidr_ipv6 = Some(net.to_string()),
        RulePeer::Group { group: peer, owner } => {
            shape.referenced_group_info = Some(shapes::ReferencedSecurityGroup {
                group_id: Some(peer.to_string()),
                user_id: Some(owner.to_string()),
                ..Default::default()
            });
        }
        RulePeer::PrefixList(list) => shape.prefix_list_id = Some(list.to_string()),
    }
    shape
}
