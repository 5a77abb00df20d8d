//! The record of a running machine: enough for another process to find it and end it.

use crate::error::VmError;
use crate::qmp::Qmp;
use gp_linux::{Cgroups, ProcessId, load_record, save_record};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Name of the record in the state directory.
const RECORD: &str = "vm.json";
/// How often the power button is pressed: a guest that boots doesn't feel it.
const PRESS_INTERVAL: Duration = Duration::from_secs(2);
/// How long the kernel may take to end a killed QEMU.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// A running machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// QEMU.
    pub process: ProcessId,
    /// Its control group, relative to each hierarchy.
    pub cgroup: String,
    /// Where this record is kept.
    pub state_dir: PathBuf,
    /// Where its console is written.
    pub console: PathBuf,
    /// Why it is emulated in software; `None` with KVM.
    pub emulated_because: Option<String>,
}

impl Running {
    /// Whether QEMU is still there.
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// Presses the power button, and after `grace` pulls the plug. The control group and the record go too. Stopping what has
    /// stopped is fine.
    ///
    /// # Errors
    /// The kernel does not end QEMU or let go of its control group.
    pub fn stop(&self, grace: Duration) -> Result<(), VmError> {
        if let Some(pidfd) = self.process.pidfd() {
            let deadline = Instant::now() + grace;
            while !self.press_power(&pidfd, deadline)? {
                if Instant::now() < deadline {
                    continue;
                }
                let _ = pidfd_send_signal(&pidfd, Signal::KILL);
                if !gp_linux::wait_end(&pidfd, KILL_PATIENCE)? {
                    return Err(VmError::Qemu(format!("process {} does not end when killed", self.process.pid)));
                }
                break;
            }
            // If it was our child nobody else would bury it.
            let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }
        Cgroups::detect()?.remove(&self.cgroup)?;
        self.forget();
        Ok(())
    }

    /// Presses once and waits a little. Says whether QEMU has ended.
    fn press_power(&self, pidfd: &OwnedFd, deadline: Instant) -> Result<bool, VmError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            // One that doesn't answer is killed when its time is up.
            let pressed = Qmp::connect(&self.state_dir).and_then(|mut qmp| qmp.execute("system_powerdown", json!({})));
            if pressed.is_err() {
                return Ok(gp_linux::wait_end(pidfd, left)?);
            }
        }
        Ok(gp_linux::wait_end(pidfd, PRESS_INTERVAL.min(left))?)
    }

    pub(crate) fn save(&self) -> Result<(), VmError> {
        Ok(save_record(&self.state_dir.join(RECORD), self)?)
    }

    pub(crate) fn forget(&self) {
        // A record that stays behind names a process that is gone, which `adopt` sees.
        let _ = fs::remove_file(self.state_dir.join(RECORD));
    }
}

/// Finds the machine whose record is in `state_dir`, if it still runs.
pub fn adopt(state_dir: &Path) -> Option<Running> {
    let running: Running = load_record(&state_dir.join(RECORD))?;
    running.is_running().then(|| Running { state_dir: state_dir.to_owned(), ..running })
}
