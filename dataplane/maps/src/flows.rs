//! The flow table.

use crate::error::MapError;
use crate::table::Table;
use gp_abi::{FlowKey, FlowValue};
use gp_compile::FlowEntry;
use std::os::fd::BorrowedFd;

/// The flow table. Only a [`FlowEntry`] gets in, and that comes from a trace.
#[derive(Debug, Clone)]
pub struct Flows(pub(crate) Table<FlowKey, FlowValue>);

impl Flows {
    /// # Errors
    /// The kernel refuses.
    pub fn get(&self, key: &FlowKey) -> Result<Option<FlowValue>, MapError> {
        self.0.get(key)
    }

    /// Writes the entry as it stands, counters and all, over whatever was there.
    ///
    /// # Errors
    /// [`MapError::Full`] where the table holds as many flows as it may: the flow's packets go on by the slow path.
    pub fn insert(&self, entry: &FlowEntry) -> Result<(), MapError> {
        self.0.insert(entry.key(), entry.value())
    }

    /// Puts another decision into an entry that is there and keeps its counters; false where it is not there.
    ///
    /// Packets obey either the old decision or the new one, never a mixture. Those that are counted between the reading
    /// and the writing (microseconds) are missing in the counters.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn replace(&self, entry: &FlowEntry) -> Result<bool, MapError> {
        match self.0.get(entry.key())? {
            Some(old) => self.0.replace(entry.key(), entry.with_counters_of(&old).value()),
            None => Ok(false),
        }
    }

    /// Removes a flow and answers its final counters.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(&self, key: &FlowKey) -> Result<Option<FlowValue>, MapError> {
        self.0.take(key)
    }

    /// Calls `visit` for each flow, in no order. Flows that stay during the walk are seen exactly once.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn scan(&self, visit: impl FnMut(&FlowKey, &FlowValue)) -> Result<(), MapError> {
        self.0.scan(visit)
    }

    /// Counts by a walk: the kernel doesn't tell.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn len(&self) -> Result<usize, MapError> {
        self.0.len()
    }

    /// # Errors
    /// The kernel refuses.
    pub fn is_empty(&self) -> Result<bool, MapError> {
        Ok(self.len()? == 0)
    }

    /// The map itself, for tools that look past the types.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }
}
