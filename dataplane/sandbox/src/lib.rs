//! Instances as sets of namespaces over a copy-on-write view of the host's root. They start in milliseconds.
//!
//! An instance has its own network, mount, pid, uts, ipc and cgroup namespaces inside a user namespace: root in the guest is nobody on the
//! host. Its files are an overlay: below, the host's `/` with ids mapped and secrets taken out; above, a directory that is the instance's
//! disk. It lives on when the process that started it dies, and a new process finds it again by [`adopt`].
//!
//! ```text
//! agent ── start() ──▶ starter (re-exec of our own binary, one thread, root)
//!    │                    │ clone3: all namespaces at once, id maps written
//!    │◀── pid, netns ─────┤
//!    │ puts eth0 in       │ hands the mapped view of / and the disk to the guest's init,
//!    │                    │ which mounts the overlay, pivots into it and gives up what it doesn't need
//!    ├── go ─────────────▶│── go ──▶ init: runs user-data, reaps, keeps the console
//!    │◀── started ────────┘ (the starter ends; init belongs to nobody but itself)
//! ```
//!
//! The network is there before the first line of user-data. Whoever links this crate must hand `argv[1] == INIT_SUBCOMMAND` to
//! [`sandbox_init_main`] before it starts any thread: a program with threads can't fork safely, so both the starter and the way in for
//! [`exec`] are this binary, run again.

mod confine;
mod console;
mod disk;
mod error;
mod exec;
mod guest;
mod init;
mod launch;
mod layers;
mod mask;
mod pty;
mod rootfs;
mod runner;
mod seccomp;
mod spec;
mod starter;
mod state;
mod sys;
mod user_data;
mod wire;

pub use disk::remove_disk;
pub use error::SandboxError;
pub use exec::{ExecRequest, exec};
pub use launch::{probe, start, stop};
pub use runner::{ConfigureNetwork, InstanceRunner, SandboxRunner};
pub use spec::{INIT_SUBCOMMAND, SandboxSpec};
pub use starter::sandbox_init_main;
pub use state::{Running, adopt};
