//! ModifySecurityGroupRules and UpdateSecurityGroupRuleDescriptionsIngress/Egress.

use super::permission::{self, Flat, Wanted, wanted};
use super::{authorize, named, revoke, traffic};
use crate::{Context, lookup};
use gp_ec2::{ApiError, shapes};
use gp_model::{Direction, RulePeer, SecurityGroup, SecurityGroupRule, SecurityGroupRuleId};
use std::collections::BTreeMap;
use std::mem::discriminant;

/// Rewrites rules, each as a whole; the kind of peer stays.
///
/// # Errors
/// `InvalidGroup.NotFound`, `InvalidSecurityGroupRuleId.NotFound`, `InvalidPermission.Duplicate`,
/// `InvalidPrefixListID.NotFound`, `RulesPerSecurityGroupLimitExceeded`, `MissingParameter`,
/// `InvalidParameterCombination`, `InvalidParameterValue`.
pub(crate) fn modify_rules(
    ctx: &mut Context<'_>,
    request: &shapes::ModifySecurityGroupRulesRequest,
) -> Result<shapes::ModifySecurityGroupRulesResult, ApiError> {
    let group = ctx.security_group(request.group_id.as_deref().unwrap_or_default())?;
    let mut modified = BTreeMap::new();
    for update in &request.security_group_rules {
        let rule = find(&group, update.security_group_rule_id.as_deref())?;
        let Some(new) = &update.security_group_rule else {
            return Err(ApiError::missing_parameter("SecurityGroupRule"));
        };
        let rule = rewritten(ctx, &group, rule, new)?;
        if modified.insert(rule.id, rule).is_some() {
            let message = "The same security group rule must not appear multiple times";
            return Err(ApiError::client("InvalidParameterValue", message));
        }
    }
    // Another prefix list may be larger.
    let may_grow = modified.values().any(|rule| matches!(rule.peer, RulePeer::PrefixList(_)));
    let edited = ctx.edit(&*group, |group| group.rules.extend(modified));
    refuse_duplicates(&edited)?;
    if may_grow {
        authorize::check_quota(ctx, &edited, Direction::Ingress)?;
        authorize::check_quota(ctx, &edited, Direction::Egress)?;
    }
    Ok(shapes::ModifySecurityGroupRulesResult { r#return: Some(true) })
}

fn find<'a>(group: &'a SecurityGroup, id: Option<&str>) -> Result<&'a SecurityGroupRule, ApiError> {
    let words = lookup::SECURITY_GROUP_RULE;
    let text = id.unwrap_or_default();
    let id: SecurityGroupRuleId = words.parse(text)?;
    group.rules.get(&id).ok_or_else(|| words.not_found(&[text]))
}

