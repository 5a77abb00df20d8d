//! The thread that writes: batches of accepted commits, one flush of the log each.

use super::checkpoint;
use super::log::{Entry, Log};
use super::row::RowChange;
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
/// A log that holds this much is handed over to the checkpoints as soon as they are free.
pub(super) const CHECKPOINT_BYTES: u64 = 1 << 20;
/// A log with so many times as much is not written on before they have taken it: bounds what a start has to read.
const CHECKPOINTS_BEHIND: u64 = 64;

/// Where commits go.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) database: Database,
    pub(super) logs: [Log; 2],
    pub(super) checkpoint_bytes: u64,
}

pub(super) fn spawn(
    files: Files,
    jobs: mpsc::Receiver<Job>,
    durable: watch::Sender<Snapshot>,
    failure: Arc<OnceLock<String>>,
) -> io::Result<JoinHandle<()>> {
    let Files { database, logs, checkpoint_bytes } = files;
    // Without room: what is sent is taken, by somebody who has finished with what came before.
    let (checkpoints, entries) = mpsc::sync_channel(0);
    let failures = failure.clone();
    let checkpointer = move || checkpoint::run(&database, entries, &failures);
    let checkpointer = thread::Builder::new().name("gp-store-checkpoint".to_owned()).spawn(checkpointer)?;
    let mut writer = Writer { logs, checkpoint_bytes, entries: Vec::new(), checkpoints, durable, failure };
    let run = move || {
        while let Ok(first) = jobs.recv() {
            // Whoever is about to commit gets in: on a busy machine a flush for each one or two costs more than it saves.
            thread::yield_now();
            let mut batch = vec![first];
            batch.extend(jobs.try_iter().take(MAX_BATCH - 1));
            writer.flush(batch);
        }
        writer.finish();
        if checkpointer.join().is_err() {
            tracing::error!("the store's checkpoints have panicked");
        }
    };
    thread::Builder::new().name("gp-store-writer".to_owned()).spawn(run)
}

#[derive(Debug)]
struct Writer {
    /// The one that is written, and the one whose entries are in the tables or on their way there.
    logs: [Log; 2],
    checkpoint_bytes: u64,
    /// What the log that is written holds.
    entries: Vec<Entry>,
    checkpoints: mpsc::SyncSender<Vec<Entry>>,
    durable: watch::Sender<Snapshot>,
    failure: Arc<OnceLock<String>>,
}

impl Writer {
    /// Makes a batch durable, shows it and answers it.
    fn flush(&mut self, mut batch: Vec<Job>) {
        if let Err(reason) = self.write(&mut batch) {
            for job in batch {
                let _ = job.answer.send(Err(CommitError::Failed { reason: reason.clone() }));
            }
            return;
        }
        // Shown before it is answered: whoever has the answer finds the change in a snapshot.
        if let Some(last) = batch.last() {
            self.durable.send_replace(last.snapshot.clone());
        }
        for job in batch {
            // Nobody may be waiting: a caller can hang up.
            let _ = job.answer.send(Ok(()));
        }
        self.hand_over();
    }

    /// # Errors
    /// Why the store takes no more writes.
    fn write(&mut self, batch: &mut [Job]) -> Result<(), String> {
        if let Some(reason) = self.failure.get() {
            return Err(reason.clone());
        }
        let generations = batch.first().zip(batch.last());
        let Some((first, last)) = generations.map(|(a, b)| (a.snapshot.generation, b.snapshot.generation)) else {
            return Ok(());
        };
        let rows = batch.iter_mut().flat_map(|job| std::mem::take(&mut job.rows)).collect();
        let entry = Entry { first, last, rows };
        let [log, _] = &mut self.logs;
        log.append(&entry).map_err(|error| fail(&self.failure, &error))?;
        self.entries.push(entry);
        Ok(())
    }

    /// Hands the log over to the checkpoints if it is long enough and they are free, and goes on with the other one.
    fn hand_over(&mut self) {
        let length = self.logs[0].len();
        if length < self.checkpoint_bytes {
            return;
        }
        let entries = std::mem::take(&mut self.entries);
        let sent = if length < self.checkpoint_bytes * CHECKPOINTS_BEHIND {
            self.checkpoints.try_send(entries)
        } else {
            self.checkpoints.send(entries).map_err(|mpsc::SendError(entries)| mpsc::TrySendError::Disconnected(entries))
        };
        match sent {
            Ok(()) => {
                self.logs.swap(0, 1);
                self.logs[0].restart();
            }
            // They are busy, or have failed; then the next batch finds that out.
            Err(mpsc::TrySendError::Full(entries) | mpsc::TrySendError::Disconnected(entries)) => {
                self.entries = entries
            }
        }
    }

    /// Leaves nothing for the next start to read.
    fn finish(self) {
        if self.failure.get().is_none() && !self.entries.is_empty() {
            // Nobody takes them where a checkpoint has just failed: they stay in the log.
            let _ = self.checkpoints.send(self.entries);
        }
    }
}

/// Notes that the store takes no more writes; gives the first reason for that, which may be an older one.
pub(super) fn fail(failure: &OnceLock<String>, error: &dyn Error) -> String {
    let reason = failure.get_or_init(|| {
        let reason = in_words(error);
        tracing::error!(%reason, "the store has failed and takes no more writes");
        reason
    });
    reason.clone()
}

/// The error and its causes on one line.
fn in_words(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause: &&(dyn Error + 'static)| (*cause).source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}
