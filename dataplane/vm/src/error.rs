//! What can go wrong with a machine, from the host's side.

use gp_linux::LinuxError;
use std::io;

/// Why a machine can't be started, changed, entered or ended.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// A file or system call on the host's side failed.
    #[error("{what}")]
    Os {
        /// What was being done, with the path concerned.
        what: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Namespaces, links or control groups were refused.
    #[error("set up the machine's surroundings")]
    Host(#[from] LinuxError),
    /// The host lacks a program or file that virtual machines need; the text says how to get it.
    #[error("{0}")]
    Missing(String),
    /// The specification can't be used.
    #[error("{0}")]
    Spec(String),
    /// QEMU ended or refused; the text is its own.
    #[error("QEMU: {0}")]
    Qemu(String),
    /// There is no such running machine.
    #[error("the machine is not running")]
    NotRunning,
}

/// Names what was being done when an OS call fails.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, VmError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, VmError> {
        self.map_err(|error| VmError::Os { what: what(), source: error.into() })
    }
}
