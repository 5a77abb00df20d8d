//! A security group's rules by what they are about: who asks for the rules that cover a packet need not look at the rest.
//!
//! Each rule is entered once per cell of its traffic, under its peer. The blocks around an address are few, whatever the
//! number of rules, and so are the cells around a packet: an answer costs a handful of binary searches. What it means
//! to be covered is not decided here: see the trace's stage.
//!
//! The entries lie in sorted arrays without gaps, since there are many groups and most are small. A change copies
//! them once and makes or drops the entries of the rules that changed.

use crate::block_set::PrefixLengths;
use crate::traffic_cell::{CellClasses, TrafficCell, TrafficCells, TrafficPoint};
use crate::{Direction, RulePeer, SecurityGroup, SecurityGroupId, SecurityGroupRule, SecurityGroupRuleId};
use ipnet::IpNet;
use std::net::IpAddr;

/// The rules of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleIndex {
    ingress: RuleCells,
    egress: RuleCells,
}

impl RuleIndex {
    pub(crate) fn new(group: &SecurityGroup) -> Self {
        let mut index = Self::default();
        index.change(&[], &group.rules.values().collect::<Vec<_>>());
        index
    }

    /// Takes rules out by what they were when they were put in, and puts others in.
    pub(crate) fn change(&mut self, removed: &[&SecurityGroupRule], added: &[&SecurityGroupRule]) {
        for (direction, cells) in [(Direction::Ingress, &mut self.ingress), (Direction::Egress, &mut self.egress)] {
            let of =
                |rules: &[&SecurityGroupRule]| Entries::new(rules.iter().filter(|rule| rule.direction == direction));
            let (removed, added) = (of(removed), of(added));
            if !removed.is_empty() || !added.is_empty() {
                cells.change(&removed, &added);
            }
        }
    }

    pub fn rules(&self, direction: Direction) -> &RuleCells {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

/// The rules of one group for one direction. Rules are found in order of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleCells {
    classes: CellClasses,
    lengths: PrefixLengths,
    entries: Entries,
}

/// By peer, then by cell, then by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Entries {
    blocks: Sorted<IpNet>,
    groups: Sorted<SecurityGroupId>,
    /// Those of `groups` once more, whatever the group.
    any_group: Sorted<()>,
    lists: Sorted<()>,
}

impl Entries {
    fn new<'r>(rules: impl Iterator<Item = &'r &'r SecurityGroupRule>) -> Self {
        let mut entries = Self::default();
        for rule in rules {
            for cell in rule.traffic.cells() {
                match rule.peer {
                    RulePeer::Ipv4(block) => entries.blocks.0.push((IpNet::V4(block.trunc()), cell, rule.id)),
                    RulePeer::Ipv6(block) => entries.blocks.0.push((IpNet::V6(block.trunc()), cell, rule.id)),
                    RulePeer::PrefixList(_) => entries.lists.0.push(((), cell, rule.id)),
                    RulePeer::Group { group, .. } => {
                        entries.groups.0.push((group, cell, rule.id));
                        entries.any_group.0.push(((), cell, rule.id));
                    }
                }
            }
        }
        entries.blocks.0.sort_unstable();
        entries.groups.0.sort_unstable();
        entries.any_group.0.sort_unstable();
        entries.lists.0.sort_unstable();
        entries
    }

    fn is_empty(&self) -> bool {
        self.blocks.0.is_empty() && self.groups.0.is_empty() && self.lists.0.is_empty()
    }

    fn cells(&self) -> impl Iterator<Item = TrafficCell> + '_ {
        self.blocks.cells().chain(self.any_group.cells()).chain(self.lists.cells())
    }
}

impl RuleCells {
    fn change(&mut self, removed: &Entries, added: &Entries) {
        let entries = &mut self.entries;
        entries.blocks.change(&removed.blocks, &added.blocks);
        entries.groups.change(&removed.groups, &added.groups);
        entries.any_group.change(&removed.any_group, &added.any_group);
        entries.lists.change(&removed.lists, &added.lists);
        self.lengths = PrefixLengths::new(self.entries.blocks.0.iter().map(|(block, ..)| *block));
        self.classes = CellClasses::default();
        self.entries.cells().for_each(|cell| self.classes.insert(cell));
    }

