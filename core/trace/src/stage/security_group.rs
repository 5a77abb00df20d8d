//! Security groups: allow-only, OR-ed over all groups of an ENI, stateful by the ENI's connections.
//!
//! Source: VPC user guide, "Security groups"; EC2 user guide, "Security group connection tracking".

use crate::journey::{Journey, Stop};
use crate::traffic::{covers, covers_all_ports};
use crate::{
    Connection, Detail, DropReason, Effect, Ingress, MissingPermission, Resource, Stage, StepAction, Tracker,
    neighborhood,
};
use gp_model::{Direction, Eni, RulePeer, SecurityGroup, SecurityGroupRule, Subnet, TrafficMatch};
use gp_wire::{FiveTuple, protocol};
use std::net::IpAddr;

/// Asks the groups of `eni` about a packet that leaves it (egress) or arrives at it (ingress). A packet that a rule lets
/// pass opens a connection of this ENI, unless the flow counts as untracked.
pub(crate) fn check(journey: &mut Journey<'_>, eni: &Eni, subnet: &Subnet, direction: Direction) -> Result<(), Stop> {
    let stage = stage(direction);
    if let Some(detail) = tracked(journey, eni) {
        journey.step(stage, StepAction::Tracked, None, detail);
        return Ok(());
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
    let resource = Resource::SecurityGroupRule { id: rule.id, group: group.id };
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
    fn find_rule(&mut self) -> Result<Option<(&'a SecurityGroup, &'a SecurityGroupRule)>, Stop> {
        for id in &self.eni.groups {
            let group = self.journey.security_group(*id)?;
            for rule in group.rules(self.direction) {
                if covers(rule.traffic, &self.tuple) && self.is_peer(rule.peer) {
                    return Ok(Some((group, rule)));
                }
            }
        }
        Ok(None)
    }

    fn is_peer(&mut self, peer: RulePeer) -> bool {
        match peer {
            RulePeer::Ipv4(block) => matches!(self.peer, IpAddr::V4(a) if block.contains(&a)),
            RulePeer::Ipv6(block) => matches!(self.peer, IpAddr::V6(a) if block.contains(&a)),
            RulePeer::PrefixList(list) => {
                self.journey.read(crate::Read::PrefixList(list));
                self.journey.world.prefix_list(list).is_some_and(|list| list.contains(self.peer))
            }
            RulePeer::Group { group, .. } => self.peer_eni().is_some_and(|eni| eni.groups.contains(&group)),
        }
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
        let (tuple, answer) = (self.tuple, self.tuple.reversed());
        let (here, there) = (self.direction, opposite(self.direction));
        let asks = self.any_rule_for_anybody(here, |traffic| covers(traffic, &tuple))?
            && self.any_rule_for_anybody(there, |traffic| covers_all_ports(traffic, &tuple))?;
        if asks {
            return Ok(true);
        }
        let answers = self.any_rule_for_anybody(here, |traffic| covers_all_ports(traffic, &tuple))?
            && self.any_rule_for_anybody(there, |traffic| covers(traffic, &answer))?;
        Ok(answers)
    }

    /// Is there a rule from or to the whole address family whose traffic is `wanted`?
    fn any_rule_for_anybody(
        &mut self,
        direction: Direction,
        wanted: impl Fn(TrafficMatch) -> bool,
    ) -> Result<bool, Stop> {
        for id in &self.eni.groups {
            let group = self.journey.security_group(*id)?;
            if group.rules(direction).any(|rule| wanted(rule.traffic) && is_anybody(rule.peer, self.peer)) {
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
            groups: self.eni.groups.clone(),
            direction: self.direction,
            peer: self.peer,
            peer_group,
            protocol,
            port: matches!(protocol, protocol::TCP | protocol::UDP).then_some(dst_port),
            icmp: self.tuple.is_icmp().then_some((icmp_type, code)),
        }
    }
}

fn is_anybody(peer: RulePeer, address: IpAddr) -> bool {
    match (peer, address) {
        (RulePeer::Ipv4(block), IpAddr::V4(_)) => block.prefix_len() == 0,
        (RulePeer::Ipv6(block), IpAddr::V6(_)) => block.prefix_len() == 0,
        _ => false,
    }
}
