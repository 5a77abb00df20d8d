//! What client and server tell each other beside the traffic: counters in a page that both have.

use anyhow::{Context, Result, bail};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Counters that there are: one for each stream or kind of flow.
pub const COUNTERS: usize = 16;
const READY_WITHIN: Duration = Duration::from_secs(10);
const LATE: Duration = Duration::from_millis(400);

/// A cache line of its own, so that two counting threads don't slow each other down.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counter(AtomicU64);

#[derive(Debug, Default)]
struct Page {
    counters: [Counter; COUNTERS],
    is_awaited: AtomicBool,
    has_failed: AtomicBool,
    is_stopped: AtomicBool,
}

/// The page, for as long as the process lives. The copy in the other process after a fork is the same page.
#[derive(Debug, Clone, Copy)]
pub struct Shared(&'static Page);

impl Shared {
    /// # Errors
    /// The kernel has no memory.
    pub fn new() -> Result<Self> {
        let (rights, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, which nothing else points into.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<Page>(), rights, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error()).context("map a shared page");
        }
        let page = start.cast::<Page>();
        // SAFETY: mappings start at a page's boundary, this one is large enough and nobody else knows it yet.
        unsafe { page.write(Page { is_awaited: AtomicBool::new(true), ..Page::default() }) };
        // SAFETY: it was just written, is never unmapped, and holds nothing but atomics.
        Ok(Self(unsafe { &*page }))
    }

    /// Says that the server listens.
    pub fn ready(&self) {
        self.0.is_awaited.store(false, Relaxed);
    }

    pub fn fail_if(&self, has_failed: bool) {
        self.0.has_failed.fetch_or(has_failed, Relaxed);
    }

    /// # Errors
    /// The server has failed or hangs.
    pub fn wait_until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while self.0.is_awaited.load(Relaxed) {
            if self.0.has_failed.load(Relaxed) || Instant::now() > deadline {
                bail!("the server does not listen");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub fn stop(&self) {
        self.0.is_stopped.store(true, Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.0.is_stopped.load(Relaxed)
    }

    pub fn add(&self, counter: usize, count: u64) {
        self.0.counters[counter % COUNTERS].0.fetch_add(count, Relaxed);
    }

    pub fn get(&self, counter: usize) -> u64 {
        self.0.counters[counter % COUNTERS].0.load(Relaxed)
    }

    pub fn sum(&self) -> u64 {
        (0..COUNTERS).map(|counter| self.get(counter)).sum()
    }

    /// Waits until a counter is where it should get to, or has not moved for so long that what is missing is lost and
    /// not late: the server may have to wait for a CPU.
    pub fn settle(&self, counter: usize, expected: u64) -> u64 {
        let (mut last, mut moved) = (self.get(counter), Instant::now());
        while last < expected && moved.elapsed() < LATE {
            std::thread::sleep(Duration::from_millis(2));
            let now = self.get(counter);
            if now != last {
                (last, moved) = (now, Instant::now());
            }
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_waited_for_until_nothing_arrives_any_more() {
        let shared = Shared::new().unwrap();
        shared.add(1, 3);
        std::thread::spawn(move || shared.add(1 + COUNTERS, 4));
        assert_eq!((shared.settle(1, 7), shared.settle(1, 8), shared.sum()), (7, 7, 7));
    }

    #[test]
    fn a_server_that_failed_is_not_waited_for() {
        let shared = Shared::new().unwrap();
        shared.fail_if(true);
        assert!(shared.wait_until_ready().is_err());
        shared.ready();
        assert!(shared.wait_until_ready().is_ok());
    }
}
