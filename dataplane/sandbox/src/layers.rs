//! The two layers of a guest's root that are the same for all guests: what it must not see, and what a fresh disk would hold.
//!
//! ```text
//! skeleton   directories and files that every instance begins with
//! mask       names that must not be seen (whiteouts)
//! ```
//!
//! The agent makes them once, on a file system in memory that is attached nowhere: nobody reaches it by a path, and what
//! instances have of it stays as it is for as long as they run. A hundred names and directories less for each instance to make
//! and for the kernel to keep. Kernels before 6.15 can't hand out views of such a file system; there, each guest makes its own.

use crate::error::{Context, SandboxError};
use crate::starter::package_database;
use gp_linux::mount::{clone_detached, detached_tmpfs};
use rustix::fs::{CWD, Dev, FileType, Mode, mknodat};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Bounds of the file system.
pub(crate) const OPTIONS: [(&str, &str); 3] = [("mode", "0755"), ("size", "4m"), ("nr_inodes", "8192")];

/// The whiteout that all hidden names share, beside the layers.
const WHITEOUT: &str = "whiteout";

/// Directories of the skeleton, with their modes.
const SKELETON: [(&str, u32); 34] = [
    ("boot", 0o755),
    ("dev", 0o755),
    ("home", 0o755),
    ("media", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("srv", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("etc", 0o755),
    ("var/backups", 0o755),
    ("var/cache", 0o755),
    ("var/cache/apt", 0o755),
    ("var/cache/apt/archives", 0o755),
    ("var/cache/apt/archives/partial", 0o700),
    ("var/cache/debconf", 0o755),
    ("var/lib", 0o755),
    ("var/lib/apt", 0o755),
    ("var/lib/apt/lists", 0o755),
    ("var/lib/apt/lists/partial", 0o700),
    ("var/lib/cloud", 0o755),
    ("var/lib/cloud/instance", 0o755),
    ("var/lib/misc", 0o755),
    ("var/local", 0o755),
    ("var/log", 0o755),
    ("var/log/apt", 0o755),
    ("var/mail", 0o755),
    ("var/opt", 0o755),
    ("var/spool", 0o755),
    ("var/tmp", 0o1777),
];

/// The layers that were made last.
static LAST: Mutex<Option<Shared>> = Mutex::new(None);

struct Shared {
    /// What they were made of.
    hidden: Vec<PathBuf>,
    shadow: String,
    tree: Arc<OwnedFd>,
}

/// The layers for guests that must not see these paths; made if they are not there. None where this kernel can't share them.
///
/// # Errors
/// When they can't be made.
pub(crate) fn shared(hidden: &[PathBuf]) -> Result<Option<Arc<OwnedFd>>, SandboxError> {
    let shadow = shadow_below(Path::new("/"));
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shared) = last.as_ref().filter(|shared| shared.hidden == hidden && shared.shadow == shadow) {
        return Ok(Some(shared.tree.clone()));
    }
    let tree = detached_tmpfs(&OPTIONS)?;
    if clone_detached(tree.as_fd()).is_err() {
        return Ok(None);
    }
    make(Path::new(&format!("/proc/self/fd/{}", tree.as_raw_fd())), Path::new("/"), hidden)?;
    let tree = Arc::new(tree);
    *last = Some(Shared { hidden: hidden.to_vec(), shadow, tree: tree.clone() });
    Ok(Some(tree))
}

/// Makes the layers in `at`. `below` is what they are to lie on.
///
/// # Errors
/// When a file can't be made.
pub(crate) fn make(at: &Path, below: &Path, hidden: &[PathBuf]) -> Result<(), SandboxError> {
    make_mask(at, below, hidden)?;
    make_skeleton(&at.join("skeleton"), below).context(|| "make the skeleton".into())
}

/// A layer that holds nothing but whiteouts, and the directories that lead to them. All names lead to one whiteout: an
/// inode for each would take most of the memory that the layer has in the kernel.
fn make_mask(at: &Path, below: &Path, hidden: &[PathBuf]) -> Result<(), SandboxError> {
    let (mask, whiteout) = (at.join("mask"), at.join(WHITEOUT));
    create_dir(&mask, 0o755).context(|| format!("create {}", mask.display()))?;
    // A whiteout is a character device with number 0:0; anybody may make one. This one is outside of the layer.
    mknodat(CWD, &whiteout, FileType::CharacterDevice, Mode::empty(), Dev::from(0u32))
        .context(|| "make a whiteout".into())?;
    for path in hidden {
        let what = || format!("hide /{}", path.display());
        if let Some(parent) = path.parent()
            && !make_mask_dirs(&mask, below, parent).context(what)?
        {
            continue;
        }
        match fs::hard_link(&whiteout, mask.join(path)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error).context(what),
            _ => {}
        }
    }
    Ok(())
}

