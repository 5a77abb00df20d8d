//! Network namespaces, held by a file descriptor and, when they must outlive us, by a bind mount on a file of ours.
//!
//! Pins live where the caller says (the run directory of one Groundplane), never in `/run/netns`: that directory belongs to `ip netns`.
//! A namespace without a pin lives as long as a process, a socket or a [`NetNs`] holds it.

use crate::error::{Context, LinuxError};
use crate::mount;
use nix::mount::MsFlags;
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

/// `NSFS_MAGIC` of linux/magic.h: the file system type of a pinned namespace.
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// `NS_GET_NSTYPE` of linux/nsfs.h: answers with the flag of clone(2) that makes such a namespace.
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

/// An open network namespace.
#[derive(Debug)]
pub struct NetNs {
    fd: OwnedFd,
}

impl NetNs {
    /// Opens the namespace pinned at `path`, or makes a new one and pins it there.
    ///
    /// # Errors
    /// When the directory, the namespace or the mount can't be made (root is needed).
    pub fn ensure_pinned(path: &Path) -> Result<Self, LinuxError> {
        if is_pinned(path) {
            return Self::open(path);
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).context(|| format!("create {}", parent.display()))?;
        }
        // The mount point; its content is never read.
        OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(path)
            .context(|| format!("create {}", path.display()))?;
        let netns = Self::new_unpinned()?;
        netns.pin(path)?;
        Ok(netns)
    }

    /// A new namespace that lives only as long as something holds it.
    ///
    /// # Errors
    /// When the kernel refuses a new namespace.
    pub fn new_unpinned() -> Result<Self, LinuxError> {
        on_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).context(|| "make a network namespace".into())?;
            Self::open(Path::new("/proc/thread-self/ns/net"))
        })
    }

    /// Opens a namespace by a file: a pin, or `/proc/PID/ns/net`.
    ///
    /// # Errors
    /// When the file can't be opened or is no namespace.
    pub fn open(path: &Path) -> Result<Self, LinuxError> {
        let file = File::open(path).context(|| format!("open the network namespace {}", path.display()))?;
        if !is_nsfs(&file) {
            return Err(LinuxError::Invalid(format!("{} is not a namespace", path.display())));
        }
        // SAFETY: NS_GET_NSTYPE has no argument.
        let kind = unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE) };
        if kind != libc::CLONE_NEWNET {
            return Err(LinuxError::Invalid(format!("{} is a namespace, but not of a network", path.display())));
        }
        Ok(Self { fd: file.into() })
    }

    /// Opens the namespace of a process.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of_process(pid: i32) -> Result<Self, LinuxError> {
        Self::open(Path::new(&format!("/proc/{pid}/ns/net")))
    }

    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When /proc is not mounted.
    pub fn current() -> Result<Self, LinuxError> {
        Self::open(Path::new("/proc/thread-self/ns/net"))
    }

    /// Another handle on the same namespace.
    ///
    /// # Errors
    /// When the process is out of file descriptors.
    pub fn try_clone(&self) -> Result<Self, LinuxError> {
        let fd = self.fd.try_clone().context(|| "duplicate a namespace descriptor".into())?;
        Ok(Self { fd })
    }

    /// Holds this namespace at `path`, an existing file, until [`NetNs::remove_pinned`].
    ///
    /// # Errors
    /// When the bind mount is refused.
    pub fn pin(&self, path: &Path) -> Result<(), LinuxError> {
        let source = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        nix::mount::mount(Some(source.as_str()), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .context(|| format!("pin a network namespace at {}", path.display()))
    }

    /// Takes the pin away and removes its file. Says whether there was anything to remove.
    ///
    /// # Errors
    /// When the unmount or the removal is refused.
    pub fn remove_pinned(path: &Path) -> Result<bool, LinuxError> {
        let was_mounted = mount::unmount_all(path)?;
        match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(was_mounted),
            Err(error) => Err(error).context(|| format!("remove {}", path.display())),
        }
    }

    /// Runs `work` inside this namespace, and comes back.
    ///
    /// Sockets and `/proc/sys/net` opened by `work` belong to this namespace for ever, so they may be handed out.
    ///
    /// # Errors
    /// When the namespace can't be entered.
    ///
    /// # Panics
    /// When `work` does.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, LinuxError> {
        let enter = || setns(&self.fd, CloneFlags::CLONE_NEWNET).context(|| "enter a network namespace".into());
        match Home::of_this_thread() {
            Some(_home) => enter().map(|()| work()),
            None => on_thread(|| enter().map(|()| work())),
        }
    }

    /// Writes a setting of this namespace, such as `ipv6/conf/eth0/accept_dad` below `/proc/sys/net`.
    ///
    /// # Errors
    /// When the setting does not exist or refuses the value.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<(), LinuxError> {
        self.run(|| write_sysctl(key, value))?
    }

    /// The kernel's name for this namespace: equal numbers mean the same namespace.
    ///
    /// # Errors
    /// When the descriptor can't be examined.
    pub fn inode(&self) -> Result<u64, LinuxError> {
        let file = File::from(self.fd.try_clone().context(|| "duplicate a namespace descriptor".into())?);
        Ok(file.metadata().context(|| "examine a namespace".into())?.ino())
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for NetNs {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl From<NetNs> for OwnedFd {
    fn from(netns: NetNs) -> Self {
        netns.fd
    }
}

/// The namespace of the calling thread, which is back in it when this is dropped.
///
/// A thread made for each visit would be safe from being in the wrong place, but on a busy machine a new thread waits for
/// its first time slice for milliseconds, and one visit follows the other while an ENI moves.
struct Home(OwnedFd);

impl Home {
    /// None where the thread could not come back: without /proc, or without rights on the namespace it is in.
    fn of_this_thread() -> Option<Self> {
        let home = File::open("/proc/thread-self/ns/net").ok()?;
        setns(&home, CloneFlags::CLONE_NEWNET).ok()?;
        Some(Self(home.into()))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Err(error) = setns(&self.0, CloneFlags::CLONE_NEWNET) {
            // It has been tried a moment ago. A thread in a guest's namespace would do the host's work there.
            eprintln!("a thread can't come back to its network namespace: {error}");
            std::process::abort();
        }
    }
}

/// Writes a setting of the namespace of the calling thread.
pub(crate) fn write_sysctl(key: &str, value: &str) -> Result<(), LinuxError> {
    fs::write(Path::new("/proc/sys/net").join(key), value).context(|| format!("set net/{key} to {value}"))
}

/// Runs `work` on a scoped thread: what it does to its own namespaces ends with it.
pub(crate) fn on_thread<T: Send>(work: impl FnOnce() -> Result<T, LinuxError> + Send) -> Result<T, LinuxError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("gp-namespace".into())
            .spawn_scoped(scope, work)
            .context(|| "start a thread".into())?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

fn is_pinned(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| is_nsfs(&file))
}

fn is_nsfs(file: &File) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|stat| stat.f_type == NSFS_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Links;
    use crate::testing::root_or_skip;

    #[test]
    fn a_pinned_namespace_is_found_again_and_removed_without_trace() {
        if !root_or_skip() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/netns");
        let first = NetNs::ensure_pinned(&path).unwrap();
        let second = NetNs::ensure_pinned(&path).unwrap();
        assert_eq!(first.inode().unwrap(), second.inode().unwrap());
        assert_ne!(first.inode().unwrap(), NetNs::current().unwrap().inode().unwrap());
        assert!(NetNs::remove_pinned(&path).unwrap());
        assert!(!NetNs::remove_pinned(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn run_sees_the_links_of_the_namespace_and_leaves_the_caller_where_it_was() {
        if !root_or_skip() {
            return;
        }
        let before = NetNs::current().unwrap().inode().unwrap();
        let netns = NetNs::new_unpinned().unwrap();
        let inside = netns.run(|| NetNs::current().unwrap().inode().unwrap()).unwrap();
        assert_eq!(inside, netns.inode().unwrap());
        assert_eq!(before, NetNs::current().unwrap().inode().unwrap());
        let names: Vec<_> = Links::open(&netns).unwrap().list_links().unwrap().into_iter().map(|l| l.name).collect();
        assert_eq!(names, ["lo"]);
    }

    #[test]
    fn a_thread_is_back_where_it_was_after_nested_runs_and_a_panic() {
        if !root_or_skip() {
            return;
        }
        let here = || NetNs::current().unwrap().inode().unwrap();
        let (before, outer, inner) = (here(), NetNs::new_unpinned().unwrap(), NetNs::new_unpinned().unwrap());
        let seen = outer.run(|| (inner.run(here).unwrap(), here())).unwrap();
        assert_eq!(seen, (inner.inode().unwrap(), outer.inode().unwrap()));
        let panicked = std::panic::catch_unwind(|| outer.run(|| panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(here(), before);
    }

    #[test]
    fn a_plain_file_is_not_a_namespace() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(NetNs::open(file.path()), Err(LinuxError::Invalid(_))));
        let of_another_kind = Path::new("/proc/self/ns/uts");
        assert!(matches!(NetNs::open(of_another_kind), Err(LinuxError::Invalid(_))));
    }
}
