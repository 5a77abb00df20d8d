//! Mounts: a private bpffs for our pins, and taking mounts away without ever following a link.

use crate::error::{Context, LinuxError};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::io;
use std::path::Path;

/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

/// Stacked mounts on one path that we are willing to take away; more means that something is wrong.
const STACK_MAX: usize = 16;

/// Mounts a bpf file system of our own at `path` (the directory is made), unless one is there.
///
/// # Errors
/// When the directory can't be made or the mount is refused.
pub fn ensure_bpffs(path: &Path) -> Result<(), LinuxError> {
    fs::create_dir_all(path).context(|| format!("create {}", path.display()))?;
    let stat = rustix::fs::statfs(path).context(|| format!("examine {}", path.display()))?;
    if stat.f_type == BPF_FS_MAGIC && is_mount_point(path)? {
        return Ok(());
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("bpf"), path, Some("bpf"), flags, Some("mode=0700"))
        .context(|| format!("mount a bpf file system at {}", path.display()))
}

/// Unmounts the bpf file system at `path` (its pins go with it) and removes the directory. Says whether anything was there.
///
/// # Errors
/// When the kernel refuses.
pub fn remove_bpffs(path: &Path) -> Result<bool, LinuxError> {
    let was_mounted = unmount_all(path)?;
    match fs::remove_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(was_mounted),
        Err(error) => Err(error).context(|| format!("remove {}", path.display())),
    }
}

/// Whether something is mounted on exactly this path.
///
/// # Errors
/// When the path can't be examined.
pub fn is_mount_point(path: &Path) -> Result<bool, LinuxError> {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let facts = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
        .context(|| format!("examine {}", path.display()))?;
    Ok(facts.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Takes away everything mounted on `path`, busy or not. Says whether anything was.
///
/// # Errors
/// When the kernel refuses.
pub fn unmount_all(path: &Path) -> Result<bool, LinuxError> {
    for round in 0..STACK_MAX {
        match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => {}
            // EINVAL: not a mount point.
            Err(Errno::EINVAL | Errno::ENOENT) => return Ok(round > 0),
            Err(error) => return Err(error).context(|| format!("unmount {}", path.display())),
        }
    }
    Err(LinuxError::Invalid(format!("more than {STACK_MAX} mounts are stacked on {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::root_or_skip;

    #[test]
    fn a_bpffs_is_mounted_once_and_leaves_nothing() {
        if !root_or_skip() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bpf");
        ensure_bpffs(&path).unwrap();
        fs::create_dir(path.join("maps")).unwrap();
        ensure_bpffs(&path).unwrap();
        assert!(is_mount_point(&path).unwrap());
        assert!(path.join("maps").exists(), "the second call must not mount over the first");
        assert!(remove_bpffs(&path).unwrap());
        assert!(!remove_bpffs(&path).unwrap());
        assert!(!path.exists());
    }
}
