//! The program's settings.

use crate::error::MapError;
use crate::table::Table;
use gp_abi::{ABI_VERSION, Config};

/// The one entry of the settings' map.
#[derive(Debug, Clone)]
pub struct Settings(pub(crate) Table<u32, Config>);

impl Settings {
    /// Upcalls go to the TAP with this interface index from now on. Until it is set first, they are lost.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn set_upcall_ifindex(&self, upcall_ifindex: u32) -> Result<(), MapError> {
        self.0.insert(&0, &Config { upcall_ifindex, abi_version: ABI_VERSION })
    }

    /// # Errors
    /// The kernel refuses.
    pub fn get(&self) -> Result<Option<Config>, MapError> {
        self.0.get(&0)
    }
}
