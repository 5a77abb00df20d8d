//! The table of pairs: how further connections between known peers begin.

use crate::adjacencies::Adjacencies;
use crate::error::MapError;
use crate::table::Table;
use gp_abi::{PackedPair, PairKey, PairValue};
use gp_compile::{PairEntry, adjacency_of, pack_pair};

/// The table of pairs. Only a [`PairEntry`] gets in, and that comes from a trace.
#[derive(Debug, Clone)]
pub struct Pairs {
    pub(crate) table: Table<PairKey, PackedPair>,
    pub(crate) adjacencies: Adjacencies,
}

impl Pairs {
    /// # Errors
    /// [`MapError::Full`] where the table holds as many pairs as it may, or the array as many adjacencies: connections
    /// begin by the slow path.
    pub fn insert(&self, entry: &PairEntry) -> Result<(), MapError> {
        self.insert_untraced(entry.key(), entry.value())
    }

    /// Writes a pair that no trace made: for tests of the program. The product has none.
    ///
    /// # Errors
    /// As [`Pairs::insert`].
    #[doc(hidden)]
    pub fn insert_untraced(&self, key: &PairKey, value: &PairValue) -> Result<(), MapError> {
        let mut naming = self.adjacencies.naming();
        let forward = naming.number_of(&adjacency_of(&value.forward))?;
        let answer = naming.number_of(&adjacency_of(&value.answer))?;
        let pair = pack_pair(value, [forward, answer]).ok_or_else(|| MapError::unfit("gp_pairs"))?;
        self.table.insert(key, &pair)
    }

    /// Removes; false where it was not there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(&self, key: &PairKey) -> Result<bool, MapError> {
        self.table.remove(key)
    }

    /// Calls `visit` for the key of each pair, in no order.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn scan(&self, mut visit: impl FnMut(&PairKey)) -> Result<(), MapError> {
        self.table.scan(|key, _| visit(key))
    }
}
