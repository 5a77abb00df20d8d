//! Instructions that a piece of work executes, counted by stepping through it one by one (ptrace(2)): exact, the same on a
//! busy machine, and in a virtual machine without counters.
//!
//! ```text
//! counting thread                   its copy, by fork(2)
//!   continue ────────────────────▶  PTRACE_TRACEME, SIGSTOP
//!   step, step, step ────────────▶  work
//!   kill ◀────────────────────────  SIGSTOP
//! ```

use std::io;

/// Counts the instructions of `work`, which runs in a copy of this process: nothing that it changes is seen here. It must
/// not wait for other threads; the copy has none. A hundred or so are the count's own.
///
/// # Errors
/// When the copy can't be made or traced, or ends before its work is done.
pub fn count(work: impl FnOnce()) -> io::Result<u64> {
    // SAFETY: the copy does nothing but this work and ends without a word. The C library makes its allocator fit for use
    // in it, whatever other threads were doing.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: no address is passed.
            if unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) } == 0 {
                mark();
                work();
                mark();
            }
            // SAFETY: ends the copy; nothing of the original's is flushed or dropped.
            unsafe { libc::_exit(1) }
        }
        pid => {
            let counted = count_steps(pid);
            // SAFETY: the copy is ours and has not been waited for, or not to its end.
            unsafe {
                libc::kill(pid, libc::SIGKILL);
                libc::waitpid(pid, std::ptr::null_mut(), 0);
            }
            counted
        }
    }
}

/// Start and end of the work.
fn mark() {
    // SAFETY: raising a signal touches no memory of ours.
    unsafe { libc::raise(libc::SIGSTOP) };
}

fn count_steps(pid: libc::pid_t) -> io::Result<u64> {
    while wait(pid)? != libc::SIGSTOP {
        resume(libc::PTRACE_CONT, pid)?;
    }
    let mut steps = 0;
    resume(libc::PTRACE_SINGLESTEP, pid)?;
    while wait(pid)? != libc::SIGSTOP {
        steps += 1;
        resume(libc::PTRACE_SINGLESTEP, pid)?;
    }
    Ok(steps)
}

/// Waits until the copy stops, and says by which signal.
fn wait(pid: libc::pid_t) -> io::Result<i32> {
    let mut status = 0;
    // SAFETY: the kernel writes one integer.
    if unsafe { libc::waitpid(pid, &raw mut status, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    if libc::WIFSTOPPED(status) {
        Ok(libc::WSTOPSIG(status))
    } else {
        Err(io::Error::other("the copy could not be traced, or ended before its work was done"))
    }
}

fn resume(how: libc::c_uint, pid: libc::pid_t) -> io::Result<()> {
    // SAFETY: the copy is ours and stopped; no address is passed.
    match unsafe { libc::ptrace(how, pid, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
