//! Running a command inside an instance, for someone who is root on the host.
//!
//! ```text
//! exec() ──▶ helper (re-exec, one thread) ──setns──▶ child inside: gives up what a guest's root never has, then execve
//! with a terminal:    the helper stays outside and copies bytes; a second process goes in and makes the terminal there
//! ```
//!
//! The command is held by the instance's limits and filter like everything else in it. Nothing of the host's goes in with it but its
//! standard descriptors; with a terminal not even those, because a guest that holds a terminal of the host can type on it.

use crate::confine;
use crate::error::{Context, SandboxError, chain};
use crate::pty;
use crate::state::Running;
use crate::sys::{self, Side, clone_process};
use crate::user_data::PATH;
use crate::wire;
use gp_linux::Cgroups;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{PidfdFlags, getppid, pidfd_open};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitStatus};

/// Exit status when the helper itself fails, as of docker exec and ssh's kin.
const HELPER_FAILED: i32 = 125;
/// Exit status when the command can't be executed, and when it isn't found (as of a shell).
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;
/// What is added to a signal's number when it ended the command (as of a shell).
const BY_SIGNAL: i32 = 128;

/// `PIPEFS_MAGIC` of linux/magic.h.
const PIPEFS_MAGIC: i64 = 0x5049_5045;

/// A login shell, whichever there is.
const SHELL: [&str; 3] = ["/bin/sh", "-c", "if command -v bash >/dev/null; then exec bash -l; else exec sh -l; fi"];

/// Signals that are passed on to the command.
const PASSED_ON: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// A command for an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRequest {
    /// Program and arguments; a login shell if empty.
    pub argv: Vec<String>,
    /// Environment on top of the usual (PATH, HOME, ...).
    pub env: Vec<(String, String)>,
    /// Whether to give it a terminal. Right when our own standard input is one.
    pub tty: bool,
}

/// What the helper is told.
#[derive(Debug, Serialize, Deserialize)]
struct HelperRequest {
    running: Running,
    request: ExecRequest,
}

/// Runs a command in the instance with our standard descriptors, and waits for it.
///
/// The status is the command's own; 128 + n when signal n ended it, 126 and 127 when it can't be executed or isn't found, 125 when the
/// instance can't be entered (the reason is then on standard error).
///
/// # Errors
/// When the instance does not run or the helper can't be started.
pub fn exec(running: &Running, request: &ExecRequest) -> Result<ExitStatus, SandboxError> {
    if !running.is_running() {
        return Err(SandboxError::NotRunning);
    }
    let mut request = request.clone();
    if request.tty && !request.env.iter().any(|(name, _)| name == "TERM") {
        let term = std::env::var("TERM").unwrap_or_else(|_| "xterm".into());
        request.env.push(("TERM".into(), term));
    }
    // A file without a name: the request is neither on a command line nor in an environment, where others could read it.
    let memory = memfd_create("gp-exec", MemfdFlags::CLOEXEC).context(|| "make a memory file".into())?;
    let mut file = File::from(memory);
    let helper_request = HelperRequest { running: running.clone(), request };
    serde_json::to_writer(&mut file, &helper_request).context(|| "write the request".into())?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let (program, args) = running.init.split_first().ok_or(SandboxError::NotRunning)?;
    // Restores the terminal when dropped, whatever happens in between.
    let raw_mode = if helper_request.request.tty { pty::RawMode::enter() } else { None };
    let status = Command::new(program).args(args).arg("exec").arg(path).env_clear().status();
    drop(raw_mode);
    status.context(|| format!("run {program}"))
}

/// The helper: `PROGRAM sandbox-init exec FILE`.
pub(crate) fn exec_main(request: &Path) -> i32 {
    match helper(request) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("groundplane exec: {}", chain(&error));
            HELPER_FAILED
        }
    }
}

fn helper(path: &Path) -> Result<i32, SandboxError> {
    let text = fs::read(path).context(|| "read the request".into())?;
    // SAFETY: `text` is read and its file closed; this process owns nothing else yet.
    unsafe { sys::close_from(3) };
    let HelperRequest { running, request } = serde_json::from_slice(&text).context(|| "decode the request".into())?;
    nix::sys::prctl::set_dumpable(false).context(|| "hide from debuggers".into())?;
    let caller = pidfd_open(getppid().ok_or(SandboxError::NotRunning)?, PidfdFlags::empty())
        .context(|| "watch the caller".into())?;
    let target = running.pidfd()?;
    sys::reset_limits();
    Cgroups::detect()?.join(&running.cgroup)?;
    let signals = take_signals()?;
    if request.tty {
        with_terminal(&target, &request, &caller, &signals)
    } else {
        give_pipes(running.uid_base);
        enter(&target)?;
        let child = spawn(&request, None)?;
        supervise(child, &caller, &signals)
    }
}

