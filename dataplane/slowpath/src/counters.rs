//! What the slow path counts, and the snapshot that status pages and metrics read.

use gp_abi::{DROP_COUNTERS, EniState};
use gp_trace::DropReason;
use serde::Serialize;
use std::collections::BTreeMap;

/// A snapshot. Counts start with the process, but for `drops`, whose kernel part starts with the pinned maps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Packets dropped, by the reason's name; kernel and user space together. Reasons that never happened are left out.
    pub drops: BTreeMap<&'static str, u64>,
    /// ENIs with an interface on this host.
    pub enis: u64,
    /// Cached flows.
    pub flows: u64,
    /// Tracked connections.
    pub connections: u64,
    #[serde(flatten)]
    pub totals: Totals,
}

/// What is counted for one ENI while it is on this host.
#[derive(Debug, Clone, Copy)]
pub struct EniCounters {
    pub flows: usize,
    pub connections: usize,
    /// Further ones that would be tracked.
    pub connections_free: usize,
    /// First packets that were dropped since no further connection is tracked.
    pub connections_refused: u64,
    pub kernel: EniState,
}

/// What only ever grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub upcalls: u64,
    /// First packets that went on to a guest.
    pub delivered: u64,
    /// Answers of the VPC itself.
    pub answered: u64,
    /// Connections that the fast path has let begin by itself.
    pub opened: u64,
    /// Entries put into the flow table.
    pub installed: u64,
    /// Flows thrown out to make room.
    pub evicted: u64,
    /// Flows traced again after a change.
    pub retraced: u64,
    /// Of these, flows whose entry had to go or to change its verdict.
    pub changed: u64,
    /// Flows and connections forgotten since nothing was heard of them.
    pub expired: u64,
    /// Things that the kernel refused; the log tells which.
    pub failures: u64,
}

/// Drops in user space, by the reason's code.
#[derive(Debug)]
pub(crate) struct DropTotals([u64; DROP_COUNTERS as usize]);

impl Default for DropTotals {
    fn default() -> Self {
        Self([0; DROP_COUNTERS as usize])
    }
}

impl DropTotals {
    pub fn count(&mut self, reason: DropReason) {
        if let Some(count) = self.0.get_mut(usize::from(reason.code())) {
            *count += 1;
        }
    }

    pub fn get(&self, reason: DropReason) -> u64 {
        self.0.get(usize::from(reason.code())).copied().unwrap_or(0)
    }
}
