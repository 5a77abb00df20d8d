//! The line of instances that wait to boot.
//!
//! A boot is work for a processor, and for locks of the kernel's that all boots share. More of them at a time than there are
//! processors are done no sooner, and the first is ready no sooner than the last. So each waits for its turn, in the order in
//! which they came.

use crate::error::AgentError;
use crate::spawn_thread;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::available_parallelism;
use tracing::error;

type Boot = Box<dyn FnOnce() + Send>;

/// Dropping it lets the boots that have begun finish, and begins no other.
#[derive(Debug)]
pub struct BootLine {
    waiting: mpsc::Sender<Boot>,
    is_closed: Arc<AtomicBool>,
}

impl BootLine {
    /// A line with a worker for each processor.
    ///
    /// # Errors
    /// A thread can't be started.
    pub fn open() -> Result<Self, AgentError> {
        Self::with_workers(available_parallelism().map_or(1, usize::from))
    }

    fn with_workers(workers: usize) -> Result<Self, AgentError> {
        let (waiting, next) = mpsc::channel();
        let next = Arc::new(Mutex::new(next));
        let is_closed = Arc::new(AtomicBool::new(false));
        for _ in 0..workers {
            let (next, is_closed) = (Arc::clone(&next), Arc::clone(&is_closed));
            spawn_thread("boots", move || boot_in_turn(&next, &is_closed))?;
        }
        Ok(Self { waiting, is_closed })
    }

    /// Runs it when its turn comes.
    pub fn push(&self, boot: impl FnOnce() + Send + 'static) {
        // The workers go only once this is dropped.
        let _ = self.waiting.send(Box::new(boot));
    }
}

impl Drop for BootLine {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Release);
    }
}

fn boot_in_turn(next: &Mutex<mpsc::Receiver<Boot>>, is_closed: &AtomicBool) {
    loop {
        // Whoever waits for the next boot waits with the lock, and the others for the lock.
        let boot = next.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(boot) = boot else { return };
        if is_closed.load(Ordering::Acquire) {
            return;
        }
        if catch_unwind(AssertUnwindSafe(boot)).is_err() {
            error!("a boot has panicked; this is a bug");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boots_begin_in_their_order_and_no_more_at_a_time_than_there_are_workers() {
        let line = BootLine::with_workers(2).unwrap();
        let (begin, begun) = mpsc::channel();
        let (let_go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for number in 0..6 {
            let (begin, gate) = (begin.clone(), Arc::clone(&gate));
            line.push(move || {
                begin.send(number).unwrap();
                gate.lock().unwrap().recv().unwrap();
            });
        }
        let mut first = [begun.recv().unwrap(), begun.recv().unwrap()];
        first.sort_unstable();
        assert_eq!(first, [0, 1]);
        for next in 2..6 {
            assert!(begun.try_recv().is_err(), "nothing begins before something is done");
            let_go.send(()).unwrap();
            assert_eq!(begun.recv().unwrap(), next);
        }
        let_go.send(()).unwrap();
        let_go.send(()).unwrap();
    }

    #[test]
    fn a_boot_that_panics_keeps_no_other_from_its_turn() {
        let line = BootLine::with_workers(1).unwrap();
        let (tell, told) = mpsc::channel();
        line.push(|| panic!("on purpose"));
        line.push(move || tell.send(()).unwrap());
        told.recv().unwrap();
    }

    #[test]
    fn a_line_that_is_dropped_begins_no_other_boot() {
        let line = BootLine::with_workers(1).unwrap();
        let (begin, begun) = mpsc::channel();
        let (let_go, gate) = mpsc::channel::<()>();
        let (late, never) = mpsc::channel::<()>();
        line.push(move || {
            begin.send(()).unwrap();
            gate.recv().unwrap();
        });
        line.push(move || late.send(()).unwrap());
        begun.recv().unwrap();
        drop(line);
        let_go.send(()).unwrap();
        // The worker drops what it does not begin.
        assert!(never.recv().is_err());
    }
}
