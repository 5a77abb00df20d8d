//! The flow table: a map for each family, and what their entries share.

use crate::adjacencies::Adjacencies;
use crate::error::MapError;
use crate::table::Table;
use gp_abi::{FlowKey, FlowKey4, FlowValue, PackedFlow, PackedPair, PairKey};
use gp_compile::{FlowEntry, adjacency_of, pack_flow, pack_key, unpack_flow, unpack_key};

/// The flow table. Only a [`FlowEntry`] gets in, and that comes from a trace.
#[derive(Debug, Clone)]
pub struct Flows {
    pub(crate) ipv4: Table<FlowKey4, PackedFlow>,
    pub(crate) ipv6: Table<FlowKey, PackedFlow>,
    /// They name adjacencies, too.
    pub(crate) pairs: Table<PairKey, PackedPair>,
    pub(crate) adjacencies: Adjacencies,
}

impl Flows {
    /// # Errors
    /// The kernel refuses.
    pub fn get(&self, key: &FlowKey) -> Result<Option<FlowValue>, MapError> {
        let packed = match pack_key(key) {
            Some(key) => self.ipv4.get(&key),
            None => self.ipv6.get(key),
        };
        Ok(packed?.map(|flow| self.unpack(&flow)))
    }

    /// Writes the entry as it stands, counters and all, over whatever was there.
    ///
    /// # Errors
    /// [`MapError::Full`] where the table holds as many flows as it may, or the array as many adjacencies: the flow's
    /// packets go on by the slow path.
    pub fn insert(&self, entry: &FlowEntry) -> Result<(), MapError> {
        self.insert_untraced(entry.key(), entry.value())
    }

    /// Writes an entry that no trace made: for tests of the program. The product has none.
    ///
    /// # Errors
    /// As [`Flows::insert`].
    #[doc(hidden)]
    pub fn insert_untraced(&self, key: &FlowKey, value: &FlowValue) -> Result<(), MapError> {
        let mut naming = self.adjacencies.naming();
        let flow = packed(value, naming.number_of(&adjacency_of(value))?)?;
        match pack_key(key) {
            Some(key) => self.ipv4.insert(&key, &flow),
            None => self.ipv6.insert(key, &flow),
        }
    }

    /// Puts another decision into an entry that is there and keeps its counters; false where it is not there.
    ///
    /// Packets obey either the old decision or the new one, never a mixture. Those that are counted between the reading
    /// and the writing (microseconds) are missing in the counters.
    ///
    /// # Errors
    /// The kernel refuses; [`MapError::Full`] where the array holds as many adjacencies as it may.
    pub fn replace(&self, entry: &FlowEntry) -> Result<bool, MapError> {
        let mut naming = self.adjacencies.naming();
        let Some(old) = self.get(entry.key())? else { return Ok(false) };
        let entry = entry.with_counters_of(&old);
        let flow = packed(entry.value(), naming.number_of(&adjacency_of(entry.value()))?)?;
        match pack_key(entry.key()) {
            Some(key) => self.ipv4.replace(&key, &flow),
            None => self.ipv6.replace(entry.key(), &flow),
        }
    }

    /// Removes a flow and answers its final counters.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(&self, key: &FlowKey) -> Result<Option<FlowValue>, MapError> {
        let packed = match pack_key(key) {
            Some(key) => self.ipv4.take(&key),
            None => self.ipv6.take(key),
        };
        Ok(packed?.map(|flow| self.unpack(&flow)))
    }

    /// Calls `visit` for each flow, in no order. Flows that stay during the walk are seen exactly once.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn scan(&self, mut visit: impl FnMut(&FlowKey, &FlowValue)) -> Result<(), MapError> {
        self.walk(|key, flow| visit(key, &self.unpack(flow)))
    }

    /// As [`Flows::scan`], and frees the adjacencies that neither this walk nor the last one has found in use. Of such walks
    /// there is to be one at a time; and before the next one, who takes a pair away is to have waited for what it was about
    /// to begin.
    ///
    /// # Errors
    /// The kernel refuses. Then nothing is freed.
    pub fn sweep(&self, mut visit: impl FnMut(&FlowKey, &FlowValue)) -> Result<(), MapError> {
        let mut seen = self.adjacencies.none_seen();
        self.walk(|key, flow| {
            seen.mark(flow.adjacency);
            visit(key, &self.unpack(flow));
        })?;
        // After the flows: one that was missed, a pair that is still there has made.
        self.pairs
            .scan(|_, pair| [&pair.forward, &pair.answer].into_iter().for_each(|flow| seen.mark(flow.adjacency)))?;
        self.adjacencies.sweep(&seen);
        Ok(())
    }

    fn walk(&self, mut visit: impl FnMut(&FlowKey, &PackedFlow)) -> Result<(), MapError> {
        self.ipv4.scan(|key, flow| visit(&unpack_key(key), flow))?;
        self.ipv6.scan(visit)
    }

    fn unpack(&self, flow: &PackedFlow) -> FlowValue {
        unpack_flow(flow, &self.adjacencies.get(flow.adjacency))
    }

    /// Counts by a walk: the kernel doesn't tell.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn len(&self) -> Result<usize, MapError> {
        Ok(self.ipv4.len()? + self.ipv6.len()?)
    }

    /// # Errors
    /// The kernel refuses.
    pub fn is_empty(&self) -> Result<bool, MapError> {
        Ok(self.len()? == 0)
    }

    /// Adjacencies that are in use, or not yet known not to be.
    pub fn adjacencies(&self) -> usize {
        self.adjacencies.len()
    }
}

fn packed(value: &FlowValue, adjacency: u32) -> Result<PackedFlow, MapError> {
    pack_flow(value, adjacency).ok_or_else(|| MapError::unfit("gp_flows"))
}
