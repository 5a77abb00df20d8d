//! New groups: the rules that they start with.

use crate::{Context, block};
use gp_model::{
    Direction, RulePeer, SecurityGroup, SecurityGroupId, SecurityGroupRule, SecurityGroupRuleId, Tags, TrafficMatch,
    Vpc,
};

/// The name that only a VPC's own group may have.
pub(crate) const DEFAULT_NAME: &str = "default";

/// The group that a VPC is made with: everything from its own members, everything out.
pub(crate) fn default_group(ctx: &mut Context<'_>, vpc: &Vpc) -> SecurityGroup {
    let id = vpc.default_security_group;
    let description = "default VPC security group".to_owned();
    let mut group = new_group(ctx, id, vpc, DEFAULT_NAME.to_owned(), description, Tags::new());
    let own = rule(ctx, Direction::Ingress, RulePeer::Group { group: id, owner: vpc.owner });
    group.rules.insert(own.id, own);
    group
}

/// A group with the rules that every new one has: everything out, in the families that its VPC has.
pub(crate) fn new_group(
    ctx: &mut Context<'_>,
    id: SecurityGroupId,
    vpc: &Vpc,
    name: String,
    description: String,
    tags: Tags,
) -> SecurityGroup {
    let mut peers = vec![RulePeer::Ipv4(block::ALL_IPV4)];
    if !vpc.ipv6_cidrs.is_empty() {
        peers.push(RulePeer::Ipv6(block::ALL_IPV6));
    }
    let rules = peers.into_iter().map(|peer| rule(ctx, Direction::Egress, peer)).map(|rule| (rule.id, rule)).collect();
    SecurityGroup { id, owner: vpc.owner, vpc: vpc.id, name, description, rules, tags }
}

/// A rule for all traffic.
pub(crate) fn rule(ctx: &mut Context<'_>, direction: Direction, peer: RulePeer) -> SecurityGroupRule {
    SecurityGroupRule {
        id: ctx.draw(SecurityGroupRuleId::from_bits),
        direction,
        traffic: TrafficMatch::All,
        peer,
        description: None,
        tags: Tags::new(),
    }
}

/// What a VPC's first IPv6 block brings: groups whose outbound rules are as they were made let IPv6 out too.
pub(crate) fn allow_ipv6(ctx: &mut Context<'_>, vpc: &Vpc) {
    let groups: Vec<_> = ctx.world().groups_of_vpc(vpc.id).cloned().collect();
    for group in groups {
        let mut egress = group.rules(Direction::Egress);
        let everything = |rule: &SecurityGroupRule| {
            rule.traffic == TrafficMatch::All && rule.peer == RulePeer::Ipv4(block::ALL_IPV4)
        };
        if egress.next().is_some_and(everything) && egress.next().is_none() {
            let rule = rule(ctx, Direction::Egress, RulePeer::Ipv6(block::ALL_IPV6));
            ctx.edit(&*group, |group| {
                group.rules.insert(rule.id, rule);
            });
        }
    }
}
