//! AuthorizeSecurityGroupIngress and AuthorizeSecurityGroupEgress: all of a request's rules, or none.

use super::permission::{Wanted, flat, wanted};
use super::{named, rule};
use crate::{Context, prefix_list};
use gp_ec2::{ApiError, shapes};
use gp_model::{Direction, RulePeer, SecurityGroup, SecurityGroupRule, SecurityGroupRuleId, Tags};
use std::sync::Arc;

/// # Errors
/// `InvalidGroup.NotFound`, `InvalidPermission.Duplicate`, `RulesPerSecurityGroupLimitExceeded`, and those of bad
/// rules.
pub(crate) fn authorize_ingress(
    ctx: &mut Context<'_>,
    request: &shapes::AuthorizeSecurityGroupIngressRequest,
) -> Result<shapes::AuthorizeSecurityGroupIngressResult, ApiError> {
    let group = named(ctx, request.group_id.as_deref(), request.group_name.as_deref())?;
    let flat = flat!(request);
    let wanted = wanted(ctx, &group, &request.ip_permissions, &flat)?;
    let tags = ctx.tags_for(&request.tag_specifications, "security-group-rule")?;
    let security_group_rules = authorize(ctx, &group, Direction::Ingress, wanted, &tags)?;
    Ok(shapes::AuthorizeSecurityGroupIngressResult { r#return: Some(true), security_group_rules })
}

/// # Errors
/// As [`authorize_ingress`].
pub(crate) fn authorize_egress(
    ctx: &mut Context<'_>,
    request: &shapes::AuthorizeSecurityGroupEgressRequest,
) -> Result<shapes::AuthorizeSecurityGroupEgressResult, ApiError> {
    let group = named(ctx, request.group_id.as_deref(), None)?;
    let flat = flat!(request);
    let wanted = wanted(ctx, &group, &request.ip_permissions, &flat)?;
    let tags = ctx.tags_for(&request.tag_specifications, "security-group-rule")?;
    let security_group_rules = authorize(ctx, &group, Direction::Egress, wanted, &tags)?;
    Ok(shapes::AuthorizeSecurityGroupEgressResult { r#return: Some(true), security_group_rules })
}

fn authorize(
    ctx: &mut Context<'_>,
    group: &Arc<SecurityGroup>,
    direction: Direction,
    wanted: Vec<Wanted>,
    tags: &Tags,
) -> Result<Vec<shapes::SecurityGroupRule>, ApiError> {
    for new in &wanted {
        if group.rules(direction).any(|rule| new.is(rule)) {
            return Err(duplicate(new));
        }
    }
    let new_rules: Vec<_> = wanted
        .into_iter()
        .map(|new| SecurityGroupRule {
            id: ctx.draw(SecurityGroupRuleId::from_bits),
            direction,
            traffic: new.traffic,
            peer: new.peer,
            description: new.description,
            tags: tags.clone(),
        })
        .collect();
    let edited = ctx.edit(&**group, |group| group.rules.extend(new_rules.iter().map(|rule| (rule.id, rule.clone()))));
    check_quota(ctx, &edited, direction)?;
    Ok(new_rules.iter().map(|new| rule::shape(ctx, &edited, new)).collect())
}

pub(super) fn duplicate(rule: &Wanted) -> ApiError {
    let message = format!("the specified rule \"{rule}\" already exists");
    ApiError::client("InvalidPermission.Duplicate", message)
}

/// IPv4 and IPv6 rules count apart; a rule that names a group counts as one of each, one that names a prefix list as
/// many as that may have entries.
///
/// # Errors
/// `RulesPerSecurityGroupLimitExceeded`.
pub(crate) fn check_quota(ctx: &Context<'_>, group: &SecurityGroup, direction: Direction) -> Result<(), ApiError> {
    let weight = |rule: &SecurityGroupRule| match rule.peer {
        RulePeer::Ipv4(_) => (1, 0),
        RulePeer::Ipv6(_) => (0, 1),
        RulePeer::Group { .. } => (1, 1),
        RulePeer::PrefixList(list) => prefix_list::weight(ctx.world(), list),
    };
    let add = |sum: (usize, usize), weight: (usize, usize)| (sum.0 + weight.0, sum.1 + weight.1);
    let (ipv4, ipv6) = group.rules(direction).map(weight).fold((0, 0), add);
    if ipv4.max(ipv6) <= ctx.settings.quotas.rules_per_security_group {
        return Ok(());
    }
    let message = "The maximum number of rules per security group has been reached.";
    Err(ApiError::client("RulesPerSecurityGroupLimitExceeded", message))
}
