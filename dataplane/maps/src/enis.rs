//! What the kernel keeps for each port: its budget of upcalls, and what became of it.

use crate::error::MapError;
use crate::table::Table;
use bytemuck::Zeroable;
use gp_abi::EniState;

/// Upcalls that an ENI may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpcallBudget {
    pub per_second: u32,
    /// At once, after a rest. A frame that was left whole for segmentation costs as many as it has segments, but never
    /// more than this.
    pub burst: u32,
}

/// The ports that may send, by their numbers; a frame from anywhere else is dropped.
#[derive(Debug, Clone)]
pub struct EniStates(pub(crate) Table<u32, EniState>);

impl EniStates {
    /// Lets the port with this number send, with a full bucket; one that is there keeps its counters.
    ///
    /// # Errors
    /// [`MapError::Full`] where there are as many ENIs as there may be.
    pub fn ensure(&self, port: u32, budget: UpcallBudget) -> Result<(), MapError> {
        let old = self.0.get(&port)?.unwrap_or_else(EniState::zeroed);
        let state = EniState {
            tokens: budget.burst.into(),
            upcall_rate: budget.per_second.into(),
            upcall_burst: budget.burst.into(),
            ..old
        };
        self.0.insert(&port, &state)
    }

    /// # Errors
    /// The kernel refuses.
    pub fn get(&self, port: u32) -> Result<Option<EniState>, MapError> {
        self.0.get(&port)
    }

    /// From now on frames from there are dropped. Answers the last state.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn remove(&self, port: u32) -> Result<Option<EniState>, MapError> {
        self.0.take(&port)
    }

    /// Calls `visit` for each port, in no order.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn scan(&self, mut visit: impl FnMut(u32, &EniState)) -> Result<(), MapError> {
        self.0.scan(|port, state| visit(*port, state))
    }
}
