//! One running process per name: `up` holds a lock in its run directory, which ends with the process, however that ends.

use anyhow::{Context, Result};
use gp_cli::place;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::path::Path;

/// Takes the lock of a run directory; `None` if another process has it. Keep the value for as long as the process lives.
///
/// # Errors
/// The file can't be opened or locked.
pub fn take(run_dir: &Path) -> Result<Option<Flock<File>>> {
    let path = place::lock_file(run_dir);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno).with_context(|| format!("locking {}", path.display())),
    }
}

/// Does a process run with this run directory?
///
/// # Errors
/// The file can't be opened or locked.
pub fn is_held(run_dir: &Path) -> Result<bool> {
    if !place::lock_file(run_dir).exists() {
        return Ok(false);
    }
    Ok(take(run_dir)?.is_none())
}
