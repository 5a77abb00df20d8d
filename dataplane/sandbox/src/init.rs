//! Process 1 of an instance: runs user-data, keeps the console, reaps orphans, and ends everything when told to.
//!
//! It is the host's binary with the guest's rights, cannot be looked into by the guest, and does nothing but wait.

use crate::console::Console;
use crate::rootfs::CONSOLE;
use crate::sys;
use crate::user_data;
use crate::wire::StartRequest;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Everyone but ourselves, for kill(2).
const EVERYONE: Pid = Pid::from_raw(-1);

/// Bytes that a pipe holds (pipe(7)), and how many are copied at once.
const PIPE_BYTES: usize = 64 << 10;
const CHUNK: usize = 16 << 10;

struct Init {
    console: Console,
    /// What the guest says, by the pipe that is /dev/console.
    output: File,
    signals: SignalFd,
    /// The user-data script while it runs.
    script: Option<Pid>,
    is_stopping: bool,
}

pub(crate) fn run(mut console: Console, output: File, request: &StartRequest) -> ! {
    let _ = nix::sys::prctl::set_name(c"init");
    let Ok(signals) = take_signals() else {
        console.line("init can't take signals");
        sys::exit_now(1);
    };
    let boot = if request.is_first_boot { "first boot" } else { "boot" };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    console.line(&format!("{} {boot} as {} at {now}", request.spec.instance_id, request.spec.hostname));
    let mut init = Init { console, output, signals, script: None, is_stopping: false };
    match user_data::start(&request.spec, Path::new(CONSOLE)) {
        Ok(pid) => init.script = pid.and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw),
        Err(why) => init.console.line(&why),
    }
    // From here on there is little to do, mostly nothing, and that for as long as the instance runs.
    sys::forget_own_code();
    loop {
        init.wait();
        init.copy_output();
        init.take_signal();
        init.reap();
    }
}

/// Signals come as messages, never as interruptions. Blocked ones also reach a process 1, which is spared unhandled ones otherwise.
fn take_signals() -> nix::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGPWR] {
        set.add(signal);
    }
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
}

impl Init {
    fn wait(&self) {
        let mut fds =
            [PollFd::new(self.output.as_fd(), PollFlags::POLLIN), PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        // An interruption is as good as an event: everything below copes with having nothing to do.
        let _ = poll(&mut fds, PollTimeout::NONE);
    }

    /// Copies at most what a pipe holds, so that a guest that never stops talking can't keep us from listening to signals.
    fn copy_output(&mut self) {
        let mut buffer = [0; CHUNK];
        for _ in 0..PIPE_BYTES / CHUNK {
            match self.output.read(&mut buffer) {
                Ok(length @ 1..) => self.console.write(&buffer[..length]),
                _ => return,
            }
        }
    }

    fn take_signal(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            if info.ssi_signo != Signal::SIGCHLD as u32 && !self.is_stopping {
                self.is_stopping = true;
                self.console.line("stopping");
                // A stopped process minds nothing before SIGCONT.
                for signal in [Signal::SIGTERM, Signal::SIGCONT] {
                    let _ = kill(EVERYONE, signal);
                }
            }
        }
    }

    fn reap(&mut self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return,
                Ok(status) => self.report(status),
                Err(Errno::EINTR) => {}
                Err(_) if self.is_stopping => {
                    self.copy_output();
                    self.console.line("stopped");
                    sys::exit_now(0)
                }
                Err(_) => return,
            }
        }
    }

    fn report(&mut self, status: WaitStatus) {
        if status.pid() != self.script || self.script.is_none() {
            return;
        }
        self.script = None;
        // Its last words come before the notice of its end.
        self.copy_output();
        match status {
            WaitStatus::Exited(_, 0) => self.console.line("user-data finished"),
            WaitStatus::Exited(_, code) => self.console.line(&format!("user-data failed with status {code}")),
            WaitStatus::Signaled(_, signal, _) => self.console.line(&format!("user-data was ended by {signal}")),
            _ => {}
        }
    }
}
