//! Starting and stopping, as the agent sees it.
//!
//! Nothing here forks: the starter is our own binary run again, with a socket for its standard input. If this process dies at any moment
//! before the instance is told to go on, the sockets close and starter and init end by themselves; after that the record on
//! disk names the instance.

use crate::disk::{Disk, ensure_disk, remove_disk};
use crate::error::{Context, SandboxError};
use crate::layers;
use crate::mask::hidden_paths;
use crate::spec::SandboxSpec;
use crate::state::{Running, adopt};
use crate::wire::{Go, Progress, StartRequest, receive, send, send_fds};
use gp_linux::{Cgroups, NetNs, ProcessId, wait_end};
use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use std::error::Error;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long any one step of a start may take before we give up.
const STEP_PATIENCE: Duration = Duration::from_secs(30);

/// How long the kernel may take to end a killed instance.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// Directories that belong to some Groundplane on this host, whichever started this instance.
const GROUNDPLANE_DIRS: [&str; 2] = ["/var/lib/groundplane", "/run/groundplane"];

/// Boots an instance. `configure_network` is called when its network namespace exists and before any of its own code runs.
///
/// # Errors
/// When the specification or the host won't do, or the closure fails. Then no process, mount or control group is left behind; the disk is.
pub fn start(
    spec: &SandboxSpec,
    configure_network: impl FnOnce(&NetNs) -> Result<(), Box<dyn Error + Send + Sync>>,
) -> Result<Running, SandboxError> {
    spec.check()?;
    if adopt(&spec.state_dir).is_some() {
        return Err(SandboxError::Spec(format!("{} is running already", spec.instance_id)));
    }
    ensure_private_dir(&spec.state_dir)?;
    if let Some(parent) = spec.console.parent() {
        ensure_private_dir(parent)?;
    }
    let disk = ensure_disk(&spec.disk_dir)?;
    let cgroups = Cgroups::detect()?;
    let result = cgroups
        .ensure(&spec.cgroup, &spec.limits())
        .map_err(SandboxError::from)
        .and_then(|()| boot(spec, disk, configure_network));
    if result.is_err() {
        // The first error is the one to tell; what can't be removed now is removed by the next stop.
        let _ = cgroups.remove(&spec.cgroup);
    }
    result
}

fn boot(
    spec: &SandboxSpec,
    disk: Disk,
    configure_network: impl FnOnce(&NetNs) -> Result<(), Box<dyn Error + Send + Sync>>,
) -> Result<Running, SandboxError> {
    let (mut starter, stream) = spawn_starter(spec)?;
    let result = converse(spec, disk, &stream, configure_network);
    // Closing the socket is what tells a starter that is still there to give up.
    drop(stream);
    starter.wait().context(|| "wait for the starter".into())?;
    result
}

fn spawn_starter(spec: &SandboxSpec) -> Result<(Child, UnixStream), SandboxError> {
    let (stream, theirs) = UnixStream::pair().context(|| "make a socket pair".into())?;
    stream.set_read_timeout(Some(STEP_PATIENCE)).context(|| "set a time limit".into())?;
    let (program, args) =
        spec.init.split_first().ok_or_else(|| SandboxError::Spec("the init command is empty".into()))?;
    let starter = Command::new(program)
        .args(args)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .env_clear()
        .current_dir("/")
        .spawn()
        .context(|| format!("run {program}"))?;
    Ok((starter, stream))
}

