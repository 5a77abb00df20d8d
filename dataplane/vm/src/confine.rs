//! QEMU's surroundings: nobody's rights, an empty network namespace, no way to gain anything.
//!
//! What it needs is handed over as open descriptors: its control socket, the disk, the console's file, the TAPs. Its own filter on system
//! calls (`-sandbox`) forbids it to start programs.

use crate::error::{Context, VmError};
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

/// First of the user ids that machines run as: above all that systemd, containers and people use (systemd's UIDS-GIDS.md).
const UID_START: u32 = 0x7000_0000;
/// How many there are, less one.
const UID_MASK: u32 = 0x07ff_ffff;

const KVM_DEVICE: &str = "/dev/kvm";

/// How a QEMU is to be confined.
#[derive(Debug)]
pub(crate) struct Confinement<'a> {
    /// Chosen by [`uid_of`].
    pub uid: u32,
    /// Stays open in it, under the same numbers.
    pub fds: &'a [OwnedFd],
    /// Where a device node of its own may be put, if it is to have KVM: an existing directory.
    pub kvm_dir: Option<&'a Path>,
    /// No file grows beyond this, in bytes.
    pub file_bytes_max: u64,
}

/// The user that a machine runs as. Two machines hardly ever share one; where they do, they share nothing else.
pub(crate) fn uid_of(instance_id: &str) -> u32 {
    // FNV-1a: any even spread will do.
    let hash = instance_id.bytes().fold(0x811c_9dc5_u32, |hash, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193));
    UID_START + (hash & UID_MASK)
}

/// A private node of the KVM device: the host's own may be root's alone, and its rights are not ours to change.
#[derive(Debug)]
struct KvmNode {
    dir: CString,
    node: CString,
    device: libc::dev_t,
}

impl KvmNode {
    fn new(dir: &Path) -> Result<Self, VmError> {
        let device = std::fs::metadata(KVM_DEVICE).context(|| format!("examine {KVM_DEVICE}"))?.rdev();
        let text = |path: &OsStr| CString::new(path.as_bytes()).context(|| "name the KVM device".into());
        Ok(Self { dir: text(dir.as_os_str())?, node: text(dir.join("kvm").as_os_str())?, device })
    }

    /// Only system calls: this runs between fork and exec. The mounts are seen by this process alone and end with it.
    fn put(&self, uid: u32) -> io::Result<()> {
        // SAFETY: all strings are valid for the calls and end with a zero; nothing is passed by other pointers.
        unsafe {
            check(libc::mount(
                c"none".as_ptr(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ))?;
            check(libc::mount(
                c"tmpfs".as_ptr(),
                self.dir.as_ptr(),
                c"tmpfs".as_ptr(),
                libc::MS_NOSUID | libc::MS_NOEXEC,
                std::ptr::null(),
            ))?;
            check(libc::mknod(self.node.as_ptr(), libc::S_IFCHR | 0o600, self.device))?;
            check(libc::chown(self.node.as_ptr(), uid, uid))?;
            check(libc::mount(
                self.node.as_ptr(),
                c"/dev/kvm".as_ptr(),
                std::ptr::null(),
                libc::MS_BIND,
                std::ptr::null(),
            ))
        }
    }
}

/// Starts the command, confined.
pub(crate) fn spawn(command: &mut Command, confinement: &Confinement<'_>) -> Result<Child, VmError> {
    let fds: Vec<RawFd> = confinement.fds.iter().map(AsRawFd::as_raw_fd).collect();
    let kvm = confinement.kvm_dir.map(KvmNode::new).transpose()?;
    let (uid, file_bytes_max) = (confinement.uid, confinement.file_bytes_max);
    let confine = move || {
        let namespaces = libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWNS;
        // SAFETY: only system calls on plain integers.
        unsafe {
            check(libc::setsid())?;
            check(libc::unshare(namespaces))?;
        }
        if let Some(kvm) = &kvm {
            kvm.put(uid)?;
        }
        for fd in &fds {
            // SAFETY: the descriptor is open: the caller holds it until the child has been spawned.
            unsafe { check(libc::fcntl(*fd, libc::F_SETFD, 0))? };
        }
        limit(file_bytes_max)?;
        drop_rights(uid)
    };
    // SAFETY: the closure makes system calls only: it neither allocates nor takes a lock.
    unsafe { command.pre_exec(confine) };
    command.spawn().context(|| format!("run {}", command.get_program().to_string_lossy()))
}

fn limit(file_bytes_max: u64) -> io::Result<()> {
    let set = |resource, value| {
        let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
        // SAFETY: one rlimit is read.
        unsafe { check(libc::setrlimit(resource, &raw const limit)) }
    };
    set(libc::RLIMIT_FSIZE, file_bytes_max)?;
    set(libc::RLIMIT_CORE, 0)?;
    // SAFETY: a disposition without a handler. A write beyond the limit is to fail, not to kill; exec keeps what is ignored.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    Ok(())
}

/// The bare system calls: the C library's wrappers want to tell other threads, which are not here after a fork.
fn drop_rights(uid: u32) -> io::Result<()> {
    let uid = libc::c_long::from(uid);
    // SAFETY: system calls on integers; the empty list of groups is read from nowhere.
    unsafe {
        check_long(libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()))?;
        check_long(libc::syscall(libc::SYS_setresgid, uid, uid, uid))?;
        check_long(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn check_long(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_have_users_of_their_own() {
        let one = uid_of("i-0123456789abcdef0");
        assert_ne!(one, uid_of("i-0123456789abcdef1"));
        assert!((0x7000_0000..0x7800_0000).contains(&one));
    }

    #[test]
    fn a_confined_program_is_nobody_and_has_no_network() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        let mut command = Command::new("/bin/sh");
        command.args([
            "-c",
            "grep -E '^(Uid|Gid|Groups|CapEff|NoNewPrivs):' /proc/self/status; ls /sys/class/net; wc -l </proc/net/dev",
        ]);
        command.stdout(std::process::Stdio::piped());
        let confinement = Confinement { uid: 0x7000_0001, fds: &[], kvm_dir: None, file_bytes_max: 1 << 20 };
        let output = spawn(&mut command, &confinement).unwrap().wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("Uid:\t1879048193\t1879048193\t1879048193"), "{text}");
        assert!(text.contains("Groups:\t \n") || text.contains("Groups:\t\n"), "{text}");
        assert!(text.contains("CapEff:\t0000000000000000"), "{text}");
        assert!(text.contains("NoNewPrivs:\t1"), "{text}");
    }
}
