//! An instance's disk: a directory with the upper and work directories of its overlays (`packages` is the one over the package database),
//! owned by the ids of its user namespace.
//!
//! The owner of `upper` is the record of which range of ids the instance has: no register beside the disks can get out of step with them.
//! The range is chosen at the first start and kept for the life of the disk, or the instance would not own its own files after a reboot.
//!
//! Removal trusts nothing inside: no symbolic link is followed, no path is longer than two names and no call recurses, however deep
//! the guest has dug.

use crate::error::{Context, SandboxError};
use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::Path;

/// First id given to a guest. From here to [`UID_END`] lies the range that container managers share (systemd's UIDS-GIDS.md).
const UID_START: u32 = 0x4000_0000;
/// End of that range.
const UID_END: u32 = 0x7000_0000;
/// Ids of one guest: the whole of a 16-bit id space.
pub(crate) const UID_COUNT: u32 = 65_536;
/// How many guests one host can tell apart.
const SLOTS: u32 = (UID_END - UID_START) / UID_COUNT;

/// A disk that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    /// What root in the guest is on the host.
    pub(crate) uid_base: u32,
    /// Whether it has never been booted from.
    pub(crate) is_new: bool,
}

/// Makes the disk, or finds it.
pub(crate) fn ensure_disk(dir: &Path) -> Result<Disk, SandboxError> {
    let parent = dir.parent().ok_or_else(|| SandboxError::Spec("/ can't be a disk".into()))?;
    fs::create_dir_all(parent).context(|| format!("create {}", parent.display()))?;
    // Two first starts at once must not choose the same ids.
    let lock = File::open(parent).context(|| format!("open {}", parent.display()))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).context(|| format!("lock {}", parent.display()))?;
    if let Some(uid_base) = uid_base_of(dir) {
        return Ok(Disk { uid_base, is_new: is_empty(&dir.join("upper")) });
    }
    let uid_base = free_uid_base(parent, dir)?;
    create(dir, uid_base).context(|| format!("create the disk {}", dir.display()))?;
    Ok(Disk { uid_base, is_new: true })
}

