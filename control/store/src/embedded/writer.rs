//! The thread that writes: batches of accepted commits, one flush each.

use super::row::{META, META_GENERATION, RECORDS, RowChange};
use crate::{CommitError, Snapshot};
use redb::Database;
use std::error::Error;
use std::io;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::{self, JoinHandle};
use tokio::sync::{oneshot, watch};

/// An accepted commit.
#[derive(Debug)]
pub(super) struct Job {
    /// The worlds after it.
    pub(super) snapshot: Snapshot,
    pub(super) rows: Vec<RowChange>,
    pub(super) answer: oneshot::Sender<Result<(), CommitError>>,
}

/// Most commits in one flush: bounds how long the first of them waits for the others to be written.
const MAX_BATCH: usize = 1024;

pub(super) fn spawn(
    database: Database,
    jobs: mpsc::Receiver<Job>,
    durable: watch::Sender<Snapshot>,
    failure: Arc<OnceLock<String>>,
) -> io::Result<JoinHandle<()>> {
    let run = move || {
        while let Ok(first) = jobs.recv() {
            let mut batch = vec![first];
            batch.extend(jobs.try_iter().take(MAX_BATCH - 1));
            flush(&database, batch, &durable, &failure);
        }
    };
    thread::Builder::new().name("gp-store-writer".to_owned()).spawn(run)
}

/// Makes a batch durable, shows it and answers it.
fn flush(database: &Database, batch: Vec<Job>, durable: &watch::Sender<Snapshot>, failure: &OnceLock<String>) {
    let outcome = match failure.get() {
        Some(reason) => Err(reason.clone()),
        None => write(database, &batch).map_err(|error| in_words(&error)),
    };
    match outcome {
        Ok(()) => {
            // Shown before it is answered: whoever has the answer finds the change in a snapshot.
            if let Some(last) = batch.last() {
                durable.send_replace(last.snapshot.clone());
            }
            for job in batch {
                // Nobody may be waiting: a caller can hang up.
                let _ = job.answer.send(Ok(()));
            }
        }
        Err(reason) => {
            let reason = failure.get_or_init(|| {
                tracing::error!(%reason, "the store has failed and takes no more writes");
                reason
            });
            for job in batch {
                let _ = job.answer.send(Err(CommitError::Failed { reason: reason.clone() }));
            }
        }
    }
}

fn write(database: &Database, batch: &[Job]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut records = transaction.open_table(RECORDS)?;
        for RowChange { name, value } in batch.iter().flat_map(|job| &job.rows) {
            let key = (name.region.as_str(), name.kind.as_str(), name.key.as_str());
            match value {
                Some(value) => records.insert(key, value.as_slice())?,
                None => records.remove(key)?,
            };
        }
        if let Some(last) = batch.last() {
            transaction.open_table(META)?.insert(META_GENERATION, last.snapshot.generation.0)?;
        }
    }
    // redb's default durability: returns after the flush.
    transaction.commit()?;
    Ok(())
}

/// The error and its causes on one line.
fn in_words(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause: &&(dyn Error + 'static)| (*cause).source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}
