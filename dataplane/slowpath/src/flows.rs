//! Which flows are cached, and what each of them rests on.
//!
//! Flows between the same ENIs read the same, so each distinct list of reads is kept once for a port, with a chain of its
//! flows. A change asks: which lists hold one of these reads, and which flows have those lists?

use crate::connections::canonical;
use crate::places::{Keyed, NOWHERE, Place, PlacedTable};
use foldhash::{HashMap, HashSet};
use gp_abi::{FlowKey, FlowValue};
use gp_trace::{Pass, Read, Tracker};
use gp_wire::FiveTuple;
use std::sync::Arc;

/// Place of a list of reads.
pub(crate) type ListId = usize;

#[derive(Debug, Default)]
pub(crate) struct FlowIndex {
    by_port: HashMap<u32, PlacedTable<Flow>>,
    lists: Vec<List>,
    free: Vec<ListId>,
    /// The lists of these reads, of one port each.
    ids_of_lists: HashMap<Arc<[Read]>, Vec<ListId>>,
    lists_with: HashMap<Read, HashSet<ListId>>,
    by_gateway: HashMap<FlowKey, Gateways>,
    of_connection: HashMap<(Tracker, FiveTuple), HashSet<FlowKey>>,
}

/// A flow in its port's table, between two others of its list.
#[derive(Debug)]
struct Flow {
    key: FlowKey,
    list: ListId,
    previous: Place,
    next: Place,
}

impl Keyed for Flow {
    type Key = FlowKey;

    fn key(&self) -> FlowKey {
        self.key
    }
}

/// Of a flow that passes other trackers than the ENIs at its ends, or those with other tuples: who must hear of its
/// packets, and how many they have heard of.
#[derive(Debug)]
struct Gateways {
    passes: Arc<[Pass]>,
    packets: u64,
    bytes: u64,
}

/// What a flow has counted since its trackers heard of it last.
#[derive(Debug)]
pub(crate) struct News {
    pub passes: Arc<[Pass]>,
    pub packets: u64,
    pub bytes: u64,
}

#[derive(Debug)]
struct List {
    port: u32,
    reads: Arc<[Read]>,
    /// Of the port's flows that rest on this.
    first: Place,
    /// Pairs, by number, whose flows rest on this.
    pairs: HashSet<u64>,
}

impl FlowIndex {
    pub fn contains(&self, key: &FlowKey) -> bool {
        self.by_port.get(&key.port).is_some_and(|flows| flows.find(key).is_some())
    }

    pub fn len(&self) -> usize {
        self.by_port.values().map(PlacedTable::len).sum()
    }

    pub fn len_of(&self, port: u32) -> usize {
        self.by_port.get(&port).map_or(0, PlacedTable::len)
    }

    /// The port with the most flows.
    pub fn largest(&self) -> Option<u32> {
        self.by_port.iter().max_by_key(|(_, flows)| flows.len()).map(|(port, _)| *port)
    }

    pub fn of_port(&self, port: u32) -> impl Iterator<Item = &FlowKey> {
        self.by_port.get(&port).into_iter().flat_map(PlacedTable::iter).map(|flow| &flow.key)
    }

    /// Some of a port's flows; others each time, until all have had their turn.
    pub fn sample(&mut self, port: u32, count: usize) -> Vec<FlowKey> {
        let flows = self.by_port.get_mut(&port);
        flows.into_iter().flat_map(|flows| flows.sample(count)).map(|flow| flow.key).collect()
    }

    /// Notes a flow with what it rests on; what was known of it is replaced.
    pub fn insert(&mut self, key: FlowKey, reads: &[Read]) {
        let list = self.list_of(key.port, reads);
        self.insert_listed(key, list);
    }

    /// The same, with a list of its port that a pair holds.
    pub fn insert_listed(&mut self, key: FlowKey, list: ListId) {
        let flows = self.by_port.entry(key.port).or_default();
        let (place, is_new) = flows.find_or_insert(Flow { key, list, previous: NOWHERE, next: NOWHERE });
        if is_new {
            return prepend(flows, &mut self.lists[list], place);
        }
        let Some(old) = flows.get(place).map(|flow| flow.list).filter(|old| *old != list) else { return };
        detach(flows, &mut self.lists[old], place);
        if let Some(flow) = flows.get_mut(place) {
            flow.list = list;
        }
        prepend(flows, &mut self.lists[list], place);
        self.free_if_unused(old);
    }