fn rewritten(
    ctx: &Context<'_>,
    group: &SecurityGroup,
    rule: &SecurityGroupRule,
    new: &shapes::SecurityGroupRuleRequest,
) -> Result<SecurityGroupRule, ApiError> {
    let peers = [&new.cidr_ipv4, &new.cidr_ipv6, &new.prefix_list_id, &new.referenced_group_id];
    match peers.iter().filter(|peer| peer.is_some()).count() {
        0 => {
            let message = "The request must contain exactly one of: cidrIp, cidrIpv6, prefixListId, or \
                           referencedGroupId";
            return Err(ApiError::client("MissingParameter", message));
        }
        1 => {}
        _ => {
            let message = "Only one of cidrIp, cidrIpv6, prefixListId, or referencedGroupId can be specified";
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
    }
    let peer = if new.cidr_ipv4.is_some() {
        permission::ipv4(new.cidr_ipv4.as_deref())?
    } else if new.cidr_ipv6.is_some() {
        permission::ipv6(new.cidr_ipv6.as_deref())?
    } else if new.prefix_list_id.is_some() {
        permission::prefix_list(ctx, new.prefix_list_id.as_deref())?
    } else {
        permission::peer_group(ctx, group, new.referenced_group_id.as_deref(), None, None)?
    };
    if discriminant(&peer) != discriminant(&rule.peer) {
        let message =
            format!("The source or destination type of the security group rule {} cannot be changed", rule.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    Ok(SecurityGroupRule {
        traffic: traffic::parse(new.ip_protocol.as_deref(), new.from_port, new.to_port)?,
        peer,
        description: permission::description(&new.description)?,
        ..rule.clone()
    })
}

fn refuse_duplicates(group: &SecurityGroup) -> Result<(), ApiError> {
    let mut seen: Vec<(Direction, Wanted)> = Vec::new();
    for rule in group.rules.values() {
        if let Some((_, same)) = seen.iter().find(|(direction, same)| *direction == rule.direction && same.is(rule)) {
            return Err(authorize::duplicate(same));
        }
        seen.push((rule.direction, Wanted { traffic: rule.traffic, peer: rule.peer, description: None }));
    }
    Ok(())
}

/// # Errors
/// `InvalidGroup.NotFound`, `InvalidPermission.NotFound`, `InvalidSecurityGroupRuleId.NotFound`, `MissingParameter`,
/// `InvalidParameterCombination`, and those of bad rules.
pub(crate) fn update_descriptions_ingress(
    ctx: &mut Context<'_>,
    request: &shapes::UpdateSecurityGroupRuleDescriptionsIngressRequest,
) -> Result<shapes::UpdateSecurityGroupRuleDescriptionsIngressResult, ApiError> {
    let group = named(ctx, request.group_id.as_deref(), request.group_name.as_deref())?;
    let (permissions, by_id) = (&request.ip_permissions, &request.security_group_rule_descriptions);
    update_descriptions(ctx, &group, Direction::Ingress, permissions, by_id)?;
    Ok(shapes::UpdateSecurityGroupRuleDescriptionsIngressResult { r#return: Some(true) })
}

/// # Errors
/// As [`update_descriptions_ingress`].
pub(crate) fn update_descriptions_egress(
    ctx: &mut Context<'_>,
    request: &shapes::UpdateSecurityGroupRuleDescriptionsEgressRequest,
) -> Result<shapes::UpdateSecurityGroupRuleDescriptionsEgressResult, ApiError> {
    let group = named(ctx, request.group_id.as_deref(), request.group_name.as_deref())?;
    let (permissions, by_id) = (&request.ip_permissions, &request.security_group_rule_descriptions);
    update_descriptions(ctx, &group, Direction::Egress, permissions, by_id)?;
    Ok(shapes::UpdateSecurityGroupRuleDescriptionsEgressResult { r#return: Some(true) })
}

fn update_descriptions(
    ctx: &mut Context<'_>,
    group: &SecurityGroup,
    direction: Direction,
    permissions: &[shapes::IpPermission],
    by_id: &[shapes::SecurityGroupRuleDescription],
) -> Result<(), ApiError> {
    if permissions.is_empty() == by_id.is_empty() {
        let message = "The request must contain exactly one of: ipPermissions, securityGroupRuleDescriptions";
        let code = if by_id.is_empty() { "MissingParameter" } else { "InvalidParameterCombination" };
        return Err(ApiError::client(code, message));
    }
    let mut descriptions = BTreeMap::new();
    for update in by_id {
        let ids = [update.security_group_rule_id.clone().unwrap_or_default()];
        for id in revoke::by_id(group, direction, &ids)? {
            descriptions.insert(id, permission::description(&update.description)?);
        }
    }
    if !permissions.is_empty() {
        for wanted in wanted(ctx, group, permissions, &Flat::NONE)? {
            let rule = group.rules(direction).find(|rule| wanted.is(rule)).ok_or_else(revoke::not_found)?;
            descriptions.insert(rule.id, wanted.description);
        }
    }
    ctx.edit(group, |group| {
        for (id, description) in descriptions {
            if let Some(rule) = group.rules.get_mut(&id) {
                rule.description = description;
            }
        }
    });
    Ok(())
}
