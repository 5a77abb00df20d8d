//! Why the host could not be made equal to its view.

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error(transparent)]
    Linux(#[from] gp_linux::LinuxError),
    #[error("the fast path can't be loaded")]
    Load(#[from] gp_maps::LoadError),
    #[error("the fast path can't be attached")]
    Attach(#[from] gp_maps::AttachError),
    #[error("a table of the fast path refuses")]
    Map(#[from] gp_maps::MapError),
    #[error("the slow path can't have it")]
    Kernel(#[from] gp_slowpath::KernelError),
    #[error("the upcall thread can't be started")]
    Upcalls(#[from] gp_slowpath::RunnerError),
    #[error("the instance's sandbox fails")]
    Sandbox(#[from] gp_sandbox::SandboxError),
    #[error("the virtual machine fails")]
    Machine(#[from] gp_vm::VmError),
    /// A guest's own refusal.
    #[error("{0}")]
    Guest(String),
    #[error("there is no room for the uplink of one more region")]
    TooManyUplinks,
    #[error("{what}")]
    File { what: String, source: std::io::Error },
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let sentence = inner.to_string();
        if !text.ends_with(&sentence) {
            text = format!("{text}: {sentence}");
        }
        cause = inner.source();
    }
    text
}
