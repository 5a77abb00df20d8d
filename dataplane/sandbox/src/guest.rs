//! The first process of an instance, from its birth to the moment when it becomes init.
//!
//! It comes to life with the host's view of files and no rights on the host, takes the mounts it is handed, makes its root of them, gives
//! up what a guest never needs, and reports. Nothing of the guest's has run until it is told to go on.

use crate::confine;
use crate::console::Console;
use crate::error::{Context, SandboxError, chain};
use crate::init;
use crate::rootfs;
use crate::sys;
use crate::wire::{Go, Progress, StartRequest, receive, receive_fds, send};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;

pub(crate) fn guest_main(starter: UnixStream, mut console: Console, request: &StartRequest) -> ! {
    match prepare(&starter, &mut console, request) {
        Ok(output) => {
            let is_told = send(&starter, &Progress::Ready).is_ok() && receive::<Go>(&starter).is_ok();
            drop(starter);
            if !is_told {
                // The agent has given up or died: end before anything has begun.
                sys::exit_now(1);
            }
            init::run(console, output, request)
        }
        Err(error) => {
            let why = chain(&error);
            console.line(&format!("{} can't boot: {why}", request.spec.instance_id));
            let _ = send(&starter, &Progress::Failed(why));
            sys::exit_now(1)
        }
    }
}

/// Returns the reading end of what the guest says.
fn prepare(starter: &UnixStream, console: &mut Console, request: &StartRequest) -> Result<File, SandboxError> {
    let trees = receive_fds(starter).context(|| "take over the file systems".into())?;
    sys::become_root().context(|| "become root of the instance".into())?;
    // The memory of this process is the host's binary, and it holds the console: no guest may look into it.
    nix::sys::prctl::set_dumpable(false).context(|| "hide from debuggers".into())?;
    rootfs::enter(trees, request, console)?;
    nix::unistd::sethostname(&request.spec.hostname).context(|| "set the host name".into())?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").context(|| "open /dev/null".into())?;
    // Also lets go of the socket to the agent, which was our standard input.
    sys::set_stdio(&null, &null).context(|| "let go of the standard descriptors".into())?;
    // Read and write, so that it never reports an end when the last writer closes.
    let output = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(rootfs::CONSOLE)
        .context(|| "open the console's pipe".into())?;
    confine::give_up_rights()?;
    Ok(output)
}