/// Makes `dir` in the mask like it is below, since a directory of the overlay has the looks of its topmost layer. False if there is
/// no such directory below: then nothing has to be hidden in it, and showing an empty one would be a lie.
fn make_mask_dirs(mask: &Path, below: &Path, dir: &Path) -> io::Result<bool> {
    let mut path = PathBuf::new();
    for part in dir.components() {
        path.push(part);
        let mask = mask.join(&path);
        if mask.is_dir() {
            continue;
        }
        match fs::symlink_metadata(below.join(&path)) {
            Ok(facts) if facts.is_dir() => {
                create_dir(&mask, facts.mode() & 0o7777)?;
                if (facts.uid(), facts.gid()) != (0, 0) {
                    chown(&mask, Some(facts.uid()), Some(facts.gid()))?;
                }
            }
            _ => return Ok(false),
        }
    }
    Ok(true)
}

fn make_skeleton(skeleton: &Path, below: &Path) -> io::Result<()> {
    create_dir(skeleton, 0o755)?;
    for (name, mode) in SKELETON {
        create_dir(&skeleton.join(name), mode)?;
    }
    symlink("/run", skeleton.join("var/run"))?;
    symlink("/run/lock", skeleton.join("var/lock"))?;
    if let Some(packages) = package_database() {
        let packages = skeleton.join(packages);
        if !packages.is_dir() {
            create_dir(&packages, 0o755)?;
        }
    }
    let write = |name: &str, mode, text: &str| create_file(&skeleton.join("etc").join(name), mode, text);
    // No server is named: a look-up fails at once instead of hanging.
    write("resolv.conf", 0o644, "options timeout:1 attempts:1\n")?;
    write("fstab", 0o644, "")?;
    write("shadow", 0o640, &shadow_below(below))
}

/// A shadow file in which nobody of the system below has a password that could ever match.
fn shadow_below(below: &Path) -> String {
    locked_accounts(&fs::read_to_string(below.join("etc/passwd")).unwrap_or_default())
}

fn locked_accounts(passwd: &str) -> String {
    let names = passwd.lines().filter_map(|line| line.split(':').next()).filter(|name| !name.is_empty());
    names.map(|name| format!("{name}:*:19000:0:99999:7:::\n")).collect()
}

/// Makes a directory with just this mode, whatever the caller's mask.
pub(crate) fn create_dir(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().mode(mode).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Makes a file with just this mode, whatever the caller's mask.
pub(crate) fn create_file(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_is_locked() {
        let shadow = locked_accounts("root:x:0:0:root:/root:/bin/bash\n\nbin:x:2:2:bin:/bin:/usr/sbin/nologin\n");
        assert_eq!(shadow, "root:*:19000:0:99999:7:::\nbin:*:19000:0:99999:7:::\n");
    }

    #[test]
    fn parents_come_before_children_in_the_skeleton() {
        for (at, (name, _)) in SKELETON.iter().enumerate() {
            let parent = Path::new(name).parent().unwrap();
            let before = &SKELETON[..at];
            assert!(parent == Path::new("") || before.iter().any(|(n, _)| Path::new(n) == parent), "{name}");
        }
    }

    #[test]
    fn layers_are_made_once_for_all_that_hide_the_same() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let hidden = |name: &str| vec![PathBuf::from("etc/shadow"), PathBuf::from(name)];
        let (Some(first), Some(again), Some(other)) =
            (shared(&hidden("a")).unwrap(), shared(&hidden("a")).unwrap(), shared(&hidden("b")).unwrap())
        else {
            println!("skipped: this kernel can't share them");
            return;
        };
        assert!(Arc::ptr_eq(&first, &again) && !Arc::ptr_eq(&first, &other));
        let at = |tree: &Arc<OwnedFd>, name: &str| PathBuf::from(format!("/proc/self/fd/{}/{name}", tree.as_raw_fd()));
        let whiteout = fs::metadata(at(&first, "mask/etc/shadow")).unwrap();
        assert_eq!((whiteout.rdev(), whiteout.nlink()), (0, 3));
        assert!(at(&other, "mask/b").symlink_metadata().is_ok() && at(&other, "mask/a").symlink_metadata().is_err());
        let mode = |name: &str| fs::metadata(at(&first, name)).unwrap().mode() & 0o7777;
        assert_eq!((mode("skeleton/tmp"), mode("skeleton/root"), mode("skeleton/etc/shadow")), (0o1777, 0o700, 0o640));
    }
}
