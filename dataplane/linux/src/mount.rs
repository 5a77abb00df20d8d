//! Mounts: a private bpffs for our pins, detached views of directories, and taking mounts away without ever following a link.

use crate::error::{Context, LinuxError};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
    open_tree,
};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;

/// `MOUNT_ATTR_IDMAP` of linux/mount.h.
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;

/// `MOUNT_ATTR_RDONLY` of the same.
const MOUNT_ATTR_RDONLY: u64 = 0x0000_0001;

/// `struct mount_attr` of linux/mount.h.
#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

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

/// A view of the file system at `path`, without what is mounted below it, attached nowhere. Gone when the descriptor is closed.
///
/// # Errors
/// When the directory is not there or the mount is refused. Minimum kernel 5.2.
pub fn clone_tree(path: &Path) -> Result<OwnedFd, LinuxError> {
    open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)
        .context(|| format!("clone the mount of {}", path.display()))
}

/// As [`clone_tree`], with owners as the user namespace `userns` maps them: what belongs to 0 on disk belongs to its root.
///
/// # Errors
/// Also when the file system can't map ids. Minimum kernel 5.12.
pub fn clone_mapped(path: &Path, userns: BorrowedFd<'_>) -> Result<OwnedFd, LinuxError> {
    let tree = clone_tree(path)?;
    map_owners(&tree, userns).context(|| format!("map the owners of {}", path.display()))?;
    Ok(tree)
}

/// A file system in memory that is attached nowhere: whoever has the descriptor has it. Gone with the last view of it.
///
/// # Errors
/// When the kernel refuses. Minimum kernel 5.2.
pub fn detached_tmpfs(options: &[(&str, &str)]) -> Result<OwnedFd, LinuxError> {
    let make = || -> rustix::io::Result<OwnedFd> {
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        for (name, value) in options {
            fsconfig_set_string(context.as_fd(), *name, *value)?;
        }
        fsconfig_create(context.as_fd())?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    make().context(|| "make a file system in memory".into())
}

/// One more view of a file system that is attached nowhere, in which nothing can be changed.
///
/// # Errors
/// On kernels before 6.15, which clone nothing that is attached nowhere.
pub fn clone_detached(tree: BorrowedFd<'_>) -> Result<OwnedFd, LinuxError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let clone = open_tree(tree, "", flags).context(|| "clone a detached mount".into())?;
    set_attributes(&clone, MountAttr { attr_set: MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 })
        .context(|| "make a mount read-only".into())?;
    Ok(clone)
}

/// As [`clone_detached`], with owners as the user namespace `userns` maps them.
///
/// # Errors
/// As there.
pub fn clone_detached_mapped(tree: BorrowedFd<'_>, userns: BorrowedFd<'_>) -> Result<OwnedFd, LinuxError> {
    let clone = clone_detached(tree)?;
    map_owners(&clone, userns).context(|| "map the owners of a detached mount".into())?;
    Ok(clone)
}

fn map_owners(tree: &OwnedFd, userns: BorrowedFd<'_>) -> io::Result<()> {
    let userns_fd = userns.as_raw_fd() as u64;
    set_attributes(tree, MountAttr { attr_set: MOUNT_ATTR_IDMAP, attr_clr: 0, propagation: 0, userns_fd })
}

fn set_attributes(tree: &OwnedFd, attr: MountAttr) -> io::Result<()> {
    // SAFETY: the path is an empty C string, `attr` is a whole struct mount_attr of the size passed; both live across the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
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
