//! The maps of the fast path as plain Rust values.

use gp_abi::{Bucket, EniState, FlowKey, FlowValue};
use gp_compile::{FlowTable, PairMaps};
use std::collections::BTreeMap;

/// What the executor works on.
#[derive(Debug, Clone, Default)]
pub struct RustTable {
    pub pairs: PairMaps,
    pub flows: BTreeMap<FlowKey, FlowValue>,
    pub enis: BTreeMap<u32, EniState>,
    pub buckets: BTreeMap<u32, Bucket>,
    pub drops: BTreeMap<u16, u64>,
}

impl FlowTable for RustTable {
    fn flow(&mut self, key: &FlowKey) -> Option<&mut FlowValue> {
        self.flows.get_mut(key)
    }
    fn insert_flow(&mut self, key: &FlowKey, value: &FlowValue) -> bool {
        let is_new = !self.flows.contains_key(key);
        if is_new {
            self.flows.insert(*key, *value);
        }
        is_new
    }
    fn remove_flow(&mut self, key: &FlowKey) {
        self.flows.remove(key);
    }
    fn pairs(&mut self) -> &mut PairMaps {
        &mut self.pairs
    }
    fn eni(&mut self, ifindex: u32) -> Option<&mut EniState> {
        self.enis.get_mut(&ifindex)
    }
    fn bucket(&mut self, index: u32) -> Option<&mut Bucket> {
        self.buckets.get_mut(&index)
    }
    fn count_drop(&mut self, code: u16) {
        *self.drops.entry(code).or_default() += 1;
    }
}
