//! The record of a running instance: enough for another process to find it, enter it and end it.
//!
//! Its process is told apart from others with the same pid by [`ProcessId`].

use crate::error::SandboxError;
use gp_linux::{NetNs, ProcessId, load_record, save_record};
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Name of the record in the state directory.
const RECORD: &str = "sandbox.json";

/// A running instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its first process.
    #[serde(flatten)]
    pub process: ProcessId,
    /// What root in the guest is on the host.
    pub uid_base: u32,
    /// Its control group, relative to each hierarchy.
    pub cgroup: String,
    /// Where this record is kept.
    pub state_dir: PathBuf,
    /// The command that runs our helper, for [`crate::exec`].
    pub init: Vec<String>,
}

impl Running {
    /// Whether its first process is still there and alive.
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// The file that names its network namespace.
    pub fn netns_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.process.pid))
    }

    /// Opens its network namespace.
    ///
    /// # Errors
    /// When it does not run any more.
    pub fn netns(&self) -> Result<NetNs, SandboxError> {
        let netns = NetNs::of_process(self.process.pid)?;
        // Checked after opening: what was opened is then surely its, and not that of a process that got the pid since.
        if self.is_running() { Ok(netns) } else { Err(SandboxError::NotRunning) }
    }

    /// A descriptor of its first process: readable (`POLLIN`) once it has ended, however it ended.
    ///
    /// # Errors
    /// [`SandboxError::NotRunning`] when it has ended.
    pub fn pidfd(&self) -> Result<OwnedFd, SandboxError> {
        self.process.pidfd().ok_or(SandboxError::NotRunning)
    }

    pub(crate) fn save(&self) -> Result<(), SandboxError> {
        Ok(save_record(&self.state_dir.join(RECORD), self)?)
    }

    pub(crate) fn forget(&self) {
        // A record that stays behind names a process that is gone, which `adopt` sees.
        let _ = fs::remove_file(self.state_dir.join(RECORD));
    }
}

/// Finds the instance whose record is in `state_dir`, if it still runs.
pub fn adopt(state_dir: &Path) -> Option<Running> {
    let running: Running = load_record(&state_dir.join(RECORD))?;
    running.is_running().then(|| Running { state_dir: state_dir.to_owned(), ..running })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_live_process_of_this_boot_is_adopted() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(adopt(dir.path()), None);
        let pid = std::process::id() as i32;
        let ours = Running {
            process: ProcessId::of(pid).unwrap(),
            uid_base: 1,
            cgroup: "c".into(),
            state_dir: dir.path().to_owned(),
            init: vec![],
        };
        ours.save().unwrap();
        assert_eq!(adopt(dir.path()), Some(ours.clone()));
        let process = ProcessId { start_time: ours.process.start_time + 1, ..ours.process.clone() };
        Running { process, ..ours.clone() }.save().unwrap();
        assert_eq!(adopt(dir.path()), None, "the pid belongs to somebody else");
        let process = ProcessId { boot_id: "another".into(), ..ours.process.clone() };
        Running { process, ..ours.clone() }.save().unwrap();
        assert_eq!(adopt(dir.path()), None, "the host has been rebooted");
    }
}
