//! Packets that the program dropped, by reason.

use crate::error::MapError;
use crate::sys;
use gp_trace::DropReason;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// Counters of the kernel alone; the slow path counts its own drops.
#[derive(Debug, Clone)]
pub struct DropCounters {
    fd: Arc<OwnedFd>,
    possible_cpus: usize,
}

impl DropCounters {
    /// # Safety
    /// `fd` is a per-CPU array of u64, and the machine has `possible_cpus`.
    pub(crate) unsafe fn new(fd: OwnedFd, possible_cpus: usize) -> Self {
        Self { fd: Arc::new(fd), possible_cpus }
    }

    /// Packets dropped for this reason since the maps were made.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn get(&self, reason: DropReason) -> Result<u64, MapError> {
        let key = u32::from(reason.code());
        let mut by_cpu = vec![0u64; self.possible_cpus];
        // SAFETY: a per-CPU value is copied out as one u64 for each possible CPU: `new`'s promise.
        unsafe { sys::lookup(self.fd.as_fd(), bytemuck::bytes_of(&key), bytemuck::cast_slice_mut(&mut by_cpu)) }
            .map_err(|source| MapError::Call { map: "gp_drops", operation: "read", source })?;
        Ok(by_cpu.iter().sum())
    }

    /// Every reason with its count, in the order of the codes.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn read(&self) -> Result<Vec<(DropReason, u64)>, MapError> {
        DropReason::ALL.iter().map(|reason| Ok((*reason, self.get(*reason)?))).collect()
    }
}
