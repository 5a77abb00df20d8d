//! Processes that outlive us, told apart for certain.
//!
//! A pid alone may have been given to somebody else since; with its start time and the id of the host's boot it is unmistakable.

use crate::error::{Context, LinuxError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// Field of /proc/PID/stat, counted from the process's state: its start time in clock ticks after boot (proc(5), field 22).
const START_TIME_AFTER_STATE: usize = 19;

/// One process of one boot of this host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ProcessId {
    /// As the host numbers it.
    pub pid: i32,
    /// When it started, in clock ticks after the host's boot.
    pub start_time: u64,
    /// The host's boot.
    pub boot_id: String,
}

impl ProcessId {
    /// The process that has this number now; none if it is gone or a zombie.
    pub fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, start_time: start_time(pid)?, boot_id: boot_id().ok()? })
    }

    /// Whether it is still there and alive.
    pub fn is_running(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// A descriptor of it: readable once it has ended, however it ended. None when it has ended.
    pub fn pidfd(&self) -> Option<OwnedFd> {
        let pidfd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        // Checked after opening: what was opened is then surely it.
        self.is_running().then_some(pidfd)
    }
}

/// Waits until the process of a pidfd has ended; false when the time is up first.
///
/// # Errors
/// The descriptor can't be waited for.
pub fn wait_end(pidfd: &OwnedFd, patience: Duration) -> Result<bool, LinuxError> {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // A wait too long for poll is one for ever.
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::NONE);
        match poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], left) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context(|| "wait for a process to end".into()),
        }
    }
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn start_time(pid: i32) -> Option<u64> {
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
    fn a_process_is_itself_until_it_ends() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let id = ProcessId::of(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(id.is_running());
        assert!(!ProcessId { start_time: id.start_time + 1, ..id.clone() }.is_running());
        assert!(!ProcessId { boot_id: "another".into(), ..id.clone() }.is_running());
        let pidfd = id.pidfd().unwrap();
        assert!(!wait_end(&pidfd, Duration::ZERO).unwrap());
        child.kill().unwrap();
        assert!(wait_end(&pidfd, Duration::from_secs(10)).unwrap());
        assert!(!id.is_running(), "a zombie doesn't run");
        child.wait().unwrap();
        assert_eq!(id.pidfd().map(drop), None);
    }

    #[test]
    fn a_start_time_is_read_behind_an_awkward_command() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        assert_eq!(parse_start_time(stat), Some(12345));
        assert_eq!(parse_start_time("7 (a) S 1"), None);
        assert_eq!(parse_start_time(""), None);
        assert_eq!(parse_start_time("7 (a) Z 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0"), None, "a zombie");
    }
}
