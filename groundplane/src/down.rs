//! `groundplane down`: ends the process, if it lives, and removes all that it made, also after a crash.

use crate::lock;
use anyhow::{Context, Result, bail};
use gp_cli::place::{self, RunFile};
use std::path::Path;
use std::time::{Duration, Instant};

/// For the process to end by itself; its instances are stopped afterwards.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// # Errors
/// Something of it can't be removed.
pub fn run(name: &str, run_dir: &Path, purge: bool) -> Result<()> {
    let up = RunFile::read(run_dir).ok();
    if let Some(up) = &up {
        end_process(run_dir, up.pid)?;
    }
    let data_dir = up.map_or_else(|| place::default_data_dir(name), |up| up.data_dir);
    gp_agent::down(&gp_agent::AgentConfig::new(name, run_dir, &data_dir)).context("cleaning up")?;
    if purge && data_dir.exists() {
        gp_sandbox::remove_disk(&data_dir).with_context(|| format!("removing {}", data_dir.display()))?;
    }
    place::remove_empty_parents();
    Ok(())
}

/// Asks the process to end and waits. The lock tells whether it lives: a pid may have been given to another program.
fn end_process(run_dir: &Path, pid: u32) -> Result<()> {
    if !lock::is_held(run_dir)? {
        return Ok(());
    }
    let raw = i32::try_from(pid).context("a process id")?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(raw), nix::sys::signal::Signal::SIGTERM)?;
    let deadline = Instant::now() + END_TIMEOUT;
    while lock::is_held(run_dir)? {
        if Instant::now() > deadline {
            bail!("process {pid} does not end; kill it and run 'down' again");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