fn converse(
    spec: &SandboxSpec,
    disk: Disk,
    stream: &UnixStream,
    configure_network: impl FnOnce(&NetNs) -> Result<(), Box<dyn Error + Send + Sync>>,
) -> Result<Running, SandboxError> {
    let own = spec.masked_paths.iter().map(|path| path.as_path());
    let own = own.chain([spec.disk_dir.as_path(), spec.state_dir.as_path(), spec.console.as_path()]);
    let own: Vec<&Path> = own.chain(GROUNDPLANE_DIRS.map(Path::new)).collect();
    let ask =
        |_: io::Error| SandboxError::Guest("the starter ended without a word (is the init command right?)".into());
    let hidden = hidden_paths(&own);
    match layers::shared(&hidden)? {
        Some(layers) => {
            send(stream, &StartRequest::new(spec, disk, true, Vec::new())).map_err(ask)?;
            send_fds(stream, &[layers.as_fd()]).map_err(ask)?;
        }
        None => send(stream, &StartRequest::new(spec, disk, false, hidden)).map_err(ask)?,
    }
    let pid = match receive(stream).map_err(ask)? {
        Progress::Created { pid } => pid,
        other => return Err(unexpected(other)),
    };
    let running = Running {
        process: ProcessId::of(pid).ok_or(SandboxError::NotRunning)?,
        uid_base: disk.uid_base,
        cgroup: spec.cgroup.clone(),
        state_dir: spec.state_dir.clone(),
        init: spec.init.clone(),
    };
    configure_network(&running.netns()?).map_err(SandboxError::Network)?;
    running.save()?;
    let started = (|| {
        send(stream, &Go).map_err(ask)?;
        match receive(stream).map_err(ask)? {
            Progress::Started => Ok(()),
            other => Err(unexpected(other)),
        }
    })();
    match started {
        Ok(()) => Ok(running),
        Err(error) => {
            running.forget();
            Err(error)
        }
    }
}

fn unexpected(progress: Progress) -> SandboxError {
    match progress {
        Progress::Failed(why) => SandboxError::Guest(why),
        other => SandboxError::Guest(format!("the starter says {other:?} out of turn")),
    }
}

/// Ends an instance: asks, and after `grace` kills. Its control group and its record go too. Stopping what has stopped is fine.
///
/// # Errors
/// When the kernel does not end its processes or let go of its control group.
pub fn stop(running: &Running, grace: Duration) -> Result<(), SandboxError> {
    if let Ok(pidfd) = running.pidfd() {
        signal(&pidfd, Signal::TERM)?;
        if !wait_end(&pidfd, grace)? {
            signal(&pidfd, Signal::KILL)?;
            if !wait_end(&pidfd, KILL_PATIENCE)? {
                return Err(SandboxError::Guest(format!("process {} does not end when killed", running.process.pid)));
            }
        }
        // Its parent is the host's init. In a container that may be ourselves, and then nobody else would bury it.
        let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
    Cgroups::detect()?.remove(&running.cgroup)?;
    running.forget();
    Ok(())
}

/// Starts and ends an instance that does nothing, below `scratch`: whether this host can run instances, and how long both take.
///
/// # Errors
/// As for [`start`] and [`stop`]. Nothing is left behind.
pub fn probe(scratch: &Path, init: Vec<String>) -> Result<Duration, SandboxError> {
    let id = format!("probe-{}", std::process::id());
    let dir = scratch.join(&id);
    let mut spec = SandboxSpec::new(&id, &dir.join("run"), &dir.join("disks").join(&id));
    spec.cgroup = format!("groundplane-{id}");
    spec.init = init;
    let before = Instant::now();
    let result = start(&spec, |_| Ok(())).and_then(|running| stop(&running, KILL_PATIENCE));
    let took = before.elapsed();
    let removed = remove_disk(&spec.disk_dir)
        .and_then(|_| fs::remove_dir_all(&dir).context(|| format!("remove {}", dir.display())));
    result.and(removed).map(|()| took)
}

fn signal(pidfd: &OwnedFd, signal: Signal) -> Result<(), SandboxError> {
    match pidfd_send_signal(pidfd, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error).context(|| "signal the instance's init".into()),
    }
}

fn ensure_private_dir(dir: &Path) -> Result<(), SandboxError> {
    match DirBuilder::new().recursive(true).mode(0o700).create(dir) {
        Err(error) if !fs::metadata(dir).is_ok_and(|facts| facts.is_dir()) => {
            Err(error).context(|| format!("create {}", dir.display()))
        }
        _ => Ok(()),
    }
}
