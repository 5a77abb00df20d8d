//! What instances have left of their bandwidth: an array that the program and this process both have mapped.
//!
//! Mapped and not read by calls, since both take from a bucket at the same time and neither may undo what the other has
//! done. The steps are those of `lib/bandwidth.h`; the arithmetic is gp-compile's.

use crate::error::MapError;
use crate::sys::Mapping;
use bytemuck::Zeroable;
use gp_abi::{BUCKETS_PER_ALLOWANCE, Bucket};
use gp_compile::{Refill, is_open, refill};
use std::mem::offset_of;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const WORDS_PER_BUCKET: usize = size_of::<Bucket>() / size_of::<u64>();

const TOKENS: usize = offset_of!(Bucket, tokens) / size_of::<u64>();
const REFILLED_NS: usize = offset_of!(Bucket, refilled_ns) / size_of::<u64>();
const CREDIT: usize = offset_of!(Bucket, credit) / size_of::<u64>();
const PEAK_RATE: usize = offset_of!(Bucket, peak_rate) / size_of::<u64>();
const BURST: usize = offset_of!(Bucket, burst) / size_of::<u64>();
const BASELINE_RATE: usize = offset_of!(Bucket, baseline_rate) / size_of::<u64>();
const CREDIT_MAX: usize = offset_of!(Bucket, credit_max) / size_of::<u64>();

/// The buckets by their indices. Clones are handles on the same.
#[derive(Debug, Clone)]
pub struct Buckets(Arc<Mapping>);

impl Buckets {
    pub(crate) fn map(fd: BorrowedFd<'_>, buckets: u32) -> Result<Self, MapError> {
        let mapping = Mapping::new(fd, buckets as usize * WORDS_PER_BUCKET);
        let failed = |source| MapError::Call { map: "gp_buckets", operation: "map", source };
        mapping.map(Arc::new).map(Self).map_err(failed)
    }

    /// Allowances that there is room for; the first index is 1.
    pub fn allowances(&self) -> u32 {
        let rows = self.0.words().len() / WORDS_PER_BUCKET / BUCKETS_PER_ALLOWANCE as usize;
        u32::try_from(rows).unwrap_or(u32::MAX).saturating_sub(1)
    }

    /// `None` where there is no such index.
    pub fn get(&self, index: u32) -> Option<Bucket> {
        let words = self.words(index)?;
        let read = |word: usize| words[word].load(Ordering::Relaxed);
        Some(Bucket {
            tokens: read(TOKENS),
            refilled_ns: read(REFILLED_NS),
            credit: read(CREDIT),
            peak_rate: read(PEAK_RATE),
            burst: read(BURST),
            baseline_rate: read(BASELINE_RATE),
            credit_max: read(CREDIT_MAX),
            ..Zeroable::zeroed()
        })
    }

    /// Writes a bucket that no packet uses yet, or whose limits have changed: then what is taken meanwhile may be lost.
    pub fn set(&self, index: u32, bucket: &Bucket) {
        let Some(words) = self.words(index) else { return };
        let values: [u64; WORDS_PER_BUCKET] = bytemuck::cast(*bucket);
        words.iter().zip(values).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
    }

    /// Takes a packet's bytes; false where the bucket has nothing left. An index that doesn't exist limits nothing.
    pub fn take(&self, index: u32, bytes: u64, now_ns: u64) -> bool {
        let Some(words) = self.words(index) else { return true };
        self.refill(index, now_ns);
        let is_open = is_open(words[TOKENS].load(Ordering::Relaxed));
        if is_open {
            words[TOKENS].fetch_sub(bytes, Ordering::Relaxed);
        }
        is_open
    }

    /// Adds what the time has earned.
    pub fn refill(&self, index: u32, now_ns: u64) {
        let (Some(words), Some(bucket)) = (self.words(index), self.get(index)) else { return };
        let Some(Refill { refilled_ns, credit, grant }) = refill(&bucket, now_ns) else { return };
        let mine =
            words[REFILLED_NS].compare_exchange(bucket.refilled_ns, refilled_ns, Ordering::Relaxed, Ordering::Relaxed);
        if mine.is_ok() {
            words[CREDIT].store(credit, Ordering::Relaxed);
            words[TOKENS].fetch_add(grant, Ordering::Relaxed);
        }
    }

    fn words(&self, index: u32) -> Option<&[AtomicU64]> {
        let start = index as usize * WORDS_PER_BUCKET;
        self.0.words().get(start..start + WORDS_PER_BUCKET)
    }
}
