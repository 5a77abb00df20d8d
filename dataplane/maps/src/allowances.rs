//! Whose buckets are where, kept in the kernel so that it outlives the agent.

use crate::error::MapError;
use crate::table::Table;
use gp_abi::{AllowanceKey, AllowanceValue};

/// Places of allowances by instance and network card. The program never reads them.
#[derive(Debug, Clone)]
pub struct Allowances(pub(crate) Table<AllowanceKey, AllowanceValue>);

impl Allowances {
    /// Writes, over whatever was there.
    ///
    /// # Errors
    /// [`MapError::Full`] where the table holds as many allowances as it may.
    pub fn insert(&self, key: &AllowanceKey, value: &AllowanceValue) -> Result<(), MapError> {
        self.0.insert(key, value)
    }

    /// Removes; false where it was not there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(&self, key: &AllowanceKey) -> Result<bool, MapError> {
        self.0.remove(key)
    }

    /// Calls `visit` for each allowance, in no order.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn scan(&self, visit: impl FnMut(&AllowanceKey, &AllowanceValue)) -> Result<(), MapError> {
        self.0.scan(visit)
    }
}
