//! The newest worlds in memory, and the conflict rule.

use crate::{CommitError, Snapshot};
use gp_model::{Generation, Region, Transaction, World};
use std::collections::HashMap;
use std::sync::Arc;

/// The newest worlds, and when each region changed last.
#[derive(Debug, Default)]
pub(crate) struct Head {
    snapshot: Snapshot,
    changed: HashMap<Region, Generation>,
    /// A region without an entry in `changed` may have changed as late as this: where a restart began.
    floor: Generation,
}

impl Head {
    /// Worlds as they were found at a start.
    pub(crate) fn starting_at(snapshot: Snapshot) -> Self {
        Self { floor: snapshot.generation, changed: HashMap::new(), snapshot }
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Applies a transaction as the next generation and gives the worlds after it.
    ///
    /// The rule: the region must not have changed after `base`. It is coarser than "what the plan read", and so never
    /// wrong; the server plans one change at a time, so a finer rule would gain nothing there. It also makes `planned` right,
    /// which is what the changes make of the region's world of `base`.
    ///
    /// # Errors
    /// [`CommitError::Conflict`]; then nothing has changed.
    pub(crate) fn advance(
        &mut self,
        base: Generation,
        transaction: Transaction,
        planned: Option<World>,
    ) -> Result<Snapshot, CommitError> {
        let Transaction { region, changes } = transaction;
        let current = self.changed.get(&region).copied().unwrap_or(self.floor);
        // A base from the future was read from another store; what it saw is not what is here.
        if base < current || base > self.snapshot.generation {
            return Err(CommitError::Conflict { region, base, current });
        }
        let world = planned.unwrap_or_else(|| {
            let mut world = Arc::unwrap_or_clone(self.snapshot.world(&region));
            changes.into_iter().for_each(|change| world.apply(change));
            world
        });
        // An empty region is one that a restart would not find.
        if world.tables().is_empty() {
            self.snapshot.regions.remove(&region);
        } else {
            self.snapshot.regions.insert(region.clone(), Arc::new(world));
        }
        self.snapshot.generation = Generation(self.snapshot.generation.0 + 1);
        self.changed.insert(region, self.snapshot.generation);
        Ok(self.snapshot.clone())
    }
}
