//! Where the worlds of all regions are kept.
//!
//! ```text
//! plan on head() → commit(base, transaction) ── refused: Conflict
//!                        │ accepted: head moves on at once
//!                        ▼
//!                  made durable (many commits share one flush)
//!                        │ snapshot() and watch() move on, then the commit answers
//!                        ▼
//!                  Ok(generation)
//! ```
//!
//! What a store promises, checked for each implementation by one suite (`tests/contract.rs`):
//!
//! * **Atomic.** A transaction's changes become visible together or not at all.
//! * **Ordered.** Each accepted commit is the next [`Generation`]; nobody sees a later one without the earlier ones.
//! * **Optimistic.** A commit is refused with [`CommitError::Conflict`] if its region has changed since `base`, the
//!   generation of the snapshot on which it was planned.
//! * **Durable.** A commit answers only when a crash can't undo it, and [`Store::snapshot`] shows only such changes.
//! * **Loud.** After a write has failed, whether it reached the disk is unknown. The store then refuses every further
//!   commit with [`CommitError::Failed`]; a restart reads what is really there.

mod embedded;
mod head;
mod memory;

pub use embedded::{Embedded, FORMAT, OpenError, RowName};
pub use memory::Memory;

use gp_model::{Generation, Region, Transaction, World};
use imbl::OrdMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::watch;

/// The worlds as of one generation. A clone shares everything. A region without a record isn't listed.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub generation: Generation,
    pub regions: OrdMap<Region, Arc<World>>,
}

impl Snapshot {
    /// The region's world; an empty one where nobody has made anything yet.
    pub fn world(&self, region: &Region) -> Arc<World> {
        self.regions.get(region).cloned().unwrap_or_else(|| Arc::new(World::new(region.clone())))
    }
}

/// The answer of a commit, due when it can't be undone any more.
pub type Commit = Pin<Box<dyn Future<Output = Result<Generation, CommitError>> + Send>>;

/// Keeps the worlds. See the crate's page for what every implementation promises.
pub trait Store: Send + Sync + 'static {
    /// The newest durable worlds: for readers and for hosts. Nothing in it can be undone by a crash.
    fn snapshot(&self) -> Snapshot;

    /// The newest worlds known to this process: for planning. May be ahead of [`Store::snapshot`] by commits that
    /// are on their way to the disk, so that a plan needn't wait for the flush of the one before it. That is sound
    /// because commits become durable in order: if an earlier one fails, the later ones fail with it.
    fn head(&self) -> Snapshot;

    /// Commits changes that were planned on a snapshot of generation `base`.
    ///
    /// The call itself decides, without waiting, wherever the store can decide in this process; the returned future
    /// is only the wait for durability and may be dropped without consequence.
    ///
    /// # Errors
    /// [`CommitError::Conflict`]: plan again on a newer head. [`CommitError::Encode`]: nothing was changed.
    /// [`CommitError::Failed`]: the store takes no more writes.
    fn commit(&self, base: Generation, transaction: Transaction) -> Commit {
        self.commit_planned(base, transaction, None)
    }

    /// As [`Store::commit`]. `planned` is what the changes make of the region's world of `base`, from who has applied them
    /// already: so they needn't be applied again.
    ///
    /// # Errors
    /// As there.
    fn commit_planned(&self, base: Generation, transaction: Transaction, planned: Option<World>) -> Commit;

    /// Follows [`Store::snapshot`]. A slow watcher skips generations and never holds a commit up.
    fn watch(&self) -> watch::Receiver<Snapshot>;
}

/// Why a commit was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    #[error("{region} has changed since generation {}; it is now at {}", base.0, current.0)]
    Conflict { region: Region, base: Generation, current: Generation },
    #[error("a record can't be put into its stored form: {reason}")]
    Encode { reason: String },
    /// One failure answers every commit after it, so the cause is kept as text.
    #[error("the store takes no more writes, because one has failed: {reason}")]
    Failed { reason: String },
}
