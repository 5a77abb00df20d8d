//! The record of a running instance: enough for another process to find it, enter it and end it.
//!
//! A pid alone may have been given to somebody else since; with its start time and the id of the host's boot it is unmistakable.

use crate::error::{Context, SandboxError};
use gp_linux::NetNs;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Name of the record in the state directory.
const RECORD: &str = "sandbox.json";

/// Field of /proc/PID/stat, counted from the process's state: its start time in clock ticks after boot (proc(5), field 22).
const START_TIME_AFTER_STATE: usize = 19;

/// A running instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its first process, as the host numbers it.
    pub pid: i32,
    /// When that process started, in clock ticks after the host's boot.
    pub start_time: u64,
    /// The host's boot.
    pub boot_id: String,
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
        boot_id().is_ok_and(|id| id == self.boot_id) && process_start_time(self.pid) == Some(self.start_time)
    }

    /// The file that names its network namespace.
    pub fn netns_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.pid))
    }

    /// Opens its network namespace.
    ///
    /// # Errors
    /// When it does not run any more.
    pub fn netns(&self) -> Result<NetNs, SandboxError> {
        let netns = NetNs::of_process(self.pid)?;
        // Checked after opening: what was opened is then surely its, and not that of a process that got the pid since.
        if self.is_running() { Ok(netns) } else { Err(SandboxError::NotRunning) }
    }

    /// A descriptor of its first process: readable (`POLLIN`) once it has ended, however it ended.
    ///
    /// # Errors
    /// [`SandboxError::NotRunning`] when it has ended.
    pub fn pidfd(&self) -> Result<OwnedFd, SandboxError> {
        let pid = Pid::from_raw(self.pid).ok_or(SandboxError::NotRunning)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| SandboxError::NotRunning)?;
        if self.is_running() { Ok(pidfd) } else { Err(SandboxError::NotRunning) }
    }

    /// Writes the record so that a crash leaves either all of it or nothing.
    pub(crate) fn save(&self) -> Result<(), SandboxError> {
        let path = self.state_dir.join(RECORD);
        let fresh = self.state_dir.join(".sandbox.json.new");
        let text = serde_json::to_vec(self).context(|| "encode the instance's record".into())?;
        fs::write(&fresh, text).context(|| format!("write {}", fresh.display()))?;
        fs::rename(&fresh, &path).context(|| format!("write {}", path.display()))
    }

    pub(crate) fn forget(&self) {
        // A record that stays behind names a process that is gone, which `adopt` sees.
        let _ = fs::remove_file(self.state_dir.join(RECORD));
    }
}

/// Finds the instance whose record is in `state_dir`, if it still runs.
pub fn adopt(state_dir: &Path) -> Option<Running> {
    let text = fs::read(state_dir.join(RECORD)).ok()?;
    let running: Running = serde_json::from_slice(&text).ok()?;
    running.is_running().then(|| Running { state_dir: state_dir.to_owned(), ..running })
}

/// The id that the kernel drew at boot.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// When the process started; none if it is gone or a zombie.
pub(crate) fn process_start_time(pid: i32) -> Option<u64> {
    parse_start_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_start_time(stat: &str) -> Option<u64> {
    // The command in parentheses may hold blanks and parentheses of its own.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if state == "Z" || state == "X" {
        return None;
    }
    fields.nth(START_TIME_AFTER_STATE - 1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_is_read_behind_an_awkward_command() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        assert_eq!(parse_start_time(stat), Some(12345));
    }

    #[test]
    fn zombies_and_nonsense_do_not_run() {
        let zombie = "7 (a) Z 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        assert_eq!(parse_start_time(zombie), None);
        assert_eq!(parse_start_time(""), None);
        assert_eq!(parse_start_time("7 (a) S 1"), None);
    }

    #[test]
    fn only_a_live_process_of_this_boot_is_adopted() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(adopt(dir.path()), None);
        let pid = std::process::id() as i32;
        let ours = Running {
            pid,
            start_time: process_start_time(pid).unwrap(),
            boot_id: boot_id().unwrap(),
            uid_base: 1,
            cgroup: "c".into(),
            state_dir: dir.path().to_owned(),
            init: vec![],
        };
        ours.save().unwrap();
        assert_eq!(adopt(dir.path()), Some(ours.clone()));
        Running { start_time: ours.start_time + 1, ..ours.clone() }.save().unwrap();
        assert_eq!(adopt(dir.path()), None, "the pid belongs to somebody else");
        Running { boot_id: "another".into(), ..ours.clone() }.save().unwrap();
        assert_eq!(adopt(dir.path()), None, "the host has been rebooted");
        fs::write(dir.path().join(RECORD), "{").unwrap();
        assert_eq!(adopt(dir.path()), None, "the record is broken");
    }
}
