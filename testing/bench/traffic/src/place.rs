//! Where a process runs: network namespace, CPU, scheduling class.

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, setns};
use nix::unistd::Pid;
use std::fs::File;
use std::path::Path;

/// Goes on in a network namespace: the calling thread, and those that it starts.
///
/// # Errors
/// It is not there, or not ours to enter.
pub fn enter(netns: Option<&Path>) -> Result<()> {
    let Some(path) = netns else { return Ok(()) };
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("enter {}", path.display()))
}

/// Keeps the calling thread, and those that it starts, on one CPU.
///
/// # Errors
/// There is no such CPU.
pub fn pin(cpu: Option<usize>) -> Result<()> {
    let Some(cpu) = cpu else { return Ok(()) };
    let mut set = CpuSet::new();
    set.set(cpu).context("number of a CPU")?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("keep to CPU {cpu}"))
}

/// Runs the calling thread, and those that it starts, in front of other work on the machine.
///
/// # Errors
/// Not allowed, or no such priority.
pub fn set_realtime(priority: Option<i32>) -> Result<()> {
    let Some(priority) = priority else { return Ok(()) };
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the parameters live through the call, which copies them.
    let done = unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &parameters) };
    nix::errno::Errno::result(done).context("schedule by SCHED_RR").map(drop)
}

/// A benchmark that is interrupted leaves nothing running.
///
/// # Errors
/// None in practice.
pub fn die_with_parent() -> Result<()> {
    // SAFETY: takes plain integers.
    let done = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    nix::errno::Errno::result(done).context("die with the parent").map(drop)
}
