//! How many connections the program may still let begin: an array of cells that both sides have mapped.
//!
//! The program takes one by one and never below nothing; this process adds, or takes all that is left. So what was added
//! is what is left and what was taken, at every moment.

use crate::error::MapError;
use crate::sys::Mapping;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The cells by their indices, of which 0 is never used. Clones are handles on the same.
#[derive(Debug, Clone)]
pub struct Grants(Arc<Mapping>);

impl Grants {
    pub(crate) fn map(fd: BorrowedFd<'_>, cells: u32) -> Result<Self, MapError> {
        let failed = |source| MapError::Call { map: "gp_grants", operation: "map", source };
        Mapping::new(fd, cells as usize).map(Arc::new).map(Self).map_err(failed)
    }

    /// Cells that there are; the first index is 1.
    pub fn cells(&self) -> u32 {
        u32::try_from(self.0.words().len()).unwrap_or(u32::MAX).saturating_sub(1)
    }

    /// Lets the program take so many more.
    pub fn add(&self, index: u32, grants: u64) {
        if let Some(cell) = self.cell(index) {
            cell.fetch_add(grants, Ordering::SeqCst);
        }
    }

    /// Takes back what is left, and says how much that was.
    pub fn take_back(&self, index: u32) -> u64 {
        self.cell(index).map_or(0, |cell| cell.swap(0, Ordering::SeqCst))
    }

    fn cell(&self, index: u32) -> Option<&AtomicU64> {
        self.0.words().get(index as usize)
    }
}
