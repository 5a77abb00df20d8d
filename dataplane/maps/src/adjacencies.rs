//! What becomes of packets, as far as flows share it: an array that the program reads and this process has mapped.
//!
//! Each content lies in one row; flows and pairs name its number. A row never changes while one of them does: it is written
//! before the first one is, and freed by the sweeps that `rows.rs` explains.

use crate::error::MapError;
use crate::rows::{Asked, Rows, Seen};
use crate::sys::Mapping;
use bytemuck::Zeroable;
use gp_abi::Adjacency;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Name of the map, as errors tell it.
pub const ADJACENCIES: &str = "gp_adjacencies";

const WORDS_PER_ROW: usize = size_of::<Adjacency>() / size_of::<u64>();

/// The rows. Clones are handles on the same; there is to be one process that writes.
#[derive(Debug, Clone)]
pub(crate) struct Adjacencies {
    mapping: Arc<Mapping>,
    rows: Arc<Mutex<Rows<Adjacency>>>,
}

/// The right to name rows. While it is held none is freed, so it is to be held until what names them is in its table.
pub(crate) struct Naming<'a> {
    mapping: &'a Mapping,
    rows: MutexGuard<'a, Rows<Adjacency>>,
}

impl Adjacencies {
    /// Takes over what is in the rows.
    pub fn map(fd: BorrowedFd<'_>, entries: u32) -> Result<Self, MapError> {
        let failed = |source| MapError::Call { map: ADJACENCIES, operation: "map", source };
        let mapping = Mapping::new(fd, entries as usize * WORDS_PER_ROW).map_err(failed)?;
        let last = entries.saturating_sub(1);
        let left = (1..=last).map(|number| Some(read(&mapping, number)).filter(is_used));
        let rows = Rows::adopt(last, left);
        Ok(Self { mapping: Arc::new(mapping), rows: Arc::new(Mutex::new(rows)) })
    }

    /// What a row holds; zeros where it is free, or where there is none.
    pub fn get(&self, number: u32) -> Adjacency {
        read(&self.mapping, number)
    }

    pub fn naming(&self) -> Naming<'_> {
        Naming { mapping: &self.mapping, rows: self.lock() }
    }

    /// For a walk that begins.
    pub fn none_seen(&self) -> Seen {
        Seen::none_of(self.lock().max())
    }

    /// Ends a walk that has seen all flows that were there throughout, and then all pairs.
    pub fn sweep(&self, seen: &Seen) {
        self.lock().sweep(seen, |number| write(&self.mapping, number, &Adjacency::zeroed()));
    }

    /// Rows that hold something.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Rows<Adjacency>> {
        // Nothing in there panics half-way.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Naming<'_> {
    /// The number of the row that holds this.
    ///
    /// # Errors
    /// [`MapError::Full`] where all rows hold something else.
    pub fn number_of(&mut self, content: &Adjacency) -> Result<u32, MapError> {
        // Without an action it would look free. Row 0 says the same.
        if !is_used(content) {
            return Ok(0);
        }
        let Asked { number, is_new } = self.rows.ask(content).ok_or(MapError::Full { map: ADJACENCIES })?;
        if is_new {
            write(self.mapping, number, content);
        }
        Ok(number)
    }
}

fn is_used(content: &Adjacency) -> bool {
    content.action != 0
}

fn read(mapping: &Mapping, number: u32) -> Adjacency {
    let start = number as usize * WORDS_PER_ROW;
    let mut words = [0u64; WORDS_PER_ROW];
    if let Some(row) = mapping.words().get(start..start + WORDS_PER_ROW) {
        words = std::array::from_fn(|word| row[word].load(Ordering::Relaxed));
    }
    bytemuck::cast(words)
}

/// Writes a row that nothing names. Whoever names it does so by a system call, which comes after this in every order.
fn write(mapping: &Mapping, number: u32, content: &Adjacency) {
    let start = number as usize * WORDS_PER_ROW;
    let words: [u64; WORDS_PER_ROW] = bytemuck::cast(*content);
    if let Some(row) = mapping.words().get(start..start + WORDS_PER_ROW) {
        row.iter().zip(words).for_each(|(word, value)| word.store(value, Ordering::Release));
    }
}
