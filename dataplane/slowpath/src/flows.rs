//! Which flows are cached, and what each of them rests on.
//!
//! Flows between the same ENIs read the same, so each distinct list of reads is kept once, with its flows. A change asks:
//! which lists hold one of these reads, and which flows have those lists?

use gp_abi::FlowKey;
use gp_trace::Read;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Place of a list of reads.
type ListId = usize;

#[derive(Debug, Default)]
pub(crate) struct FlowIndex {
    by_port: HashMap<u32, HashMap<FlowKey, ListId>>,
    lists: Vec<List>,
    free: Vec<ListId>,
    id_of_list: HashMap<Arc<[Read]>, ListId>,
    lists_with: HashMap<Read, HashSet<ListId>>,
}

#[derive(Debug, Default)]
struct List {
    reads: Arc<[Read]>,
    flows: HashSet<FlowKey>,
}

impl FlowIndex {
    pub fn contains(&self, key: &FlowKey) -> bool {
        self.by_port.get(&key.port).is_some_and(|flows| flows.contains_key(key))
    }

    pub fn len(&self) -> usize {
        self.by_port.values().map(HashMap::len).sum()
    }

    pub fn len_of(&self, port: u32) -> usize {
        self.by_port.get(&port).map_or(0, HashMap::len)
    }

    /// The port with the most flows.
    pub fn largest(&self) -> Option<u32> {
        self.by_port.iter().max_by_key(|(_, flows)| flows.len()).map(|(port, _)| *port)
    }

    pub fn of_port(&self, port: u32) -> impl Iterator<Item = &FlowKey> {
        self.by_port.get(&port).into_iter().flat_map(HashMap::keys)
    }

    /// Notes a flow with what it rests on; what was known of it is replaced.
    pub fn insert(&mut self, key: FlowKey, reads: &[Read]) {
        let list = self.list_of(reads);
        let old = self.by_port.entry(key.port).or_default().insert(key, list);
        if old == Some(list) {
            return;
        }
        if let Some(old) = old {
            self.unlist(&key, old);
        }
        self.lists[list].flows.insert(key);
    }

    pub fn remove(&mut self, key: &FlowKey) -> bool {
        let Some(flows) = self.by_port.get_mut(&key.port) else { return false };
        let Some(list) = flows.remove(key) else { return false };
        if flows.is_empty() {
            self.by_port.remove(&key.port);
        }
        self.unlist(key, list);
        true
    }

    /// The flows that rest on one of these reads, each once.
    pub fn resting_on<'a>(&self, reads: impl IntoIterator<Item = &'a Read>) -> Vec<FlowKey> {
        let lists: HashSet<ListId> =
            reads.into_iter().filter_map(|read| self.lists_with.get(read)).flatten().copied().collect();
        lists.iter().flat_map(|list| &self.lists[*list].flows).copied().collect()
    }

    fn list_of(&mut self, reads: &[Read]) -> ListId {
        if let Some(list) = self.id_of_list.get(reads) {
            return *list;
        }
        let reads: Arc<[Read]> = reads.into();
        let list = List { reads: Arc::clone(&reads), flows: HashSet::new() };
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
        self.id_of_list.insert(reads, id);
        id
    }

    fn unlist(&mut self, key: &FlowKey, id: ListId) {
        self.lists[id].flows.remove(key);
        if !self.lists[id].flows.is_empty() {
            return;
        }
        let List { reads, .. } = std::mem::take(&mut self.lists[id]);
        for read in reads.iter() {
            if let Some(lists) = self.lists_with.get_mut(read) {
                lists.remove(&id);
                if lists.is_empty() {
                    self.lists_with.remove(read);
                }
            }
        }
        self.id_of_list.remove(&reads);
        self.free.push(id);
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
    fn removed_flows_leave_nothing_behind() {
        let mut index = FlowIndex::default();
        for round in 0..3 {
            index.insert(key(1, round), &[eni(u128::from(round)), group(1)]);
            assert!(index.remove(&key(1, round)));
            assert!(!index.remove(&key(1, round)));
        }
        assert_eq!(index.len(), 0);
        assert!(index.lists_with.is_empty() && index.id_of_list.is_empty() && index.by_port.is_empty());
        assert_eq!(index.lists.len(), 1, "places are used again");
    }
}
