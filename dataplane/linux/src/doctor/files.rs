//! Mounts: a bpf file system, an overlay, and a view of `/` with mapped ids. All inside mount namespaces that die with their thread.

use crate::error::{Context, LinuxError};
use crate::netns::on_thread;
use crate::userns::UserNs;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MoveMountFlags, move_mount};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where user 0 of the trial user namespace is mapped to: any id that is not our own.
const TRIAL_ID: u32 = 1_000_000;

pub(super) fn bpffs() -> Result<String, LinuxError> {
    in_scratch(|dir| {
        crate::mount::ensure_bpffs(&dir.join("bpf"))?;
        Ok("a bpf file system mounts".into())
    })
}

pub(super) fn overlay() -> Result<String, LinuxError> {
    in_scratch(|dir| {
        let root = mount_overlay(dir, Path::new("/"))?;
        fs::write(root.join("gp-doctor"), b"").context(|| "write to an overlay".into())?;
        Ok("an overlay over / mounts".into())
    })
}

pub(super) fn idmapped_root() -> Result<String, LinuxError> {
    let userns = UserNs::new(TRIAL_ID)?;
    in_scratch(move |dir| {
        let lower = dir.join("mapped");
        fs::create_dir(&lower).context(|| "create a directory".into())?;
        let tree = crate::mount::clone_mapped(Path::new("/"), userns.as_fd())?;
        move_mount(&tree, "", rustix::fs::CWD, &lower, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .context(|| "attach a mapped mount".into())?;
        let root = mount_overlay(dir, &lower)?;
        let owner = fs::metadata(root.join("usr")).context(|| "examine the overlay".into())?.uid();
        if owner < TRIAL_ID {
            return Err(LinuxError::Missing(format!("an overlay shows owner {owner} where {TRIAL_ID} should be")));
        }
        Ok("user namespaces and an overlay over an idmapped / work".into())
    })
}

/// Runs `work` in a private mount namespace with an empty tmpfs to work in.
fn in_scratch<T: Send>(work: impl FnOnce(&Path) -> Result<T, LinuxError> + Send) -> Result<T, LinuxError> {
    on_thread(|| {
        unshare(CloneFlags::CLONE_NEWNS).context(|| "make a mount namespace".into())?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).context(|| "make mounts private".into())?;
        let dir = std::env::temp_dir();
        mount(Some("gp-doctor"), &dir, Some("tmpfs"), MsFlags::empty(), Some("size=1m"))
            .context(|| "mount a tmpfs".into())?;
        work(&dir)
    })
}

fn mount_overlay(dir: &Path, lower: &Path) -> Result<PathBuf, LinuxError> {
    let [upper, work, root] = ["upper", "work", "root"].map(|name| dir.join(name));
    for path in [&upper, &work, &root] {
        fs::create_dir(path).context(|| "create a directory".into())?;
    }
    let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    mount(Some("overlay"), &root, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .context(|| format!("mount an overlay over {}", lower.display()))?;
    Ok(root)
}
