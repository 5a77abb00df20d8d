//! The time, as the engine is told it: read at the edge, passed in everywhere else.

use gp_model::Timestamp;
use std::time::{Duration, SystemTime};

/// By how much the fast path's clock, which ticks a hundred times a second or more, may lag behind ours.
const FAST_PATH_LAG_NS: u64 = 20_000_000;

/// Can it have been after a moment of ours that the fast path saw a packet?
pub(crate) fn may_be_after(seen_ns: u64, moment_ns: u64) -> bool {
    seen_ns.saturating_add(FAST_PATH_LAG_NS) >= moment_ns
}

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// `CLOCK_MONOTONIC`, in nanoseconds: what flow entries carry.
    pub monotonic_ns: u64,
    /// The time of day, for the trace.
    pub wall: Timestamp,
}

impl Now {
    /// Reads both clocks.
    pub fn read() -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let wall = Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX));
        Self { monotonic_ns: monotonic_ns(), wall }
    }

    /// Seconds since a moment of the monotonic clock; 0 where that is later.
    pub(crate) fn secs_since(self, monotonic_ns: u64) -> u64 {
        self.monotonic_ns.saturating_sub(monotonic_ns) / 1_000_000_000
    }
}

fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours; this clock exists on every Linux, so the call can't fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
