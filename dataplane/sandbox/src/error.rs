//! What can go wrong with an instance, from the host's side.

use gp_linux::LinuxError;
use std::error::Error;
use std::io;

/// Why an instance can't be started, stopped, entered or removed.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A file or system call on the host's side failed.
    #[error("{what}")]
    Os {
        /// What was being done, with the path concerned.
        what: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// Namespaces or control groups were refused.
    #[error("set up the instance's surroundings")]
    Host(#[from] LinuxError),
    /// The caller's closure could not give the instance its network.
    #[error("give the instance its network")]
    Network(#[source] Box<dyn Error + Send + Sync>),
    /// The starter or the guest's init reports a failure; the text says which step and why.
    #[error("start the instance: {0}")]
    Guest(String),
    /// The specification can't be used.
    #[error("{0}")]
    Spec(String),
    /// There is no such running instance.
    #[error("the instance is not running")]
    NotRunning,
}

/// Names what was being done when an OS call fails.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, SandboxError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, SandboxError> {
        self.map_err(|error| SandboxError::Os { what: what(), source: error.into() })
    }
}

/// An error with its causes, in one line: what crosses from the starter to the agent.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