fn create(dir: &Path, uid_base: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    // The guest's init works in here, with the guest's rights, before it has a root of its own.
    chown(dir, Some(uid_base), Some(uid_base))?;
    // `upper` last: a disk counts as made once that is there.
    for (name, mode) in [("work", 0o700), ("packages", 0o755), ("packages-work", 0o700), ("upper", 0o755)] {
        let path = dir.join(name);
        let fresh = dir.join(format!(".{name}"));
        if path.exists() {
            continue;
        }
        match DirBuilder::new().mode(mode).create(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Whatever the umask of the caller.
        fs::set_permissions(&fresh, fs::Permissions::from_mode(mode))?;
        chown(&fresh, Some(uid_base), Some(uid_base))?;
        fs::rename(&fresh, &path)?;
    }
    Ok(())
}

/// The ids of an existing disk.
fn uid_base_of(dir: &Path) -> Option<u32> {
    let uid = fs::symlink_metadata(dir.join("upper")).ok()?.uid();
    ((UID_START..UID_END).contains(&uid) && (uid - UID_START).is_multiple_of(UID_COUNT)).then_some(uid)
}

/// Ids that no disk beside this one has. Starts at a place that depends on the path, so that two Groundplanes on one host with disks in
/// different places rarely meet either.
fn free_uid_base(parent: &Path, dir: &Path) -> Result<u32, SandboxError> {
    let siblings = fs::read_dir(parent).context(|| format!("list {}", parent.display()))?;
    let taken: BTreeSet<u32> = siblings.flatten().filter_map(|entry| uid_base_of(&entry.path())).collect();
    let start = hash(dir.as_os_str().as_encoded_bytes());
    (0..SLOTS)
        .map(|step| UID_START + (start.wrapping_add(step) % SLOTS) * UID_COUNT)
        .find(|base| !taken.contains(base))
        .ok_or_else(|| SandboxError::Spec(format!("all {SLOTS} ranges of user ids are taken")))
}

/// FNV-1a: any even spread will do.
fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

/// Removes a disk and all that the guest has put on it. Says whether there was one.
///
/// # Errors
/// When a file can't be removed (the instance still runs, the file system is read-only).
pub fn remove_disk(dir: &Path) -> Result<bool, SandboxError> {
    let what = || format!("remove the disk {}", dir.display());
    let top = match open_dir(rustix::fs::CWD, dir) {
        Ok(top) => top,
        Err(Errno::NOENT) => return Ok(false),
        Err(error) => return Err(error).context(what),
    };
    let mut moved = 0_u64;
    loop {
        let entries = list(&top).context(what)?;
        if entries.is_empty() {
            break;
        }
        for (name, kind) in entries {
            if kind == FileType::Directory {
                empty_into(&top, &name, &mut moved).context(what)?;
                rustix::fs::unlinkat(&top, &name, AtFlags::REMOVEDIR).context(what)?;
            } else {
                rustix::fs::unlinkat(&top, &name, AtFlags::empty()).context(what)?;
            }
        }
    }
    fs::remove_dir(dir).context(what)?;
    Ok(true)
}

/// Empties the directory `name` of `top`: files go, directories move up into `top`.
fn empty_into(top: &OwnedFd, name: &CStr, moved: &mut u64) -> Result<(), Errno> {
    let dir = open_dir(top, name)?;
    for (entry, kind) in list(&dir)? {
        if kind != FileType::Directory {
            rustix::fs::unlinkat(&dir, &entry, AtFlags::empty())?;
            continue;
        }
        loop {
            *moved += 1;
            let free = CString::new(format!(".removed-{moved}")).expect("the name has no zero byte");
            match rustix::fs::renameat_with(&dir, &entry, top, &free, RenameFlags::NOREPLACE) {
                Ok(()) => break,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn open_dir<P: rustix::path::Arg>(at: impl AsFd, path: P) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, path, flags, Mode::empty())
}

/// Names and kinds in a directory, but for itself and its parent.
fn list(dir: &OwnedFd) -> Result<Vec<(CString, FileType)>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes() == b"." || name.to_bytes() == b".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => {
                FileType::from_raw_mode(rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode)
            }
            known => known,
        };
        found.push((name.to_owned(), kind));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn is_root() -> bool {
        let is_root = rustix::process::geteuid().is_root();
        if !is_root {
            println!("skipped: needs root");
        }
        is_root
    }

    #[test]
    fn a_disk_keeps_its_ids_and_two_disks_differ() {
        if !is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("disks/a"), dir.path().join("disks/b"));
        let first = ensure_disk(&a).unwrap();
        assert!(first.is_new);
        assert_ne!(first.uid_base, ensure_disk(&b).unwrap().uid_base);
        fs::write(a.join("upper/x"), "").unwrap();
        assert_eq!(ensure_disk(&a).unwrap(), Disk { uid_base: first.uid_base, is_new: false });
        let upper = fs::metadata(a.join("upper")).unwrap();
        assert_eq!((upper.uid(), upper.gid(), upper.mode() & 0o7777), (first.uid_base, first.uid_base, 0o755));
        assert_eq!(fs::metadata(&a).unwrap().mode() & 0o7777, 0o700);
    }

    #[test]
    fn a_taken_range_of_ids_is_passed_over() {
        if !is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let wish = free_uid_base(dir.path(), Path::new("/x")).unwrap();
        create(&dir.path().join("other"), wish).unwrap();
        assert_ne!(free_uid_base(dir.path(), Path::new("/x")).unwrap(), wish);
    }

    #[test]
    fn removal_follows_no_link_and_digs_any_depth() {
        let dir = tempfile::tempdir().unwrap();
        let treasure = dir.path().join("treasure");
        fs::create_dir(&treasure).unwrap();
        fs::write(treasure.join("gold"), "mine").unwrap();
        let disk = dir.path().join("disk");
        fs::create_dir_all(disk.join("upper")).unwrap();
        symlink(&treasure, disk.join("upper/link")).unwrap();
        symlink(&treasure, disk.join("link")).unwrap();
        fs::create_dir(disk.join(".removed-1")).unwrap();
        // Deeper than any path can name: 3000 levels of 200 bytes.
        let name = CString::new("d".repeat(200)).unwrap();
        let mut at = open_dir(rustix::fs::CWD, disk.join("upper")).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, &name, Mode::from_raw_mode(0o000)).unwrap();
            rustix::fs::chmodat(&at, &name, Mode::from_raw_mode(0o700), AtFlags::empty()).unwrap();
            at = open_dir(&at, &name).unwrap();
        }
        assert!(remove_disk(&disk).unwrap());
        assert!(!remove_disk(&disk).unwrap());
        assert_eq!(fs::read_to_string(treasure.join("gold")).unwrap(), "mine");
    }

    #[test]
    fn a_link_in_place_of_a_disk_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let treasure = dir.path().join("treasure");
        fs::create_dir(&treasure).unwrap();
        symlink(&treasure, dir.path().join("disk")).unwrap();
        assert!(remove_disk(&dir.path().join("disk")).is_err());
        assert!(treasure.exists());
    }
}
