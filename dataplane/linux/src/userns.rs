//! A user namespace held by a descriptor alone, to map ids on a mount.
//!
//! The kernel makes one only together with a process. The process here is a bare child that does nothing but wait for its end, so this
//! is safe in a program with threads; it is gone when the constructor returns.

use crate::error::{Context, LinuxError};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Ids in the map: the whole of a 16-bit id space.
pub(crate) const ID_MAP_LEN: u32 = 65_536;

/// A user namespace in which id 0 is `first_id` of ours.
#[derive(Debug)]
pub(crate) struct UserNs {
    fd: OwnedFd,
}

impl UserNs {
    /// Makes a namespace that maps ids 0..65536 to `first_id`...
    ///
    /// # Errors
    /// When user namespaces are off, or the caller may not map those ids.
    pub(crate) fn new(first_id: u32) -> Result<Self, LinuxError> {
        let child = clone_waiting().context(|| "make a user namespace".into())?;
        let result = Self::map(child, first_id);
        // SAFETY: the child is ours, not yet waited for, so its pid can't have been reused.
        unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
        result
    }

    fn map(child: libc::pid_t, first_id: u32) -> Result<Self, LinuxError> {
        let map = format!("0 {first_id} {ID_MAP_LEN}\n");
        for file in ["uid_map", "gid_map"] {
            fs::write(format!("/proc/{child}/{file}"), &map)
                .context(|| format!("write the {file} of a user namespace"))?;
        }
        let fd = File::open(format!("/proc/{child}/ns/user")).context(|| "open a user namespace".into())?;
        Ok(Self { fd: fd.into() })
    }
}

impl AsFd for UserNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Clones a child in a new user namespace that sleeps until it is killed, or until its parent's thread dies.
fn clone_waiting() -> io::Result<libc::pid_t> {
    let flags = libc::CLONE_NEWUSER | libc::SIGCHLD;
    // SAFETY: a plain fork-like clone without a new stack. The child makes only system calls that need no memory but its own stack,
    // which is the rule for a child of a program with threads.
    unsafe {
        let pid = libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0);
        if pid == 0 {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            loop {
                libc::pause();
            }
        }
        if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid as libc::pid_t) }
    }
}
