//! What follows from a security group. Of a group that changes only the rules that changed are touched.

use super::{Index, forget, link, unlink};
use crate::rule_index::RuleIndex;
use crate::{PrefixListId, RulePeer, SecurityGroup, SecurityGroupId, SecurityGroupRule, VpcId};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a rule names, besides blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Named {
    Group(SecurityGroupId),
    List(PrefixListId),
}

impl Named {
    fn by(rule: &SecurityGroupRule) -> Option<Self> {
        match rule.peer {
            RulePeer::Group { group, .. } => Some(Self::Group(group)),
            RulePeer::PrefixList(list) => Some(Self::List(list)),
            RulePeer::Ipv4(_) | RulePeer::Ipv6(_) => None,
        }
    }
}

impl Index {
    pub(super) fn insert_group(&mut self, group: &SecurityGroup) {
        self.link_group(group);
        for rule in group.rules.values() {
            self.group_of_rule.insert(rule.id, group.id);
        }
        self.link_named(group.id, &named(group));
        self.rules_of_group.insert(group.id, Arc::new(RuleIndex::new(group)));
    }

    pub(super) fn remove_group(&mut self, group: &SecurityGroup) {
        self.unlink_group(group);
        for rule in group.rules.values() {
            self.group_of_rule.remove(&rule.id);
        }
        self.unlink_named(group.id, &named(group));
        self.rules_of_group.remove(&group.id);
    }

    pub(super) fn replace_group(&mut self, old: &SecurityGroup, new: &SecurityGroup) {
        if (old.vpc, old.owner, &old.name) != (new.vpc, new.owner, &new.name) {
            self.unlink_group(old);
            self.link_group(new);
        }
        let Differences { removed, added } = differences(old, new);
        if removed.is_empty() && added.is_empty() {
            return;
        }
        for rule in &removed {
            self.group_of_rule.remove(&rule.id);
        }
        for rule in &added {
            self.group_of_rule.insert(rule.id, new.id);
        }
        if removed.iter().chain(&added).any(|rule| Named::by(rule).is_some()) {
            let (before, after) = (named(old), named(new));
            self.unlink_named(old.id, &(&before - &after));
            self.link_named(new.id, &(&after - &before));
        }
        let rules = self.rules_of_group.entry(new.id).or_default();
        Arc::make_mut(rules).change(&removed, &added);
    }

    fn link_group(&mut self, group: &SecurityGroup) {
        link(&mut self.groups_of_vpc, group.vpc, group.id);
        link(&mut self.groups_of_owner, group.owner, group.id);
        self.group_of_name.insert(name_of(group), group.id);
    }

    fn unlink_group(&mut self, group: &SecurityGroup) {
        unlink(&mut self.groups_of_vpc, &group.vpc, &group.id);
        unlink(&mut self.groups_of_owner, &group.owner, &group.id);
        forget(&mut self.group_of_name, &name_of(group), &group.id);
    }

    fn link_named(&mut self, group: SecurityGroupId, named: &BTreeSet<Named>) {
        for named in named {
            match *named {
                Named::Group(peer) => link(&mut self.groups_naming_group, peer, group),
                Named::List(list) => link(&mut self.groups_naming_list, list, group),
            }
        }
    }

    fn unlink_named(&mut self, group: SecurityGroupId, named: &BTreeSet<Named>) {
        for named in named {
            match named {
                Named::Group(peer) => unlink(&mut self.groups_naming_group, peer, &group),
                Named::List(list) => unlink(&mut self.groups_naming_list, list, &group),
            }
        }
    }
}

fn name_of(group: &SecurityGroup) -> (VpcId, String) {
    (group.vpc, group.name.to_ascii_lowercase())
}

fn named(group: &SecurityGroup) -> BTreeSet<Named> {
    group.rules.values().filter_map(Named::by).collect()
}

#[derive(Debug, Default)]
struct Differences<'r> {
    removed: Vec<&'r SecurityGroupRule>,
    added: Vec<&'r SecurityGroupRule>,
}

/// The rules that are gone, and those that are there instead. One that is about something else is both; words and tags
/// don't count.
fn differences<'r>(old: &'r SecurityGroup, new: &'r SecurityGroup) -> Differences<'r> {
    let mut differences = Differences::default();
    let (mut before, mut after) = (old.rules.values().peekable(), new.rules.values().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return differences,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.id.cmp(&new.id),
        };
        let was = if order.is_le() { before.next() } else { None };
        let is = if order.is_ge() { after.next() } else { None };
        let is_same = was.is_some_and(|was| is.is_some_and(|is| is_about_the_same(was, is)));
        if !is_same {
            differences.removed.extend(was);
            differences.added.extend(is);
        }
    }
}

fn is_about_the_same(a: &SecurityGroupRule, b: &SecurityGroupRule) -> bool {
    (a.direction, a.traffic, a.peer) == (b.direction, b.traffic, b.peer)
}
