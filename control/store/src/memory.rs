//! A store that lives as long as its process: for tests and for `groundplane up` without data to keep.

use crate::head::Head;
use crate::{Commit, CommitError, Snapshot, Store};
use gp_model::{Generation, Transaction, World};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// Worlds in memory. With nothing to flush, the head is as durable as it will ever be.
#[derive(Debug)]
pub struct Memory {
    head: Mutex<Head>,
    latest: watch::Sender<Snapshot>,
}

impl Memory {
    pub fn new() -> Self {
        Self { head: Mutex::default(), latest: watch::Sender::default() }
    }

    fn advance(
        &self,
        base: Generation,
        transaction: Transaction,
        planned: Option<World>,
    ) -> Result<Generation, CommitError> {
        // A panic while planning the next head leaves the old one whole, so a poisoned lock is harmless.
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = head.advance(base, transaction, planned)?;
        let generation = snapshot.generation;
        // Under the lock, so that watchers see generations in order.
        self.latest.send_replace(snapshot);
        Ok(generation)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for Memory {
    fn snapshot(&self) -> Snapshot {
        self.latest.borrow().clone()
    }

    fn head(&self) -> Snapshot {
        self.snapshot()
    }

    fn commit_planned(&self, base: Generation, transaction: Transaction, planned: Option<World>) -> Commit {
        Box::pin(std::future::ready(self.advance(base, transaction, planned)))
    }

    fn watch(&self) -> watch::Receiver<Snapshot> {
        self.latest.subscribe()
    }
}
