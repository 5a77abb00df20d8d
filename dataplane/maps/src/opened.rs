//! What the program tells of connections that it has let begin: the reader's end of a BPF ring buffer.
//!
//! Source: kernel documentation, "BPF ring buffer": one page that the reader writes its position to, one that the
//! program's side writes, and the records, mapped twice in a row so that none is ever torn.

use crate::error::MapError;
use crate::sys::RingMapping;
use gp_abi::Opened;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};

/// In a record's length: it is still being written.
const BUSY: u32 = 1 << 31;
/// In a record's length: the program has changed its mind.
const DISCARDED: u32 = 1 << 30;
const HEADER_BYTES: usize = 8;

/// Looks at a record that is being written before the processor is lent to others. The program ends within a
/// microsecond or so, but the CPU that runs it may have been taken away from this machine.
const PATIENCE: u32 = 1000;

/// The one reader of the ring; clones share it.
#[derive(Debug, Clone)]
pub struct OpenedRing {
    fd: Arc<OwnedFd>,
    ring: Arc<Mutex<RingMapping>>,
}

impl OpenedRing {
    /// `bytes`: the ring's size.
    pub(crate) fn map(fd: OwnedFd, bytes: usize) -> Result<Self, MapError> {
        let failed = |source| MapError::Call { map: "gp_opened", operation: "map", source };
        let ring = RingMapping::new(fd.as_fd(), bytes).map_err(failed)?;
        Ok(Self { fd: Arc::new(fd), ring: Arc::new(Mutex::new(ring)) })
    }

    /// Takes every record that was begun before this call, and those that come meanwhile. It waits for those that are
    /// still being written.
    pub fn take(&self, into: &mut Vec<Opened>) {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let mut at = ring.consumer().load(Ordering::Relaxed);
        loop {
            // What the caller has done so far, be it deleting a pair or moving our position below, is seen by whoever
            // begins a record that is not seen here.
            fence(Ordering::SeqCst);
            let end = ring.producer().load(Ordering::Acquire);
            if at == end {
                return;
            }
            while at != end {
                let length = finished_length(ring.header(at));
                let bytes = (length & !DISCARDED) as usize;
                if length & DISCARDED == 0 && bytes == size_of::<Opened>() {
                    into.push(ring.read(at.wrapping_add(HEADER_BYTES)));
                }
                at = at.wrapping_add((HEADER_BYTES + bytes).next_multiple_of(8));
            }
            ring.consumer().store(at, Ordering::SeqCst);
        }
    }
}

impl AsFd for OpenedRing {
    /// Readable while there are records that nobody has taken.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Waits until the record is written.
fn finished_length(header: &AtomicU32) -> u32 {
    let mut looks = 0;
    loop {
        let length = header.load(Ordering::Acquire);
        if length & BUSY == 0 {
            return length;
        }
        looks += 1;
        if looks % PATIENCE == 0 {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}