    /// The cells around a packet that any rule here could be about.
    pub fn cells_around(&self, packet: TrafficPoint) -> TrafficCells {
        packet.cells_of(self.classes)
    }

    /// The first rule whose peer is a block around the address, at one of the cells.
    pub fn first_around(&self, address: IpAddr, traffic: &TrafficCells) -> Option<SecurityGroupRuleId> {
        let blocks = self.lengths.blocks_around(address);
        blocks.filter_map(|block| self.entries.blocks.first(block, traffic)).min()
    }

    /// The first rule whose peer is this very block.
    pub fn first_of_block(&self, block: IpNet, traffic: &TrafficCells) -> Option<SecurityGroupRuleId> {
        self.entries.blocks.first(block, traffic)
    }

    /// The first rule whose peer is one of these groups.
    pub fn first_of_groups(&self, groups: &[SecurityGroupId], traffic: &TrafficCells) -> Option<SecurityGroupRuleId> {
        groups.iter().filter_map(|group| self.entries.groups.first(*group, traffic)).min()
    }

    /// The first rule whose peer is a group, whichever.
    pub fn first_of_any_group(&self, traffic: &TrafficCells) -> Option<SecurityGroupRuleId> {
        self.entries.any_group.first((), traffic)
    }

    /// The rules whose peer is a prefix list, in order. Each list must be asked on its own, as an answer depends on it.
    pub fn naming_lists(&self, traffic: &TrafficCells) -> Vec<SecurityGroupRuleId> {
        let mut rules: Vec<_> = traffic.iter().flat_map(|cell| self.entries.lists.all((), cell)).collect();
        rules.sort_unstable();
        rules
    }
}

type Entry<P> = (P, TrafficCell, SecurityGroupRuleId);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Sorted<P>(Vec<Entry<P>>);

impl<P> Default for Sorted<P> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<P: Ord + Copy> Sorted<P> {
    fn cells(&self) -> impl Iterator<Item = TrafficCell> + '_ {
        self.0.iter().map(|(_, cell, _)| *cell)
    }

    fn first(&self, peer: P, traffic: &TrafficCells) -> Option<SecurityGroupRuleId> {
        let of_peer = self.of_peer(peer);
        if of_peer.is_empty() {
            return None;
        }
        traffic.iter().filter_map(|cell| at_cell(of_peer, cell).next()).min()
    }

    fn all(&self, peer: P, cell: TrafficCell) -> impl Iterator<Item = SecurityGroupRuleId> + '_ {
        at_cell(self.of_peer(peer), cell)
    }

    fn of_peer(&self, peer: P) -> &[Entry<P>] {
        let start = self.0.partition_point(|(other, ..)| *other < peer);
        let rest = &self.0[start..];
        match rest.first() {
            Some((other, ..)) if *other == peer => &rest[..rest.partition_point(|(other, ..)| *other == peer)],
            _ => &[],
        }
    }

    fn change(&mut self, removed: &Self, added: &Self) {
        if !removed.0.is_empty() {
            self.0.retain(|entry| removed.0.binary_search(entry).is_err());
        }
        if !added.0.is_empty() {
            self.0.reserve_exact(added.0.len());
            self.0.extend_from_slice(&added.0);
            // Two sorted runs: one merge.
            self.0.sort();
        }
    }
}

/// The rules at one cell of what is a single peer's.
fn at_cell<P>(of_peer: &[Entry<P>], cell: TrafficCell) -> impl Iterator<Item = SecurityGroupRuleId> + '_ {
    let start = of_peer.partition_point(|(_, other, _)| *other < cell);
    of_peer[start..].iter().take_while(move |(_, other, _)| *other == cell).map(|(.., rule)| *rule)
}
