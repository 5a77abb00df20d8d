//! Security groups: allow-only, OR-ed over all groups of an ENI, stateful by the ENI's connections.
//!
//! The rules are asked by what they are about (`gp_model::RuleIndex`), so their number does not count. The one that is named
//! is the first in order of the ENI's groups and then of ids.
//!
//! Source: VPC user guide, "Security groups"; EC2 user guide, "Security group connection tracking".

use crate::journey::{Journey, Stop};
use crate::traffic::point;
use crate::{
    Connection, Detail, DropReason, Effect, Ingress, MissingPermission, Resource, Stage, StepAction, Tracker,
    neighborhood,
};
use gp_model::{
    Direction, Eni, RuleCells, RulePeer, SecurityGroupId, SecurityGroupRuleId, Subnet, TrafficCells, TrafficPoint,
};
use gp_wire::{FiveTuple, protocol};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::IpAddr;

/// Asks the groups of `eni` about a packet that leaves it (egress) or arrives at it (ingress). A packet that a rule lets
/// pass opens a connection of this ENI, unless the flow counts as untracked.
pub(crate) fn check(journey: &mut Journey<'_>, eni: &Eni, subnet: &Subnet, direction: Direction) -> Result<(), Stop> {
    let stage = stage(direction);
    if let Some(detail) = tracked(journey, eni) {
        journey.step(stage, StepAction::Tracked, None, detail);
        return Ok(());
    }
    if journey.ports().is_some() {
        note_ports(journey, eni, direction)?;
    }
    let mut question = Question::new(journey, eni, subnet, direction);
    let Some((group, rule)) = question.find_rule()? else {
        let missing = question.missing_permission();
        return Err(journey.refuse(stage, drop_reason(direction), missing));
    };
    let tracked = !question.is_untracked()?;
    let tuple = question.tuple;
    let connection = Connection { tuple, opened_by: direction, translated: None };
    let effect = Effect::OpenConnection { tracker: Tracker::Eni(eni.id), connection };
    match (tracked, direction) {
        (true, _) => journey.effect(effect),
        (false, Direction::Egress) => journey.leave_untracked(effect),
        (false, Direction::Ingress) => {}
    }
    let resource = Resource::SecurityGroupRule { id: rule, group };
    journey.step(stage, StepAction::Pass, Some(resource), Detail::RuleAllows { tracked });
    Ok(())
}

fn stage(direction: Direction) -> Stage {
    match direction {
        Direction::Egress => Stage::SecurityGroupOut,
        Direction::Ingress => Stage::SecurityGroupIn,
    }
}

fn drop_reason(direction: Direction) -> DropReason {
    match direction {
        Direction::Egress => DropReason::SecurityGroupEgress,
        Direction::Ingress => DropReason::SecurityGroupIngress,
    }
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::Egress => Direction::Ingress,
        Direction::Ingress => Direction::Egress,
    }
}

/// A connection that lets the packet pass, whatever the rules say: its own, or the one that an ICMP error is about.
fn tracked(journey: &mut Journey<'_>, eni: &Eni) -> Option<Detail> {
    let tracker = Tracker::Eni(eni.id);
    if let Some(connection) = journey.find_connection(tracker) {
        return Some(Detail::ConnectionTracked { opened_by: connection.opened_by });
    }
    journey.find_related(tracker).map(|(related, _)| Detail::RelatedTo(related))
}

/// Notes which other ports would be answered alike. Whether a rule allows looks at the packet's port; whether the flow is
/// untracked, at the answer's as well, but only where the rule is for anybody.
fn note_ports(journey: &mut Journey<'_>, eni: &Eni, direction: Direction) -> Result<(), Stop> {
    let peer = match direction {
        Direction::Egress => journey.tuple().dst,
        Direction::Ingress => journey.tuple().src,
    };
    for id in &eni.groups {
        let group = journey.security_group(*id)?;
        for rule in group.rules(direction) {
            journey.covers(rule.traffic);
        }
        for rule in [Direction::Egress, Direction::Ingress].into_iter().flat_map(|way| group.rules(way)) {
            if rule.peer.block() == Some(anybody(peer)) {
                journey.compare_both_ports(rule.traffic);
            }
        }
    }
    Ok(())
}

/// One packet before the groups of one ENI.
struct Question<'j, 'a, 'e> {
    journey: &'j mut Journey<'a>,
    eni: &'e Eni,
    subnet: &'e Subnet,
    direction: Direction,
    tuple: FiveTuple,
    /// The packet's other end.
    peer: IpAddr,
    /// Who holds `peer`, once somebody has asked.
    peer_eni: Option<Option<&'a Eni>>,
}

impl<'j, 'a, 'e> Question<'j, 'a, 'e> {
    fn new(journey: &'j mut Journey<'a>, eni: &'e Eni, subnet: &'e Subnet, direction: Direction) -> Self {
        let tuple = journey.tuple();
        let peer = match direction {
            Direction::Egress => tuple.dst,
            Direction::Ingress => tuple.src,
        };
        Self { journey, eni, subnet, direction, tuple, peer, peer_eni: None }
    }

