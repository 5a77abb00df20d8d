//! The table of pairs: how further connections between known peers begin.

use crate::error::MapError;
use crate::table::Table;
use gp_abi::{PairKey, PairValue};
use gp_compile::PairEntry;
use std::os::fd::BorrowedFd;

/// The table of pairs. Only a [`PairEntry`] gets in, and that comes from a trace.
#[derive(Debug, Clone)]
pub struct Pairs(pub(crate) Table<PairKey, PairValue>);

impl Pairs {
    /// # Errors
    /// [`MapError::Full`] where the table holds as many pairs as it may: connections begin by the slow path.
    pub fn insert(&self, entry: &PairEntry) -> Result<(), MapError> {
        self.0.insert(entry.key(), entry.value())
    }

    /// Removes; false where it was not there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(&self, key: &PairKey) -> Result<bool, MapError> {
        self.0.remove(key)
    }

    /// Calls `visit` for each pair, in no order.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn scan(&self, visit: impl FnMut(&PairKey, &PairValue)) -> Result<(), MapError> {
        self.0.scan(visit)
    }

    /// The map itself, for tools that look past the types.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }
}
