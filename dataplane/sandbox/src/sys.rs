//! System calls that no crate of ours wraps, and small helpers around them.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// All the namespaces of an instance.
pub(crate) const NAMESPACES: libc::c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP;

/// Which side of a clone we are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that called; the child's pid.
    Parent(i32),
    /// The new process.
    Child,
}

/// Forks into fresh namespaces (`flags`), or plainly (0).
///
/// # Safety
/// The caller has one thread only: a lock held by another would stay locked in the child for ever.
pub(crate) unsafe fn clone_process(flags: libc::c_int) -> io::Result<Side> {
    // SAFETY: without a stack of its own the child continues on a copy of ours, as after fork(2); the caller has no other thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) };
    match pid {
        0 => Ok(Side::Child),
        pid if pid > 0 => Ok(Side::Parent(pid as i32)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Closes every descriptor from `first` on.
///
/// # Safety
/// No owner of such a descriptor may be used or dropped afterwards.
pub(crate) unsafe fn close_from(first: u32) {
    // SAFETY: the caller vouches for the owners. The call can't fail with these arguments on a kernel that has it (5.9).
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

/// Ends the process at once, without running anything that the parent's copy would run too.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit never returns and touches no memory of ours.
    unsafe { libc::_exit(code) }
}

/// Takes the end of a socket or a file that our parent left us at a fixed number.
///
/// # Safety
/// Nobody else in this process owns descriptor `fd`.
pub(crate) unsafe fn take_fd(fd: i32) -> OwnedFd {
    // SAFETY: the caller vouches for it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Becomes root of the user namespace that we are in, with no other groups.
///
/// The capabilities in that namespace stay; those of the host were lost on entering it.
pub(crate) fn become_root() -> nix::Result<()> {
    use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
    setgroups(&[])?;
    setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0))?;
    setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0))
}

/// Signals as a login finds them. Whoever starts Groundplane by nohup, or in a script behind an `&`, ignores some, and Rust
/// ignores SIGPIPE; a program goes on ignoring what was ignored when it was executed, and no shell can trap that.
pub(crate) fn reset_signals() {
    for number in 1..=libc::SIGRTMAX() {
        // SAFETY: no handler is set, only the default. What has no other is refused, which says nothing.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
}

/// Limits that a guest starts with, whatever the agent itself was given. To be called while still root of the host.
pub(crate) fn reset_limits() {
    let set = |resource, soft: libc::rlim_t, hard: libc::rlim_t| {
        let mut inherited = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: both calls read or write one struct that lives across them. A refusal leaves the inherited limit: no harm.
        unsafe {
            libc::getrlimit(resource, &raw mut inherited);
            let wanted = libc::rlimit { rlim_cur: soft, rlim_max: hard };
            // Where even root may not raise a limit (a container without CAP_SYS_RESOURCE), what there is must do.
            if libc::setrlimit(resource, &raw const wanted) < 0 {
                let max = inherited.rlim_max.min(hard);
                let possible = libc::rlimit { rlim_cur: soft.min(max), rlim_max: max };
                libc::setrlimit(resource, &raw const possible);
            }
        }
    };
    set(libc::RLIMIT_NOFILE, 1024, 524_288);
    set(libc::RLIMIT_CORE, 0, libc::RLIM_INFINITY);
    // Processes are bounded by the control group; a count per user id would be shared with nobody anyway.
    set(libc::RLIMIT_NPROC, libc::RLIM_INFINITY, libc::RLIM_INFINITY);
    // An agent that is protected from the OOM killer, or goes before others at the processor, must not pass that on.
    let _ = std::fs::write("/proc/self/oom_score_adj", "0");
    let ordinary = libc::sched_param { sched_priority: 0 };
    // SAFETY: sched_setscheduler reads one struct that lives across the call; setpriority takes integers.
    unsafe {
        libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const ordinary);
        libc::setpriority(libc::PRIO_PROCESS, 0, 0);
    }
}

unsafe extern "C" {
    /// Where the program's image begins, and where its code ends (end(3) and the linkers' manuals).
    static __executable_start: u8;
    static etext: u8;
}

/// Lets go of the pages of the program itself, and with them of the kernel's tables that say where each is (Linux 6.14 and
/// up): a process that only waits needs few of either. What is needed again comes back from the file.
pub(crate) fn forget_own_code() {
    // SAFETY: getting a page's size touches no memory of ours.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let (start, end) = (&raw const __executable_start as usize, &raw const etext as usize);
    let start = start.next_multiple_of(page);
    let Some(bytes) = (end - end % page).checked_sub(start).filter(|bytes| *bytes > 0) else { return };
    // SAFETY: between the two symbols lie headers, constants and code, which no one writes and no relocation changes: what
    // is read back is what was there. A refusal does no harm.
    unsafe { libc::madvise(start as *mut libc::c_void, bytes, libc::MADV_DONTNEED) };
}

/// Points descriptors 0, 1 and 2 at the given ones.
pub(crate) fn set_stdio(stdin: &impl AsRawFd, stdout: &impl AsRawFd) -> io::Result<()> {
    for (from, to) in [(stdin.as_raw_fd(), 0), (stdout.as_raw_fd(), 1), (stdout.as_raw_fd(), 2)] {
        // SAFETY: dup2 of open descriptors; 0, 1 and 2 have no owner in this process.
        if unsafe { libc::dup2(from, to) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
