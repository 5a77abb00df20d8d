//! The default store: crash-safe files beside the process, the tables (redb) and a log in front of them.
//!
//! ```text
//! commit(): encode rows → lock head → check, advance → queue → unlock        (never waits for the disk)
//! writer thread: take all that is queued → append to the log → flush → show the snapshot → answer them all
//! checkpoint thread: a log that is long enough → one redb transaction; the writer goes on with the other log
//! ```
//!
//! The queue is filled under the head's lock, so its order is the order of generations, and a flush always holds a
//! prefix of what was accepted. Group commit falls out: while one flush runs, the next batch gathers.
//!
//! A log that is written again holds nothing that the tables lack: it was handed over before the other one was, and the
//! checkpoints take one at a time. A start puts into the tables what the logs have beyond them, and so begins with both
//! free.

mod checkpoint;
mod load;
mod log;
mod row;
mod writer;

pub use load::{FORMAT, OpenError};
pub use row::RowName;

use crate::head::Head;
use crate::{Commit, CommitError, Snapshot, Store};
use gp_model::{Generation, Transaction, World};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};
use writer::{Files, Job};

/// Worlds in files. Dropping it waits for what was accepted to be flushed.
#[derive(Debug)]
pub struct Embedded {
    line: Mutex<Line>,
    durable: watch::Receiver<Snapshot>,
    failure: Arc<OnceLock<String>>,
    writer: Option<JoinHandle<()>>,
}

/// The head and the way to the disk, under one lock because their order must agree.
#[derive(Debug)]
struct Line {
    head: Head,
    /// `None` once the store is being dropped.
    queue: Option<mpsc::Sender<Job>>,
}

impl Embedded {
    /// Opens the store in a directory, and makes both where there is none.
    ///
    /// # Errors
    /// [`OpenError`], which names the directory and, for a damaged row, the row.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        Self::from_files(load::open_files(directory)?, directory)
    }

    /// `directory` is only what errors name.
    fn from_files(files: Files, directory: &Path) -> Result<Self, OpenError> {
        let snapshot = load::load(&files, directory)?;
        let (durable_tx, durable) = watch::channel(snapshot.clone());
        let (queue, jobs) = mpsc::channel();
        let failure = Arc::new(OnceLock::new());
        let writer =
            writer::spawn(files, jobs, durable_tx, failure.clone()).map_err(|source| OpenError::Thread { source })?;
        let line = Mutex::new(Line { head: Head::starting_at(snapshot), queue: Some(queue) });
        Ok(Self { line, durable, failure, writer: Some(writer) })
    }

    /// Checks a transaction against the head, moves the head on and queues the rows for the disk.
    fn accept(
        &self,
        base: Generation,
        transaction: Transaction,
        planned: Option<World>,
    ) -> Result<Accepted, CommitError> {
        // Encoded before the lock is taken: it is the costly part, and may fail without a trace.
        let rows = row::changes(&transaction)?;
        let (answer, durable) = oneshot::channel();
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = self.failure.get() {
            return Err(CommitError::Failed { reason: reason.clone() });
        }
        let snapshot = line.head.advance(base, transaction, planned)?;
        let generation = snapshot.generation;
        let sent = line.queue.as_ref().map(|queue| queue.send(Job { snapshot, rows, answer }));
        match sent {
            Some(Ok(())) => Ok(Accepted { generation, durable }),
            _ => Err(self.stopped()),
        }
    }

    /// The writer is gone without an answer: it has panicked, or the store is being dropped.
    fn stopped(&self) -> CommitError {
        stopped(&self.failure)
    }
}

/// A commit on its way to the disk.
struct Accepted {
    generation: Generation,
    durable: oneshot::Receiver<Result<(), CommitError>>,
}

fn stopped(failure: &OnceLock<String>) -> CommitError {
    let reason = failure.get().cloned().unwrap_or_else(|| "the store's writer has stopped".to_owned());
    CommitError::Failed { reason }
}

impl Store for Embedded {
    fn snapshot(&self) -> Snapshot {
        self.durable.borrow().clone()
    }

    fn head(&self) -> Snapshot {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).head.snapshot().clone()
    }

    fn commit_planned(&self, base: Generation, transaction: Transaction, planned: Option<World>) -> Commit {
        let accepted = self.accept(base, transaction, planned);
        let failure = self.failure.clone();
        Box::pin(async move {
            let Accepted { generation, durable } = accepted?;
            match durable.await {
                Ok(flushed) => flushed.map(|()| generation),
                Err(_gone) => Err(stopped(&failure)),
            }
        })
    }

    fn watch(&self) -> watch::Receiver<Snapshot> {
        self.durable.clone()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).queue = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer has panicked");
        }
    }
}

#[cfg(test)]
mod tests;
