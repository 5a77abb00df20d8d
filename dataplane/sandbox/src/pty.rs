//! Terminals: one made inside the guest, our own in raw mode, and the bytes between them.
//!
//! The guest owns its /dev, so what comes out of it is checked to be a terminal's master side before a byte goes in.

use crate::error::{Context, SandboxError};
use crate::exec::{ended, pass_on, stdio};
use crate::wire;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// `TIOCSPTLCK` and `TIOCGPTPEER` of asm-generic/ioctls.h.
const TIOCSPTLCK: libc::c_ulong = 0x4004_5431;
const TIOCGPTPEER: libc::c_ulong = 0x5441;

/// `DEVPTS_SUPER_MAGIC` of linux/magic.h.
const DEVPTS_MAGIC: i64 = 0x1cd1;

/// Number of the device behind /dev/ptmx (Documentation/admin-guide/devices.txt).
const PTMX: (u32, u32) = (5, 2);

/// Bytes copied at once.
const CHUNK: usize = 16 << 10;

/// End of file, as typed.
const END_OF_INPUT: u8 = 4;

/// Our terminal in raw mode, until dropped.
#[derive(Debug)]
pub(crate) struct RawMode {
    before: Termios,
}

impl RawMode {
    /// None if our standard input is no terminal.
    pub(crate) fn enter() -> Option<Self> {
        let (stdin, _) = stdio();
        if !isatty(stdin) {
            return None;
        }
        let before = tcgetattr(stdin).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin, OptionalActions::Now, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Nothing sensible is left to do if the terminal has gone.
        let _ = tcsetattr(stdio().0, OptionalActions::Drain, &self.before);
    }
}

/// Makes a terminal in the namespaces that we are in.
pub(crate) fn open_terminal() -> Result<OwnedFd, SandboxError> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let master = open("/dev/ptmx", flags, Mode::empty()).context(|| "open the instance's /dev/ptmx".into())?;
    let unlocked: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads one int; on anything but a terminal it fails.
    if unsafe { libc::ioctl(master.as_raw_fd(), TIOCSPTLCK, &raw const unlocked) } < 0 {
        return Err(io::Error::last_os_error()).context(|| "unlock the instance's terminal".into());
    }
    Ok(master)
}

/// The side for the command, without going by a name that the guest could have changed.
pub(crate) fn open_other_end(master: &OwnedFd) -> Result<OwnedFd, SandboxError> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes open flags and returns a fresh descriptor.
    let fd = unsafe { libc::ioctl(master.as_raw_fd(), TIOCGPTPEER, flags) };
    if fd < 0 {
        return Err(io::Error::last_os_error()).context(|| "open the instance's terminal".into());
    }
    // SAFETY: the descriptor is fresh and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes `terminal` the one that signals from its keyboard go by.
pub(crate) fn make_controlling(terminal: &OwnedFd) -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes a plain integer.
    if unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Takes the master side from the process inside, with the size of our own window.
pub(crate) fn receive_terminal(socket: &UnixStream) -> Result<OwnedFd, SandboxError> {
    let mut fds = wire::receive_fds(socket).context(|| "take over the terminal".into())?;
    let terminal = fds.pop().filter(is_terminal);
    let terminal = terminal.ok_or_else(|| SandboxError::Guest("the instance's /dev/ptmx is not a terminal".into()))?;
    copy_size(&terminal);
    Ok(terminal)
}

fn is_terminal(fd: &OwnedFd) -> bool {
    let is_on_devpts = rustix::fs::fstatfs(fd).is_ok_and(|facts| facts.f_type == DEVPTS_MAGIC);
    let is_ptmx = rustix::fs::fstat(fd)
        .is_ok_and(|facts| (rustix::fs::major(facts.st_rdev), rustix::fs::minor(facts.st_rdev)) == PTMX);
    is_on_devpts && is_ptmx
}

fn copy_size(terminal: &OwnedFd) {
    // Without a window of our own the guest's terminal keeps its default size.
    if let Ok(size) = tcgetwinsize(stdio().0) {
        let _ = tcsetwinsize(terminal, size);
    }
}

/// Copies both ways until the command has ended and all that it said is out.
pub(crate) fn copy_until_end(
    terminal: &OwnedFd,
    child: Pid,
    caller: &OwnedFd,
    signals: &SignalFd,
) -> Result<i32, SandboxError> {
    let (stdin, _) = stdio();
    let mut typed: Vec<u8> = Vec::new();
    let mut is_open = true;
    loop {
        if let Some(code) = ended(child) {
            while copy_output(terminal)? {}
            return Ok(code);
        }
        let want = if typed.is_empty() { PollFlags::POLLIN } else { PollFlags::POLLIN | PollFlags::POLLOUT };
        let mut fds = vec![
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(caller.as_fd(), PollFlags::POLLIN),
            PollFd::new(terminal.as_fd(), want),
        ];
        if is_open && typed.is_empty() {
            fds.push(PollFd::new(stdin, PollFlags::POLLIN));
        }
        let _ = poll(&mut fds, PollTimeout::NONE);
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        if ready[1] {
            // Our closing of the terminal hangs up on the command.
            return Ok(0);
        }
        if pass_on(signals, child) {
            copy_size(terminal);
        }
        if ready[2] && !copy_output(terminal)? {
            // The command's side is closed: only its end is left to wait for.
            wait_signal(signals);
        }
        if ready.get(3) == Some(&true) {
            is_open = read_typed(stdin, &mut typed);
        }
        write_typed(terminal, &mut typed);
    }
}

/// Copies what the guest says; false when there is nothing, now or ever.
fn copy_output(terminal: &OwnedFd) -> Result<bool, SandboxError> {
    let mut buffer = [0; CHUNK];
    let Ok(length @ 1..) = nix::unistd::read(terminal, &mut buffer) else { return Ok(false) };
    let mut rest = &buffer[..length];
    while !rest.is_empty() {
        match nix::unistd::write(stdio().1, rest) {
            Ok(written) => rest = &rest[written..],
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => {}
            Err(error) => return Err(error).context(|| "write to the terminal".into()),
        }
    }
    Ok(true)
}

fn read_typed(stdin: BorrowedFd<'_>, typed: &mut Vec<u8>) -> bool {
    let mut buffer = [0; CHUNK];
    match nix::unistd::read(stdin, &mut buffer) {
        Ok(length @ 1..) => {
            typed.extend(&buffer[..length]);
            true
        }
        Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => true,
        _ => {
            typed.push(END_OF_INPUT);
            false
        }
    }
}

fn write_typed(terminal: &OwnedFd, typed: &mut Vec<u8>) {
    if typed.is_empty() {
        return;
    }
    match nix::unistd::write(terminal, typed) {
        Ok(written) => drop(typed.drain(..written)),
        Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => {}
        // Nobody will read it any more.
        Err(_) => typed.clear(),
    }
}

/// Waits shortly for a signal, so that a closed terminal (which is always "ready") does not keep us spinning.
fn wait_signal(signals: &SignalFd) {
    let _ = poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], 20_u16);
}
