//! The guest's root: an overlay of the host's programs and the instance's disk, with a /dev, /proc, /sys, /run and /tmp of its own.
//!
//! Everything is mounted with the guest's own rights, in its own mount namespace, and the host's tree is let go at the end. What is
//! hidden from the guest is hidden inside the overlay: taking a mount away shows nothing.
//!
//! ```text
//! upper   what the instance has written (its disk)
//! mask    names that must not be seen (whiteouts, on a tmpfs that nobody can reach)
//! lower   the host's / without its submounts, ids mapped
//! ```

use crate::console::Console;
use crate::error::{Context, SandboxError};
use crate::starter::package_database;
use crate::wire::StartRequest;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{CWD, Dev, FileType, Mode, mknodat};
use rustix::mount::{MoveMountFlags, move_mount};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown, symlink};
use std::path::{Path, PathBuf};

/// The pipe that carries what the guest says, by the name that scripts use.
pub(crate) const CONSOLE: &str = "/dev/console";

/// Directories of the host, one of which serves as the place to work in until we have a root.
const SCRATCH: [&str; 4] = ["/tmp", "/mnt", "/run", "/srv"];

/// Where we work: the whiteout that all hidden names share.
const WHITEOUT: &str = "whiteout";

/// Devices of the host that every user may use anyway.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Directories of a fresh disk, with their modes.
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

/// Makes the guest's root and goes there. `trees`: the lower layer, the disk, and perhaps the package database.
pub(crate) fn enter(trees: Vec<OwnedFd>, request: &StartRequest, console: &mut Console) -> Result<(), SandboxError> {
    let mut trees = trees.into_iter();
    let (Some(lower), Some(disk)) = (trees.next(), trees.next()) else {
        return Err(SandboxError::Guest("the file systems were not handed over".into()));
    };
    // Every mode below is meant as it stands; the guest's own mask is set later.
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    enter_scratch()?;
    for name in ["lower", "disk", "mask", "root", "packages"] {
        make_dir(Path::new(name), 0o755)?;
    }
    attach(&lower, "lower")?;
    attach(&disk, "disk")?;
    make_mask(&request.hidden)?;
    if request.is_first_boot {
        make_skeleton(Path::new("disk/upper"), request).context(|| "prepare a fresh disk".into())?;
    }
    mount_overlay("mask:lower", "disk/upper", "disk/work", "root")?;
    if let (Some(tree), Some(path)) = (trees.next(), package_database()) {
        attach(&tree, "packages")?;
        let at = format!("root/{path}");
        // The guest may have removed the mount point since its first boot; that is its own affair.
        if let Err(error) = mount_overlay("packages", "disk/packages", "disk/packages-work", &at) {
            console.line(&format!("no package database: {error}"));
        }
    }
    mount_system(Path::new("root"), request.spec.memory_bytes)?;
    pivot()
}

/// A private tmpfs to work in, as the current directory.
fn enter_scratch() -> Result<(), SandboxError> {
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).context(|| "make mounts private".into())?;
    let dir = SCRATCH.into_iter().find(|dir| Path::new(dir).is_dir());
    let dir = dir.ok_or_else(|| SandboxError::Guest(format!("the host has none of {}", SCRATCH.join(", "))))?;
    mount_at("tmpfs", dir, MsFlags::MS_NOSUID | MsFlags::MS_NODEV, "mode=0755,size=4m,nr_inodes=8192")?;
    std::env::set_current_dir(dir).context(|| format!("enter {dir}"))
}

fn attach(tree: &OwnedFd, at: &str) -> Result<(), SandboxError> {
    move_mount(tree, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).context(|| format!("attach {at}"))
}

/// `userxattr`: the overlay's own marks are then ordinary attributes, which a user namespace may set.
fn mount_overlay(lower: &str, upper: &str, work: &str, at: &str) -> Result<(), SandboxError> {
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work},userxattr");
    mount_at("overlay", at, MsFlags::empty(), &options)
}

fn mount_at(fstype: &str, at: impl AsRef<Path>, flags: MsFlags, options: &str) -> Result<(), SandboxError> {
    let at = at.as_ref();
    mount(Some(fstype), at, Some(fstype), flags, Some(options))
        .context(|| format!("mount {fstype} at {} ({options})", at.display()))
}

/// A layer that holds nothing but whiteouts, and the directories that lead to them. All names lead to one whiteout: an
/// inode for each would take most of the memory that the layer has in the kernel.
fn make_mask(hidden: &[PathBuf]) -> Result<(), SandboxError> {
    // A whiteout is a character device with number 0:0; anybody may make one. This one is outside of the layer.
    mknodat(CWD, WHITEOUT, FileType::CharacterDevice, Mode::empty(), Dev::from(0u32))
        .context(|| "make a whiteout".into())?;
    for path in hidden {
        let what = || format!("hide /{}", path.display());
        if let Some(parent) = path.parent()
            && !make_mask_dirs(parent).context(what)?
        {
            continue;
        }
        match fs::hard_link(WHITEOUT, Path::new("mask").join(path)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error).context(what),
            _ => {}
        }
    }
    Ok(())
}

