//! The one error of this crate: what was being done, and what the kernel said.

use std::io;

/// A request that the kernel (or the shape of this host) refused.
#[derive(Debug, thiserror::Error)]
pub enum LinuxError {
    /// A system call or a file operation failed; the cause is the source.
    #[error("{what}")]
    Os {
        /// What was being done, with the path or name concerned.
        what: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A netlink answer that can't be read.
    #[error("unreadable netlink answer while trying to {what}: {detail}")]
    Netlink {
        /// What was being done.
        what: String,
        /// Why the answer makes no sense.
        detail: String,
    },
    /// A name or value that can't be used on Linux.
    #[error("{0}")]
    Invalid(String),
    /// The host lacks something that is needed.
    #[error("{0}")]
    Missing(String),
}

impl LinuxError {
    /// The kernel's error number, if a system call failed.
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            Self::Os { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// Names what was being done when an OS call fails.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, LinuxError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, LinuxError> {
        self.map_err(|error| LinuxError::Os { what: what(), source: error.into() })
    }
}

/// The result of a libc call that answers -1 and sets errno.
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
