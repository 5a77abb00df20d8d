//! RevokeSecurityGroupIngress and RevokeSecurityGroupEgress: by rule ids, or by what the rules say.

use super::permission::{Flat, flat, wanted};
use super::{describe, named, traffic};
use crate::{Context, lookup};
use gp_ec2::{ApiError, shapes};
use gp_model::{Direction, RulePeer, SecurityGroup, SecurityGroupRule, SecurityGroupRuleId, Tags};
use std::collections::BTreeSet;

/// # Errors
/// `InvalidGroup.NotFound`, `InvalidPermission.NotFound`, `InvalidSecurityGroupRuleId.NotFound`,
/// `InvalidParameterCombination`, and those of bad rules.
pub(crate) fn revoke_ingress(
    ctx: &mut Context<'_>,
    request: &shapes::RevokeSecurityGroupIngressRequest,
) -> Result<shapes::RevokeSecurityGroupIngressResult, ApiError> {
    let group = named(ctx, request.group_id.as_deref(), request.group_name.as_deref())?;
    let flat = flat!(request);
    let named = Named { ids: &request.security_group_rule_ids, permissions: &request.ip_permissions, flat };
    let (revoked_security_group_rules, unknown_ip_permissions) = revoke(ctx, &group, Direction::Ingress, &named)?;
    let r#return = Some(true);
    Ok(shapes::RevokeSecurityGroupIngressResult { r#return, unknown_ip_permissions, revoked_security_group_rules })
}

/// # Errors
/// As [`revoke_ingress`].
pub(crate) fn revoke_egress(
    ctx: &mut Context<'_>,
    request: &shapes::RevokeSecurityGroupEgressRequest,
) -> Result<shapes::RevokeSecurityGroupEgressResult, ApiError> {
    let group = named(ctx, request.group_id.as_deref(), None)?;
    let flat = flat!(request);
    let named = Named { ids: &request.security_group_rule_ids, permissions: &request.ip_permissions, flat };
    let (revoked_security_group_rules, unknown_ip_permissions) = revoke(ctx, &group, Direction::Egress, &named)?;
    let r#return = Some(true);
    Ok(shapes::RevokeSecurityGroupEgressResult { r#return, unknown_ip_permissions, revoked_security_group_rules })
}

/// How a request names the rules to revoke.
struct Named<'a> {
    ids: &'a [String],
    permissions: &'a [shapes::IpPermission],
    flat: Flat<'a>,
}

type Revoked = (Vec<shapes::RevokedSecurityGroupRule>, Vec<shapes::IpPermission>);

fn revoke(
    ctx: &mut Context<'_>,
    group: &SecurityGroup,
    direction: Direction,
    named: &Named<'_>,
) -> Result<Revoked, ApiError> {
    let (ids, unknown) = if named.ids.is_empty() {
        by_content(ctx, group, direction, named)?
    } else {
        if !named.permissions.is_empty() || named.flat.protocol.is_some() {
            let message = "The parameter securityGroupRuleIds cannot be used with the parameter ipPermissions";
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
        (by_id(group, direction, named.ids)?, Vec::new())
    };
    let revoked = ids.iter().map(|id| revoked(group, &group.rules[id])).collect();
    ctx.edit(group, |group| group.rules.retain(|id, _| !ids.contains(id)));
    Ok((revoked, unknown))
}

/// The rules of that direction with those ids.
///
/// # Errors
/// `InvalidSecurityGroupRuleId.NotFound`, `InvalidSecurityGroupRuleId.Malformed`.
pub(super) fn by_id(
    group: &SecurityGroup,
    direction: Direction,
    ids: &[String],
) -> Result<BTreeSet<SecurityGroupRuleId>, ApiError> {
    let words = lookup::SECURITY_GROUP_RULE;
    let mut found = BTreeSet::new();
    for text in ids {
        let id = words.parse(text)?;
        if group.rules.get(&id).is_none_or(|rule| rule.direction != direction) {
            return Err(words.not_found(&[text]));
        }
        found.insert(id);
    }
    Ok(found)
}

/// Rules that say the same. In a default VPC, what no rule says is answered and not refused.
fn by_content(
    ctx: &Context<'_>,
    group: &SecurityGroup,
    direction: Direction,
    named: &Named<'_>,
) -> Result<(BTreeSet<SecurityGroupRuleId>, Vec<shapes::IpPermission>), ApiError> {
    let in_default_vpc = ctx.world().vpc(group.vpc).is_some_and(|vpc| vpc.is_default);
    let mut ids = BTreeSet::new();
    let mut unknown = Vec::new();
    for wanted in wanted(ctx, group, named.permissions, &named.flat)? {
        match group.rules(direction).find(|rule| wanted.is(rule)) {
            Some(rule) => {
                ids.insert(rule.id);
            }
            None if in_default_vpc => unknown.push(SecurityGroupRule {
                id: SecurityGroupRuleId::from_bits(0),
                direction,
                traffic: wanted.traffic,
                peer: wanted.peer,
                description: wanted.description,
                tags: Tags::new(),
            }),
            None => return Err(not_found()),
        }
    }
    Ok((ids, describe::permissions(ctx, unknown.iter())))
}

pub(super) fn not_found() -> ApiError {
    let message = "The specified rule does not exist in this security group.";
    ApiError::client("InvalidPermission.NotFound", message)
}

fn revoked(group: &SecurityGroup, rule: &SecurityGroupRule) -> shapes::RevokedSecurityGroupRule {
    let (protocol, ports) = traffic::written(rule.traffic);
    let (from, to) = ports.unwrap_or((-1, -1));
    let (cidr_ipv4, cidr_ipv6, referenced_group_id, prefix_list_id) = match rule.peer {
        RulePeer::Ipv4(net) => (Some(net.to_string()), None, None, None),
        RulePeer::Ipv6(net) => (None, Some(net.to_string()), None, None),
        RulePeer::Group { group, .. } => (None, None, Some(group.to_string()), None),
        RulePeer::PrefixList(list) => (None, None, None, Some(list.to_string())),
    };
    shapes::RevokedSecurityGroupRule {
        security_group_rule_id: Some(rule.id.to_string()),
        group_id: Some(group.id.to_string()),
        is_egress: Some(rule.direction == Direction::Egress),
        ip_protocol: Some(protocol),
        from_port: Some(from),
        to_port: Some(to),
        cidr_ipv4,
        cidr_ipv6,
        prefix_list_id,
        referenced_group_id,
        description: rule.description.clone(),
    }
}
