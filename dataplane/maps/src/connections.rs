//! Tracked connections, kept in the kernel so that they outlive the agent.

use crate::error::MapError;
use crate::table::Table;
use gp_abi::{ConnectionKey, ConnectionValue};

/// The copy of the connection table that a restarted agent reads. `gp_compile::connection` translates.
#[derive(Debug, Clone)]
pub struct Connections(pub(crate) Table<ConnectionKey, ConnectionValue>);

impl Connections {
    /// # Errors
    /// The kernel refuses.
    pub fn get(&self, key: &ConnectionKey) -> Result<Option<ConnectionValue>, MapError> {
        self.0.get(key)
    }

    /// Writes, over whatever was there.
    ///
    /// # Errors
    /// [`MapError::Full`] where the table holds as many connections as it may.
    pub fn insert(&self, key: &ConnectionKey, value: &ConnectionValue) -> Result<(), MapError> {
        self.0.insert(key, value)
    }

    /// Removes; false where it was not there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(&self, key: &ConnectionKey) -> Result<bool, MapError> {
        self.0.remove(key)
    }

    /// Calls `visit` for each connection, in no order. Those that stay during the walk are seen exactly once.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn scan(&self, visit: impl FnMut(&ConnectionKey, &ConnectionValue)) -> Result<(), MapError> {
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
}
