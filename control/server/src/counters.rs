//! What the server counts about itself.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};

/// One counter. Relaxed: each stands for itself.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Serialize for Counter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0.load(Ordering::Relaxed))
    }
}

/// Since the start.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Counters {
    pub(crate) requests: Counter,
    /// Refused as the caller's fault (4xx).
    pub(crate) refused: Counter,
    /// Failed as ours (5xx).
    pub(crate) failed: Counter,
    pub(crate) commits: Counter,
    /// Plans that had to be made again because their region had changed.
    pub(crate) conflicts: Counter,
    /// Changes answered before the host had applied them.
    pub(crate) answered_before_applied: Counter,
    /// Outcomes of instances that the host reported.
    pub(crate) outcomes: Counter,
    /// Planners that panicked: each is a bug.
    pub(crate) panics: Counter,
}