/// Makes `dir` in the mask like it is below, since a directory of the overlay has the looks of its topmost layer. False if there is
/// no such directory below: then nothing has to be hidden in it, and showing an empty one would be a lie.
fn make_mask_dirs(dir: &Path) -> io::Result<bool> {
    let mut path = PathBuf::new();
    for part in dir.components() {
        path.push(part);
        let mask = Path::new("mask").join(&path);
        if mask.is_dir() {
            continue;
        }
        match fs::symlink_metadata(Path::new("lower").join(&path)) {
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

/// What a fresh disk holds. `upper` has just been made: nothing in it can lead us elsewhere.
fn make_skeleton(upper: &Path, request: &StartRequest) -> io::Result<()> {
    let spec = &request.spec;
    for (name, mode) in SKELETON {
        create_dir(&upper.join(name), mode)?;
    }
    symlink("/run", upper.join("var/run"))?;
    symlink("/run/lock", upper.join("var/lock"))?;
    if let Some(packages) = package_database() {
        fs::create_dir_all(upper.join(packages))?;
    }
    let short = spec.hostname.split('.').next().unwrap_or_default();
    let names = if short == spec.hostname { short.to_owned() } else { format!("{} {short}", spec.hostname) };
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?.replace('-', "");
    let write = |name: &str, mode, text: &str| create_file(&upper.join("etc").join(name), mode, text);
    write("hostname", 0o644, &format!("{}\n", spec.hostname))?;
    write(
        "hosts",
        0o644,
        &format!("127.0.0.1 localhost\n127.0.1.1 {names}\n::1 localhost ip6-localhost ip6-loopback\n"),
    )?;
    // No server is named: a look-up fails at once instead of hanging.
    write("resolv.conf", 0o644, "options timeout:1 attempts:1\n")?;
    write("fstab", 0o644, "")?;
    write("machine-id", 0o444, &id)?;
    write("shadow", 0o640, &locked_accounts(&fs::read_to_string("lower/etc/passwd").unwrap_or_default()))?;
    if let Some(key) = &spec.authorized_key {
        create_dir(&upper.join("root/.ssh"), 0o700)?;
        create_file(&upper.join("root/.ssh/authorized_keys"), 0o600, &format!("{key}\n"))?;
    }
    Ok(())
}

/// A shadow file in which nobody has a password that could ever match.
fn locked_accounts(passwd: &str) -> String {
    let names = passwd.lines().filter_map(|line| line.split(':').next()).filter(|name| !name.is_empty());
    names.map(|name| format!("{name}:*:19000:0:99999:7:::\n")).collect()
}

/// The kernel's own file systems, as the guest is to see them.
fn mount_system(root: &Path, memory_bytes: u64) -> Result<(), SandboxError> {
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount_at("proc", root.join("proc"), plain, "")?;
    mount_at("sysfs", root.join("sys"), plain | MsFlags::MS_RDONLY, "")?;
    let dev = root.join("dev");
    mount_at("tmpfs", &dev, MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC, "mode=0755,size=64k,nr_inodes=256")?;
    fill_dev(&dev)?;
    mount_at(
        "devpts",
        dev.join("pts"),
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        "newinstance,ptmxmode=0666,mode=0620,gid=5",
    )?;
    mount_memory(root, memory_bytes / 2)
}

/// What lies in memory: one file system for all of it. Each one costs the kernel several KiB, and some for every control
/// group of the host.
fn mount_memory(root: &Path, bytes: u64) -> Result<(), SandboxError> {
    make_dir(Path::new("memory"), 0o700)?;
    mount_at("tmpfs", "memory", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, &format!("mode=0700,size={bytes}"))?;
    for (name, mode) in [("dev/shm", 0o1777), ("run", 0o755), ("tmp", 0o1777)] {
        let dir = Path::new("memory").join(name.replace('/', "-"));
        make_dir(&dir, mode)?;
        mount(Some(&dir), &root.join(name), None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .context(|| format!("mount /{name}"))?;
    }
    make_dir(&root.join("run/lock"), 0o1777)
}

fn fill_dev(dev: &Path) -> Result<(), SandboxError> {
    for name in DEVICES {
        let node = dev.join(name);
        let of_host = Path::new("/dev").join(name);
        File::create(&node)
            .and_then(|_| {
                mount(Some(&of_host), &node, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(io::Error::from)
            })
            .context(|| format!("give the instance /dev/{name}"))?;
    }
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ];
    for (name, target) in links {
        symlink(target, dev.join(name)).context(|| format!("link /dev/{name}"))?;
    }
    make_dir(&dev.join("pts"), 0o755)?;
    make_dir(&dev.join("shm"), 0o1777)?;
    let pipe = dev.join(Path::new(CONSOLE).file_name().unwrap_or(OsStr::new("console")));
    mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o622), Dev::from(0u32))
        .context(|| "make the console's pipe".into())
}

/// Makes `./root` the root and lets the host's tree go (pivot_root(2), "pivot_root(".", ".")").
fn pivot() -> Result<(), SandboxError> {
    std::env::set_current_dir("root").context(|| "enter the new root".into())?;
    nix::unistd::pivot_root(".", ".").context(|| "change the root".into())?;
    umount2(".", MntFlags::MNT_DETACH).context(|| "let go of the host's tree".into())?;
    std::env::set_current_dir("/").context(|| "enter the new root".into())
}

fn make_dir(path: &Path, mode: u32) -> Result<(), SandboxError> {
    create_dir(path, mode).context(|| format!("create {}", path.display()))
}

fn create_dir(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().mode(mode).create(path)
}

fn create_file(path: &Path, mode: u32, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all(text.as_bytes())
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
}
