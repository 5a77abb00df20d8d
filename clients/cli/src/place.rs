//! Where a running Groundplane of a given name keeps its run-time files.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Overrides the parent of all run directories.
pub const RUN_DIR_VARIABLE: &str = "GROUNDPLANE_RUN_DIR";
const DEFAULT_RUN_DIR: &str = "/run/groundplane";
const DEFAULT_DATA_DIR: &str = "/var/lib/groundplane";
/// Longest name: it becomes part of socket paths, which the kernel limits to 107 bytes.
const MAX_NAME_CHARS: usize = 32;

/// The run directory of the Groundplane with this name.
///
/// # Errors
/// The name is empty, too long, or has characters other than letters, digits, `-` and `_`.
pub fn run_dir(name: &str) -> Result<PathBuf> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > MAX_NAME_CHARS || !name.chars().all(allowed) {
        bail!("'{name}' can't be a name: use 1 to {MAX_NAME_CHARS} letters, digits, '-' or '_'");
    }
    let parent = std::env::var_os(RUN_DIR_VARIABLE).map_or_else(|| DEFAULT_RUN_DIR.into(), PathBuf::from);
    Ok(parent.join(name))
}

/// Where the store and the instances' disks are kept unless `--data-dir` says otherwise.
pub fn default_data_dir(name: &str) -> PathBuf {
    Path::new(DEFAULT_DATA_DIR).join(name)
}

/// Removes the default parents where the last Groundplane has left them empty. Directories that the user named stay.
pub fn remove_empty_parents() {
    for parent in [DEFAULT_RUN_DIR, DEFAULT_DATA_DIR] {
        // Not empty, or never made: both are fine.
        let _ = std::fs::remove_dir(parent);
    }
}

pub fn admin_socket(run_dir: &Path) -> PathBuf {
    run_dir.join("admin.sock")
}

/// The file that `up` holds locked for as long as it lives: the kernel lets go of it however the process ends.
pub fn lock_file(run_dir: &Path) -> PathBuf {
    run_dir.join("up.lock")
}

/// What `up` writes down about itself, for the other commands and for `down` after a crash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunFile {
    pub pid: u32,
    pub listen: String,
    pub region: String,
    pub data_dir: PathBuf,
}

impl RunFile {
    fn path(run_dir: &Path) -> PathBuf {
        run_dir.join("up.json")
    }

    /// # Errors
    /// The file can't be written.
    pub fn write(&self, run_dir: &Path) -> Result<()> {
        let path = Self::path(run_dir);
        std::fs::write(&path, serde_json::to_vec_pretty(self)?).with_context(|| format!("writing {}", path.display()))
    }

    /// # Errors
    /// No Groundplane of that name was started, or its file is unreadable.
    pub fn read(run_dir: &Path) -> Result<Self> {
        let path = Self::path(run_dir);
        let text = std::fs::read(&path).with_context(|| {
            format!("no Groundplane is running here ({} is missing); start one with 'groundplane up'", path.display())
        })?;
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))
    }
}