    /// The first rule that allows the packet, in order of the ENI's groups.
    fn find_rule(&mut self) -> Result<Option<(SecurityGroupId, SecurityGroupRuleId)>, Stop> {
        let packet = point(&self.tuple);
        for group in &self.eni.groups {
            let rules = self.journey.rules(*group, self.direction)?;
            if let Some(rule) = self.first_rule(*group, rules, &rules.cells_around(packet)) {
                return Ok(Some((*group, rule)));
            }
        }
        Ok(None)
    }

    /// The first of a group's rules that allows the packet. Blocks say so by themselves; who holds an address, and what
    /// a list has in it, is asked only where a rule before them wants to know: the answer depends on it then.
    fn first_rule(
        &mut self,
        group: SecurityGroupId,
        rules: &RuleCells,
        traffic: &TrafficCells,
    ) -> Option<SecurityGroupRuleId> {
        let mut first = rules.first_around(self.peer, traffic);
        let mut naming_group = rules.first_of_any_group(traffic);
        for rule in rules.naming_lists(traffic) {
            let earlier = naming_group.take_if(|naming| *naming < rule);
            first = self.first_with_groups(rules, traffic, earlier, first);
            if first.is_some_and(|first| first < rule) {
                return first;
            }
            if self.is_in_list(group, rule) {
                return Some(rule);
            }
        }
        self.first_with_groups(rules, traffic, naming_group, first)
    }

    /// Lets the rules that name groups have their say, if the first of them comes before the `first` known so far.
    fn first_with_groups(
        &mut self,
        rules: &RuleCells,
        traffic: &TrafficCells,
        naming_group: Option<SecurityGroupRuleId>,
        first: Option<SecurityGroupRuleId>,
    ) -> Option<SecurityGroupRuleId> {
        let Some(naming_group) = naming_group else { return first };
        if first.is_some_and(|first| first < naming_group) {
            return first;
        }
        let by_group = self.peer_eni().and_then(|eni| rules.first_of_groups(&eni.groups, traffic));
        [first, by_group].into_iter().flatten().min()
    }

    /// Is the packet's other end in the prefix list that the rule names?
    fn is_in_list(&mut self, group: SecurityGroupId, rule: SecurityGroupRuleId) -> bool {
        let world = self.journey.world;
        let rule = world.security_group(group).and_then(|group| group.rules.get(&rule));
        let Some(RulePeer::PrefixList(list)) = rule.map(|rule| rule.peer) else { return false };
        self.journey.read(crate::Read::PrefixList(list));
        world.blocks_of_list(list).is_some_and(|blocks| blocks.contains(self.peer))
    }

    /// The ENI of the same VPC that holds the other end's private address. Of what comes in it must be the ENI that sent
    /// it: a rule that names a group means nothing behind a router (VPC user guide, "Security group referencing").
    fn peer_eni(&mut self) -> Option<&'a Eni> {
        if let Some(known) = self.peer_eni {
            return known;
        }
        let journey = &mut *self.journey;
        let found = neighborhood::holder(journey.world, self.subnet, self.peer, &mut |read| journey.read(read));
        if let Some(eni) = found {
            journey.read(crate::Read::Eni(eni.id));
        }
        let is_sender = |eni: &&Eni| journey.ingress == Ingress::Eni(eni.id);
        let found = found.filter(|eni| self.direction == Direction::Egress || is_sender(eni));
        self.peer_eni = Some(found);
        found
    }

    /// TCP and UDP that anybody may send, and whose answers may go to anybody, need no connection. The answer of such
    /// a flow is untracked by the same rules, seen from its other side.
    fn is_untracked(&mut self) -> Result<bool, Stop> {
        if !matches!(self.tuple.protocol, protocol::TCP | protocol::UDP) {
            return Ok(false);
        }
        let (here, there) = (self.direction, opposite(self.direction));
        let (packet, answer) = (point(&self.tuple), point(&self.tuple.reversed()));
        let all_ports = packet.of_all_ports();
        let asks = self.is_open_to_anybody(here, packet)? && self.is_open_to_anybody(there, all_ports)?;
        Ok(asks || (self.is_open_to_anybody(here, all_ports)? && self.is_open_to_anybody(there, answer)?))
    }

    /// Is there a rule from or to the whole address family that covers this?
    fn is_open_to_anybody(&mut self, direction: Direction, traffic: TrafficPoint) -> Result<bool, Stop> {
        for group in &self.eni.groups {
            let rules = self.journey.rules(*group, direction)?;
            if rules.first_of_block(anybody(self.peer), &rules.cells_around(traffic)).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn missing_permission(&mut self) -> MissingPermission {
        let peer_group = self.peer_eni().and_then(|eni| eni.groups.first().copied());
        let FiveTuple { protocol, dst_port, .. } = self.tuple;
        let [icmp_type, code] = dst_port.to_be_bytes();
        MissingPermission {
            groups: self.eni.groups.to_vec(),
            direction: self.direction,
            peer: self.peer,
            peer_group,
            protocol,
            port: matches!(protocol, protocol::TCP | protocol::UDP).then_some(dst_port),
            icmp: self.tuple.is_icmp().then_some((icmp_type, code)),
        }
    }
}

/// Everybody in the address family.
fn anybody(address: IpAddr) -> IpNet {
    match address {
        IpAddr::V4(_) => Ipv4Net::default().into(),
        IpAddr::V6(_) => Ipv6Net::default().into(),
    }
}
