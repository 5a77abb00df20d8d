//! The one face of every kind of instance.

use crate::error::SandboxError;
use crate::spec::SandboxSpec;
use crate::state::Running;
use gp_linux::NetNs;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// Gives an instance its network; called when its namespace exists and before any of its own code runs.
pub type ConfigureNetwork<'a> = &'a mut dyn FnMut(&NetNs) -> Result<(), Box<dyn Error + Send + Sync>>;

/// Starts and ends instances. All methods block; none needs the process that started an instance to be still alive.
pub trait InstanceRunner: Send + Sync {
    /// Boots the instance: first boot when its disk is not there yet.
    ///
    /// # Errors
    /// When the host refuses or the network closure fails; nothing but the disk is left behind then.
    fn start(&self, spec: &SandboxSpec, configure_network: ConfigureNetwork<'_>) -> Result<Running, SandboxError>;

    /// Finds the instance again that a former process started, if it is still running.
    fn adopt(&self, state_dir: &Path) -> Option<Running>;

    /// Whether the instance runs.
    fn is_running(&self, running: &Running) -> bool;

    /// Asks it to end, and makes it end after `grace`. Stopping what has stopped is fine.
    ///
    /// # Errors
    /// When its processes or its control group can't be removed.
    fn stop(&self, running: &Running, grace: Duration) -> Result<(), SandboxError>;

    /// Removes the disk of a stopped instance. Says whether there was one.
    ///
    /// # Errors
    /// When a file can't be removed.
    fn remove_disk(&self, disk_dir: &Path) -> Result<bool, SandboxError>;
}

/// Instances made of namespaces.
#[derive(Clone, Copy, Debug, Default)]
pub struct SandboxRunner;

impl InstanceRunner for SandboxRunner {
    fn start(&self, spec: &SandboxSpec, configure_network: ConfigureNetwork<'_>) -> Result<Running, SandboxError> {
        crate::launch::start(spec, configure_network)
    }

    fn adopt(&self, state_dir: &Path) -> Option<Running> {
        crate::state::adopt(state_dir)
    }

    fn is_running(&self, running: &Running) -> bool {
        running.is_running()
    }

    fn stop(&self, running: &Running, grace: Duration) -> Result<(), SandboxError> {
        crate::launch::stop(running, grace)
    }

    fn remove_disk(&self, disk_dir: &Path) -> Result<bool, SandboxError> {
        crate::disk::remove_disk(disk_dir)
    }
}