    /// Notes whose packets a flow's are. No passes: those of the ENIs at its ends, with its own tuple.
    pub fn set_passes(&mut self, key: &FlowKey, passes: &[Pass]) {
        let old = self.by_gateway.get(key);
        if old.map_or(&[][..], |gateways| &gateways.passes) == passes {
            return;
        }
        let (packets, bytes) = old.map_or((0, 0), |gateways| (gateways.packets, gateways.bytes));
        self.forget_passes(key);
        if passes.is_empty() {
            return;
        }
        for pass in passes {
            self.of_connection.entry((pass.tracker, canonical(&pass.tuple))).or_default().insert(*key);
        }
        self.by_gateway.insert(*key, Gateways { passes: passes.into(), packets, bytes });
    }

    /// Who must hear what of a flow that passes gateways; the next time it is news from here on.
    pub fn news(&mut self, key: &FlowKey, value: &FlowValue) -> Option<News> {
        let gateways = self.by_gateway.get_mut(key)?;
        let packets = value.packets.saturating_sub(gateways.packets);
        let bytes = value.bytes.saturating_sub(gateways.bytes);
        (gateways.packets, gateways.bytes) = (value.packets, value.bytes);
        Some(News { passes: Arc::clone(&gateways.passes), packets, bytes })
    }

    /// The flows that pass a tracker with this tuple or its reverse, as far as passes were noted.
    pub fn of_connection(&self, tracker: Tracker, tuple: &FiveTuple) -> Vec<FlowKey> {
        self.of_connection.get(&(tracker, canonical(tuple))).into_iter().flatten().copied().collect()
    }

    fn forget_passes(&mut self, key: &FlowKey) {
        let Some(gateways) = self.by_gateway.remove(key) else { return };
        for pass in gateways.passes.iter() {
            let place = (pass.tracker, canonical(&pass.tuple));
            if let Some(flows) = self.of_connection.get_mut(&place) {
                flows.remove(key);
                if flows.is_empty() {
                    self.of_connection.remove(&place);
                }
            }
        }
    }

    pub fn remove(&mut self, key: &FlowKey) -> bool {
        self.forget_passes(key);
        let Some(flows) = self.by_port.get_mut(&key.port) else { return false };
        let Some(place) = flows.find(key) else { return false };
        let Some(list) = flows.get(place).map(|flow| flow.list) else { return false };
        detach(flows, &mut self.lists[list], place);
        flows.remove(place);
        if flows.is_empty() {
            self.by_port.remove(&key.port);
        }
        self.free_if_unused(list);
        true
    }

    /// The flows that rest on one of these reads, each once.
    pub fn resting_on<'a>(&self, reads: impl IntoIterator<Item = &'a Read>) -> Vec<FlowKey> {
        let lists: HashSet<ListId> =
            reads.into_iter().filter_map(|read| self.lists_with.get(read)).flatten().copied().collect();
        lists.iter().flat_map(|list| self.flows_of(&self.lists[*list])).collect()
    }

    fn flows_of(&self, list: &List) -> impl Iterator<Item = FlowKey> {
        let flows = self.by_port.get(&list.port);
        let at = move |place: Place| flows.and_then(|flows| flows.get(place));
        std::iter::successors(at(list.first), move |flow| at(flow.next)).map(|flow| flow.key)
    }

    /// The list of these reads for flows of this port, kept until the pair releases it.
    pub fn hold(&mut self, port: u32, reads: &[Read], pair: u64) -> ListId {
        let list = self.list_of(port, reads);
        self.lists[list].pairs.insert(pair);
        list
    }

    pub fn release(&mut self, list: ListId, pair: u64) {
        if self.lists[list].pairs.remove(&pair) {
            self.free_if_unused(list);
        }
    }

    /// The pairs that rest on one of these reads, each once.
    pub fn pairs_resting_on<'a>(&self, reads: impl IntoIterator<Item = &'a Read>) -> HashSet<u64> {
        let lists = reads.into_iter().filter_map(|read| self.lists_with.get(read)).flatten();
        lists.flat_map(|list| &self.lists[*list].pairs).copied().collect()
    }

    fn list_of(&mut self, port: u32, reads: &[Read]) -> ListId {
        let same = self.ids_of_lists.get(reads).into_iter().flatten();
        if let Some(list) = same.copied().find(|list| self.lists[*list].port == port) {
            return list;
        }
        let reads: Arc<[Read]> = reads.into();
        let list = List { port, reads: Arc::clone(&reads), first: NOWHERE, pairs: HashSet::default() };
        let id = match self.free.pop() {
            Some(id) => {
                self.lists[id] = list;
                id
            }
            None => {
                self.lists.push(list);
                self.lists.len() - 1
            }
        };
        for read in reads.iter() {
            self.lists_with.entry(*read).or_default().insert(id);
        }
        self.ids_of_lists.entry(reads).or_default().push(id);
        id
    }

    fn free_if_unused(&mut self, id: ListId) {
        let list = &mut self.lists[id];
        if list.first != NOWHERE || !list.pairs.is_empty() {
            return;
        }
        let reads = std::mem::take(&mut list.reads);
        for read in reads.iter() {
            if let Some(lists) = self.lists_with.get_mut(read) {
                lists.remove(&id);
                if lists.is_empty() {
                    self.lists_with.remove(read);
                }
            }
        }
        if let Some(ids) = self.ids_of_lists.get_mut(&reads) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.ids_of_lists.remove(&reads);
            }
        }
        self.free.push(id);
    }
}

