//! The root disk: a sparse file with a file system, made once and kept for the life of the instance.
//!
//! The host makes it and never mounts it: what the guest writes there is the guest's alone to read.

use crate::error::{Context, VmError};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;

const IMAGE: &str = "root.img";
const MAKER: &str = "mkfs.ext4";

/// The disk, open for reading and writing; made if it isn't there.
pub(crate) fn ensure_disk(dir: &Path, bytes: u64) -> Result<File, VmError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).context(|| format!("create {}", dir.display()))?;
    let path = dir.join(IMAGE);
    if !path.exists() {
        let fresh = dir.join(".root.img.new");
        make(&fresh, bytes)?;
        fs::rename(&fresh, &path).context(|| format!("create {}", path.display()))?;
    }
    open(&path, false)
}

fn open(path: &Path, make: bool) -> Result<File, VmError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.create(make).truncate(make);
    options.open(path).context(|| format!("open the disk {}", path.display()))
}

fn make(path: &Path, bytes: u64) -> Result<(), VmError> {
    open(path, true)?.set_len(bytes).context(|| format!("size the disk {}", path.display()))?;
    // The guest's kernel fills in later what is put off here.
    let lazy = "lazy_itable_init=1,lazy_journal_init=1,nodiscard";
    let output = Command::new(MAKER).args(["-q", "-F", "-m", "0", "-E", lazy]).arg(path).output();
    let output = match output {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(VmError::Missing(format!(
                "there is no {MAKER} for virtual machines' disks: install e2fsprogs"
            )));
        }
        other => other.context(|| format!("run {MAKER}"))?,
    };
    if output.status.success() {
        return Ok(());
    }
    Err(VmError::Spec(format!("{MAKER} fails: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// Removes the disk of a machine that has ended. Says whether there was one.
///
/// # Errors
/// The file can't be removed.
pub fn remove_disk(dir: &Path) -> Result<bool, VmError> {
    match fs::remove_dir_all(dir) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).context(|| format!("remove {}", dir.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_disk_is_made_once_sparse_and_with_a_file_system() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("disk");
        let first = ensure_disk(&place, 1 << 30).unwrap();
        let facts = first.metadata().unwrap();
        assert_eq!(facts.len(), 1 << 30);
        assert!(facts.blocks() * 512 < 64 << 20, "{} blocks", facts.blocks());
        (&first).write_all(b"mark").unwrap();
        let again = fs::read(place.join(IMAGE)).unwrap();
        // The superblock's magic, 0xEF53 (Documentation/filesystems/ext4/super.rst).
        assert_eq!(&again[1024 + 56..1024 + 58], &[0x53, 0xef]);
        drop(ensure_disk(&place, 1 << 30).unwrap());
        assert_eq!(&fs::read(place.join(IMAGE)).unwrap()[..4], b"mark");
        assert!(remove_disk(&place).unwrap());
        assert!(!remove_disk(&place).unwrap());
    }
}