/// A process goes inside and makes the terminal; we stay outside, between that and our own.
fn with_terminal(
    target: &OwnedFd,
    request: &ExecRequest,
    caller: &OwnedFd,
    signals: &SignalFd,
) -> Result<i32, SandboxError> {
    let (ours, theirs) = UnixStream::pair().context(|| "make a socket pair".into())?;
    let helper = pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).context(|| "watch the helper".into())?;
    // SAFETY: the helper has one thread.
    match unsafe { clone_process(0) }.context(|| "fork".into())? {
        Side::Child => {
            drop(ours);
            let code = inside(target, request, &helper, theirs).unwrap_or_else(|error| {
                eprint!("groundplane exec: {}\r\n", chain(&error));
                HELPER_FAILED
            });
            sys::exit_now(code)
        }
        Side::Parent(pid) => {
            drop(theirs);
            let pid = Pid::from_raw(pid);
            match pty::receive_terminal(&ours) {
                Ok(terminal) => {
                    wire::send(&ours, &wire::Go).context(|| "let the command start".into())?;
                    pty::copy_until_end(&terminal, pid, caller, signals)
                }
                // It says itself why it has ended, unless what it sent was no terminal.
                Err(error) => {
                    drop(ours);
                    match waitpid(pid, None) {
                        Ok(WaitStatus::Exited(_, code)) if code != 0 => Ok(code),
                        _ => Err(error),
                    }
                }
            }
        }
    }
}

fn inside(target: &OwnedFd, request: &ExecRequest, helper: &OwnedFd, socket: UnixStream) -> Result<i32, SandboxError> {
    enter(target)?;
    // As root of the guest, so that a guest who plays tricks with /dev makes us open nothing that it could not open itself.
    sys::become_root().context(|| "become root of the instance".into())?;
    let master = pty::open_terminal()?;
    wire::send_fds(&socket, &[master.as_fd()]).context(|| "hand over the terminal".into())?;
    let wire::Go = wire::receive(&socket).map_err(|_| SandboxError::Guest("/dev/ptmx is not a terminal".into()))?;
    drop(socket);
    let slave = pty::open_other_end(&master)?;
    let child = spawn(request, Some(&slave))?;
    drop(slave);
    drop(master);
    supervise(child, helper, &take_signals()?)
}

/// Lets the guest open its standard pipes by name (`/dev/stderr`), which the kernel allows to their owner only. Pipes without a name
/// belong to this call alone; anything else is left as it is.
fn give_pipes(uid: u32) {
    for fd in 0..=2 {
        // SAFETY: descriptors 0 to 2 stay open for the life of the process.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        if rustix::fs::fstatfs(fd).is_ok_and(|facts| facts.f_type == PIPEFS_MAGIC) {
            let _ = nix::unistd::fchown(fd, Some(uid.into()), Some(uid.into()));
        }
    }
}

/// Goes into all namespaces of the instance at once. Children are then inside its pid namespace; we ourselves are not visible there.
fn enter(target: &OwnedFd) -> Result<(), SandboxError> {
    let all = nix::sched::CloneFlags::from_bits_truncate(sys::NAMESPACES);
    nix::sched::setns(target, all).context(|| "enter the instance".into())
}

fn spawn(request: &ExecRequest, terminal: Option<&OwnedFd>) -> Result<Pid, SandboxError> {
    // SAFETY: the helper, and what it forks, has one thread.
    match unsafe { clone_process(0) }.context(|| "fork".into())? {
        Side::Parent(pid) => Ok(Pid::from_raw(pid)),
        Side::Child => {
            let code = become_command(request, terminal).unwrap_or_else(|error| {
                eprintln!("groundplane exec: {}", chain(&error));
                HELPER_FAILED
            });
            sys::exit_now(code)
        }
    }
}