/// Puts a flow, which is in no list, before all others of a list.
fn prepend(flows: &mut PlacedTable<Flow>, list: &mut List, place: Place) {
    let next = std::mem::replace(&mut list.first, place);
    if let Some(next) = flows.get_mut(next) {
        next.previous = place;
    }
    if let Some(flow) = flows.get_mut(place) {
        (flow.previous, flow.next) = (NOWHERE, next);
    }
}

/// Takes a flow out of its list.
fn detach(flows: &mut PlacedTable<Flow>, list: &mut List, place: Place) {
    let Some((previous, next)) = flows.get(place).map(|flow| (flow.previous, flow.next)) else { return };
    match flows.get_mut(previous) {
        Some(previous) => previous.next = next,
        None => list.first = next,
    }
    if let Some(next) = flows.get_mut(next) {
        next.previous = previous;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;
    use gp_model::{EniId, SecurityGroupId};

    fn key(port: u32, dst_port: u16) -> FlowKey {
        FlowKey { port, dst_port, ..Zeroable::zeroed() }
    }

    fn eni(n: u128) -> Read {
        Read::Eni(EniId::from_bits(n))
    }

    fn group(n: u128) -> Read {
        Read::SecurityGroup(SecurityGroupId::from_bits(n))
    }

    #[test]
    fn flows_are_found_by_what_they_rest_on() {
        let mut index = FlowIndex::default();
        index.insert(key(1, 1), &[eni(1), group(1)]);
        index.insert(key(1, 2), &[eni(1), group(1)]);
        index.insert(key(2, 3), &[eni(2), group(1)]);
        let mut found = index.resting_on(&[eni(1), group(9)]);
        found.sort();
        assert_eq!(found, [key(1, 1), key(1, 2)]);
        assert_eq!(index.resting_on(&[group(1), eni(2)]).len(), 3);
        assert!(index.resting_on(&[eni(3)]).is_empty());
        assert_eq!((index.len(), index.len_of(1), index.largest()), (3, 2, Some(1)));
    }

    #[test]
    fn a_flow_that_rests_on_something_else_now_is_found_by_that_alone() {
        let mut index = FlowIndex::default();
        index.insert(key(1, 1), &[eni(1), group(1)]);
        index.insert(key(1, 1), &[eni(1)]);
        assert!(index.resting_on(&[group(1)]).is_empty());
        assert_eq!(index.resting_on(&[eni(1)]), [key(1, 1)]);
    }

    #[test]
    fn a_list_that_a_pair_holds_stays_without_flows() {
        let mut index = FlowIndex::default();
        let list = index.hold(1, &[eni(1), group(1)], 7);
        index.insert_listed(key(1, 1), list);
        assert_eq!(index.resting_on(&[group(1)]), [key(1, 1)]);
        index.remove(&key(1, 1));
        assert_eq!(index.pairs_resting_on(&[group(1), eni(1)]), HashSet::from_iter([7]));
        index.release(list, 7);
        assert!(index.pairs_resting_on(&[group(1)]).is_empty());
        assert!(index.lists_with.is_empty() && index.ids_of_lists.is_empty());
    }

    #[test]
    fn removed_flows_leave_nothing_behind() {
        let mut index = FlowIndex::default();
        for round in 0..3 {
            index.insert(key(1, round), &[eni(u128::from(round)), group(1)]);
            assert!(index.remove(&key(1, round)));
            assert!(!index.remove(&key(1, round)));
        }
        assert_eq!(index.len(), 0);
        assert!(index.lists_with.is_empty() && index.ids_of_lists.is_empty() && index.by_port.is_empty());
        assert_eq!(index.lists.len(), 1, "places are used again");
    }
}
