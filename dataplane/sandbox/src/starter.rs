//! The starter: one thread, root of the host, alive for some milliseconds. It makes the namespaces and hands the guest its files.
//!
//! It is the only code that holds the host's rights and the guest's namespaces at once, so it does little: it writes the id maps, clones
//! two mounts, passes them over and waits. All mounting is done by the guest's init with the guest's own rights; the kernel then treats
//! every file system that it mounts as one that a user brought: no device on it can be opened.

use crate::console::Console;
use crate::disk::UID_COUNT;
use crate::error::{Context, SandboxError, chain};
use crate::spec::INIT_SUBCOMMAND;
use crate::sys::{self, Side, clone_process};
use crate::wire::{Go, Progress, StartRequest, receive, receive_fds, send, send_fds};
use crate::{exec, guest};
use gp_linux::{Cgroups, mount};
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Package databases. They lie in /var, which is hidden, but package managers are of no use without; the first one found is shown.
pub(crate) const PACKAGE_DATABASES: [&str; 3] = ["var/lib/dpkg", "var/lib/rpm", "var/lib/pacman"];

/// The hidden subcommand: `PROGRAM sandbox-init` starts an instance for its parent, `PROGRAM sandbox-init exec FILE` enters one.
///
/// To be called before the program has any other thread.
pub fn sandbox_init_main() -> ! {
    let mut words = std::env::args().skip_while(|word| word != INIT_SUBCOMMAND).skip(1);
    let code = match (words.next().as_deref(), words.next()) {
        (None, _) => start_main(),
        (Some("exec"), Some(file)) => exec::exec_main(Path::new(&file)),
        _ => {
            eprintln!("{INIT_SUBCOMMAND} is not for users");
            2
        }
    };
    sys::exit_now(code)
}

fn start_main() -> i32 {
    // SAFETY: this process is fresh and owns nothing but the three standard descriptors.
    unsafe { sys::close_from(3) };
    // SAFETY: our parent left us a socket for standard input, and nothing else here uses that.
    let agent = UnixStream::from(unsafe { sys::take_fd(0) });
    match start(&agent) {
        Ok(()) => 0,
        Err(error) => {
            // If the agent is gone there is nobody to tell.
            let _ = send(&agent, &Progress::Failed(chain(&error)));
            1
        }
    }
}

fn start(agent: &UnixStream) -> Result<(), SandboxError> {
    let request: StartRequest = receive(agent).context(|| "read the request".into())?;
    let layers = match request.has_layers {
        true => receive_fds(agent).context(|| "take over the layers".into())?.pop(),
        false => None,
    };
    nix::unistd::setsid().context(|| "leave the agent's session".into())?;
    nix::sys::prctl::set_dumpable(false).context(|| "hide from debuggers".into())?;
    sys::reset_limits();
    // The cgroup namespace will start here, so the group is joined before the clone.
    Cgroups::detect()?.join(&request.spec.cgroup)?;
    let console = Console::open(&request.spec.console)
        .context(|| format!("open the console {}", request.spec.console.display()))?;
    let (ours, theirs) = UnixStream::pair().context(|| "make a socket pair".into())?;
    // SAFETY: the starter has one thread.
    match unsafe { clone_process(sys::NAMESPACES) }.context(|| "make the namespaces".into())? {
        Side::Child => {
            drop(ours);
            drop(layers);
            guest::guest_main(theirs, console, &request)
        }
        Side::Parent(pid) => {
            drop(theirs);
            drop(console);
            let result = bring_up(agent, &ours, pid, &request, layers.as_ref());
            if result.is_err() {
                // SAFETY: the child is ours and not waited for, so the pid is its own.
                unsafe {
                    libc::kill(pid, libc::SIGKILL);
                    libc::waitpid(pid, std::ptr::null_mut(), 0);
                }
            }
            result
        }
    }
}

fn bring_up(
    agent: &UnixStream,
    init: &UnixStream,
    pid: i32,
    request: &StartRequest,
    layers: Option<&OwnedFd>,
) -> Result<(), SandboxError> {
    let map = format!("0 {} {UID_COUNT}\n", request.uid_base);
    for file in ["uid_map", "gid_map"] {
        fs::write(format!("/proc/{pid}/{file}"), &map).context(|| format!("write the {file} of the instance"))?;
    }
    // From here the agent sets up the network while we and init set up the files.
    send(agent, &Progress::Created { pid }).context(|| "answer the agent".into())?;
    let trees = clone_trees(pid, request, layers)?;
    let fds: Vec<_> = trees.iter().map(AsFd::as_fd).collect();
    send_fds(init, &fds).context(|| "hand over the file systems".into())?;
    drop(trees);
    match receive(init).map_err(|_| SandboxError::Guest("the instance's init ended while it was setting up".into()))? {
        Progress::Ready => {}
        Progress::Failed(why) => return Err(SandboxError::Guest(why)),
        other => return Err(SandboxError::Guest(format!("init says {other:?} out of turn"))),
    }
    let Go = receive(agent).context(|| "wait for the agent".into())?;
    send(init, &Go).context(|| "let init go on".into())?;
    // The instance runs and has its record: an agent that was killed meanwhile finds it again by that.
    let _ = send(agent, &Progress::Started);
    Ok(())
}

/// The lower layer, the disk, the shared layers and the package database, if there are any. None is attached anywhere: they are
/// the guest's alone.
fn clone_trees(pid: i32, request: &StartRequest, layers: Option<&OwnedFd>) -> Result<Vec<OwnedFd>, SandboxError> {
    let userns = File::open(format!("/proc/{pid}/ns/user")).context(|| "open the instance's user namespace".into())?;
    let mapped = |path: &Path| mount::clone_mapped(path, userns.as_fd());
    let mut trees = vec![mapped(Path::new("/"))?, mount::clone_tree(&request.spec.disk_dir)?];
    if let Some(layers) = layers {
        trees.push(mount::clone_detached_mapped(layers.as_fd(), userns.as_fd())?);
    }
    if let Some(packages) = package_database() {
        trees.push(mapped(&Path::new("/").join(packages))?);
    }
    Ok(trees)
}

/// Where this host keeps its package database, below `/`.
pub(crate) fn package_database() -> Option<&'static str> {
    PACKAGE_DATABASES.into_iter().find(|path| Path::new("/").join(path).is_dir())
}