/// Turns this process into the command; comes back only with the status that says why it can't.
fn become_command(request: &ExecRequest, terminal: Option<&OwnedFd>) -> Result<i32, SandboxError> {
    nix::unistd::setsid().context(|| "start a session".into())?;
    if let Some(terminal) = terminal {
        pty::make_controlling(terminal).context(|| "take the terminal".into())?;
        sys::set_stdio(terminal, terminal).context(|| "use the terminal".into())?;
    }
    sys::become_root().context(|| "become root of the instance".into())?;
    confine::give_up_rights()?;
    // SAFETY: nothing that owns a descriptor from 3 on is used or dropped before execve or _exit.
    unsafe { sys::close_from(3) };
    sys::reset_signals();
    SigSet::empty().thread_set_mask().context(|| "unblock signals".into())?;
    // After the change of user, which would have cleared it.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context(|| "end with the helper".into())?;
    // A guest may have removed its root's home.
    let _ = std::env::set_current_dir("/root").or_else(|_| std::env::set_current_dir("/"));
    execute(request)
}

fn execute(request: &ExecRequest) -> Result<i32, SandboxError> {
    let base = [
        ("PATH", PATH),
        ("HOME", "/root"),
        ("USER", "root"),
        ("LOGNAME", "root"),
        ("SHELL", "/bin/sh"),
        ("LANG", "C.UTF-8"),
    ];
    let mut env: BTreeMap<&str, &str> = base.into_iter().collect();
    env.extend(request.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let words: Vec<&str> =
        if request.argv.is_empty() { SHELL.to_vec() } else { request.argv.iter().map(String::as_str).collect() };
    let no_zero =
        |text: String| CString::new(text).map_err(|_| SandboxError::Spec("a zero byte in the command".into()));
    let argv = words.iter().map(|word| no_zero((*word).to_owned())).collect::<Result<Vec<_>, _>>()?;
    let envp = env.iter().map(|(name, value)| no_zero(format!("{name}={value}"))).collect::<Result<Vec<_>, _>>()?;
    let program = words[0];
    let candidates: Vec<String> = if program.contains('/') {
        vec![program.to_owned()]
    } else {
        env.get("PATH").copied().unwrap_or(PATH).split(':').map(|dir| format!("{dir}/{program}")).collect()
    };
    let mut code = NOT_FOUND;
    let mut why = nix::errno::Errno::ENOENT;
    for path in candidates {
        let Err(error) = nix::unistd::execve(&no_zero(path)?, &argv, &envp);
        if !matches!(error, nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR) {
            (code, why) = (NOT_EXECUTABLE, error);
        }
    }
    let _ = writeln!(io::stderr(), "groundplane exec: {program}: {}", why.desc());
    Ok(code)
}

fn take_signals() -> Result<SignalFd, SandboxError> {
    let mut set = SigSet::empty();
    for signal in PASSED_ON.into_iter().chain([Signal::SIGCHLD, Signal::SIGWINCH]) {
        set.add(signal);
    }
    set.thread_block().context(|| "take signals".into())?;
    SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).context(|| "take signals".into())
}

/// Waits for the command, passes signals on to it, and ends it when `keeper` (whoever wants its result) has ended.
fn supervise(child: Pid, keeper: &OwnedFd, signals: &SignalFd) -> Result<i32, SandboxError> {
    loop {
        if let Some(code) = ended(child) {
            return Ok(code);
        }
        let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN), PollFd::new(keeper.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::NONE);
        if fds[1].any() == Some(true) {
            let _ = kill(child, Signal::SIGKILL);
            return Ok(BY_SIGNAL + Signal::SIGKILL as i32);
        }
        pass_on(signals, child);
    }
}

/// Sends what we were sent to the command's process group. True if the window has changed.
pub(crate) fn pass_on(signals: &SignalFd, child: Pid) -> bool {
    let mut is_resized = false;
    while let Ok(Some(info)) = signals.read_signal() {
        match Signal::try_from(info.ssi_signo as i32) {
            Ok(Signal::SIGWINCH) => is_resized = true,
            Ok(signal) if PASSED_ON.contains(&signal) => {
                // Before its setsid the group does not exist yet.
                let _ = killpg(child, signal).or_else(|_| kill(child, signal));
            }
            _ => {}
        }
    }
    is_resized
}

/// The command's status, if it has ended.
pub(crate) fn ended(child: Pid) -> Option<i32> {
    match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => Some(code),
        Ok(WaitStatus::Signaled(_, signal, _)) => Some(BY_SIGNAL + signal as i32),
        Err(nix::errno::Errno::ECHILD) => Some(HELPER_FAILED),
        _ => None,
    }
}

/// Our standard input and output, which nobody in this process owns.
pub(crate) fn stdio() -> (BorrowedFd<'static>, BorrowedFd<'static>) {
    // SAFETY: descriptors 0 and 1 stay open for the life of the process.
    unsafe { (BorrowedFd::borrow_raw(0), BorrowedFd::borrow_raw(1)) }
}
