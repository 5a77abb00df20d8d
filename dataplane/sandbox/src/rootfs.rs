//! The guest's root: an overlay of the host's programs and the instance's disk, with a /dev, /proc, /sys, /run and /tmp of its own.
//!
//! Everything is mounted with the guest's own rights, in its own mount namespace, and the host's tree is let go at the end. What is
//! hidden from the guest is hidden inside the overlay: taking a mount away shows nothing.
//!
//! ```text
//! upper      what the instance has written (its disk)
//! skeleton   directories and files that every instance begins with
//! mask       names that must not be seen (whiteouts); see layers.rs for both
//! lower      the host's / without its submounts, ids mapped
//! ```

use crate::console::Console;
use crate::error::{Context, SandboxError};
use crate::layers::{self, create_dir, create_file};
use crate::starter::package_database;
use crate::wire::StartRequest;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{CWD, Dev, FileType, Mode, mknodat};
use rustix::mount::{MoveMountFlags, move_mount};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The pipe that carries what the guest says, by the name that scripts use.
pub(crate) const CONSOLE: &str = "/dev/console";

/// Directories of the host, one of which serves as the place to work in until we have a root.
const SCRATCH: [&str; 4] = ["/tmp", "/mnt", "/run", "/srv"];

/// Devices of the host that every user may use anyway.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// What lies in memory and can be reached: where in the guest, and its mode.
const IN_MEMORY: [(&str, u32); 3] = [("dev/shm", 0o1777), ("run", 0o755), ("tmp", 0o1777)];

/// Makes the guest's root and goes there. `trees`: the lower layer, the disk, the shared layers if there are any, and perhaps the
/// package database.
pub(crate) fn enter(trees: Vec<OwnedFd>, request: &StartRequest, console: &mut Console) -> Result<(), SandboxError> {
    let mut trees = trees.into_iter();
    let (Some(lower), Some(disk)) = (trees.next(), trees.next()) else {
        return Err(SandboxError::Guest("the file systems were not handed over".into()));
    };
    // Every mode below is meant as it stands; the guest's own mask is set later.
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    enter_scratch(request.spec.memory_bytes / 2)?;
    for name in ["lower", "disk", "layers", "root", "packages"] {
        make_dir(Path::new(name), 0o755)?;
    }
    attach(&lower, "lower")?;
    attach(&disk, "disk")?;
    let layers = if request.has_layers { trees.next() } else { None };
    match layers {
        Some(layers) => attach(&layers, "layers")?,
        None => make_own_layers(&request.hidden)?,
    }
    if request.is_first_boot {
        fill_disk(Path::new("disk/upper"), request).context(|| "prepare a fresh disk".into())?;
    }
    mount_overlay("layers/skeleton:layers/mask:lower", "disk/upper", "disk/work", "root")?;
    if let (Some(tree), Some(path)) = (trees.next(), package_database()) {
        attach(&tree, "packages")?;
        let at = format!("root/{path}");
        // The guest may have removed the mount point since its first boot; that is its own affair.
        if let Err(error) = mount_overlay("packages", "disk/packages", "disk/packages-work", &at) {
            console.line(&format!("no package database: {error}"));
        }
    }
    mount_system(Path::new("root"))?;
    pivot()
}

/// The guest's memory as files, as the current directory: we work in it, and parts of it become the guest's. One file system
/// for all of that: each costs the kernel several KiB, and some for every control group of the host.
fn enter_scratch(bytes: u64) -> Result<(), SandboxError> {
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).context(|| "make mounts private".into())?;
    let dir = SCRATCH.into_iter().find(|dir| Path::new(dir).is_dir());
    let dir = dir.ok_or_else(|| SandboxError::Guest(format!("the host has none of {}", SCRATCH.join(", "))))?;
    mount_at("tmpfs", dir, MsFlags::MS_NOSUID | MsFlags::MS_NODEV, &format!("mode=0755,size={bytes}"))?;
    std::env::set_current_dir(dir).context(|| format!("enter {dir}"))
}

/// Layers of our own, on a file system that the guest has no other view of.
fn make_own_layers(hidden: &[PathBuf]) -> Result<(), SandboxError> {
    let options: Vec<String> = layers::OPTIONS.iter().map(|(name, value)| format!("{name}={value}")).collect();
    mount_at("tmpfs", "layers", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, &options.join(","))?;
    layers::make(Path::new("layers"), Path::new("lower"), hidden)
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

/// What a fresh disk holds: what no two instances have the same. `upper` has just been made: nothing in it can lead us elsewhere.
fn fill_disk(upper: &Path, request: &StartRequest) -> io::Result<()> {
    let spec = &request.spec;
    let short = spec.hostname.split('.').next().unwrap_or_default();
    let names = if short == spec.hostname { short.to_owned() } else { format!("{} {short}", spec.hostname) };
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?.replace('-', "");
    create_dir(&upper.join("etc"), 0o755)?;
    let write = |name: &str, mode, text: &str| create_file(&upper.join("etc").join(name), mode, text);
    write("hostname", 0o644, &format!("{}\n", spec.hostname))?;
    write(
        "hosts",
        0o644,
        &format!("127.0.0.1 localhost\n127.0.1.1 {names}\n::1 localhost ip6-localhost ip6-loopback\n"),
    )?;
    write("machine-id", 0o444, &id)?;
    if let Some(key) = &spec.authorized_key {
        create_dir(&upper.join("root"), 0o700)?;
        create_dir(&upper.join("root/.ssh"), 0o700)?;
        create_file(&upper.join("root/.ssh/authorized_keys"), 0o600, &format!("{key}\n"))?;
    }
    Ok(())
}

/// The kernel's own file systems, as the guest is to see them.
fn mount_system(root: &Path) -> Result<(), SandboxError> {
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount_at("proc", root.join("proc"), plain, "")?;
    mount_at("sysfs", root.join("sys"), plain | MsFlags::MS_RDONLY, "")?;
    let dev = root.join("dev");
    show_memory(&dev, 0o755)?;
    // Of a bind mount the flags are set by a second call (mount(2)).
    let bound = MsFlags::MS_BIND | MsFlags::MS_REMOUNT;
    mount(None::<&str>, &dev, None::<&str>, bound | plain, None::<&str>).context(|| "restrict /dev".into())?;
    fill_dev(&dev)?;
    mount_at(
        "devpts",
        dev.join("pts"),
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        "newinstance,ptmxmode=0666,mode=0620,gid=5",
    )?;
    for (name, mode) in IN_MEMORY {
        show_memory(&root.join(name), mode)?;
    }
    make_dir(&root.join("run/lock"), 0o1777)
}

/// Shows a new directory of the guest's memory at `place`.
fn show_memory(place: &Path, mode: u32) -> Result<(), SandboxError> {
    let dir = PathBuf::from(format!("memory-{}", place.display().to_string().replace('/', "-")));
    make_dir(&dir, mode)?;
    mount(Some(&dir), place, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .context(|| format!("mount {}", place.display()))
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
