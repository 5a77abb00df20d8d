//! Starting a machine.

use crate::accel::Accel;
use crate::confine::{self, Confinement, uid_of};
use crate::error::{Context, VmError};
use crate::image::GuestImage;
use crate::nic::{self, Nic};
use crate::qemu::{Machine, TRANSLATION_MIB};
use crate::qmp::{self, Qmp};
use crate::running::{Running, adopt};
use crate::spec::VmSpec;
use crate::{console, disk, initramfs};
use gp_linux::{CgroupLimits, Cgroups, ProcessId};
use rustix::fs::{MemfdFlags, memfd_create};
use serde_json::json;
use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::{Child, Stdio};

/// What QEMU itself needs beside the guest's memory, in MiB.
const OVERHEAD_MIB: u64 = 192;
/// Threads of QEMU: one per processor, and workers of its disk.
const THREADS: u32 = 128;
/// What QEMU says when it can't go on.
const LOG: &str = "qemu.log";
/// What of it is told.
const TOLD_BYTES: usize = 500;

/// Boots a machine with its interfaces. When this returns its processors run; the guest's system needs some seconds more.
///
/// # Errors
/// The specification or the host won't do. Then no process and no control group is left behind; the disk is.
pub fn start(spec: &VmSpec, image: &GuestImage, accel: &Accel, nics: &[Nic]) -> Result<Running, VmError> {
    spec.check()?;
    if adopt(&spec.state_dir).is_some() {
        return Err(VmError::Spec(format!("{} is running already", spec.instance_id)));
    }
    for dir in [&spec.state_dir, &spec.state_dir.join("dev")] {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).context(|| format!("create {}", dir.display()))?;
    }
    let cgroups = Cgroups::detect()?;
    let memory_mib = spec.memory_mib + OVERHEAD_MIB + TRANSLATION_MIB;
    let limits = CgroupLimits { memory_bytes: memory_mib << 20, cpus: spec.cpus, pids_max: THREADS };
    cgroups.ensure(&spec.cgroup, &limits)?;
    let result = launch(spec, image, accel).and_then(|(mut child, running)| {
        settle(&cgroups, &running, nics).inspect_err(|_| {
            let _ = child.kill();
            let _ = child.wait();
            running.forget();
        })?;
        Ok(running)
    });
    if result.is_err() {
        // The first error is the one to tell; what can't be removed now is removed by the next stop.
        let _ = cgroups.remove(&spec.cgroup);
    }
    result
}

fn launch(spec: &VmSpec, image: &GuestImage, accel: &Accel) -> Result<(Child, Running), VmError> {
    let fds: [OwnedFd; 4] = [
        initrd(&initramfs::build(image, spec)?)?,
        console::open(&spec.console)?.into(),
        qmp::listen(&spec.state_dir)?.into(),
        disk::ensure_disk(&spec.disk_dir, spec.disk_bytes)?.into(),
    ];
    let machine = Machine {
        name: &spec.instance_id,
        accel,
        memory_mib: spec.memory_mib,
        cpus: spec.cpus,
        ports: spec.ports,
        kernel: &image.kernel,
        initrd: fds[0].as_fd(),
        console: fds[1].as_fd(),
        control: Some(fds[2].as_fd()),
        disk: Some(fds[3].as_fd()),
        kernel_words: "",
        paused: true,
    };
    let log_path = spec.state_dir.join(LOG);
    let log = File::create(&log_path).context(|| format!("create {}", log_path.display()))?;
    let mut command = machine.command();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let dev = spec.state_dir.join("dev");
    let confinement = Confinement {
        uid: uid_of(&spec.instance_id),
        fds: &fds,
        kvm_dir: matches!(accel, Accel::Kvm).then_some(dev.as_path()),
        // The disk's size; the console has its own, far smaller bound for as long as somebody looks after it.
        file_bytes_max: spec.disk_bytes,
    };
    let mut child = confine::spawn(&mut command, &confinement).map_err(missing_program)?;
    match record(spec, accel, &child) {
        Ok(running) => Ok((child, running)),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

/// A program that isn't there is a matter of installing it, and not of this machine.
fn missing_program(error: VmError) -> VmError {
    match error {
        VmError::Os { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            crate::qemu::qemu_version().err().unwrap_or(VmError::NotRunning)
        }
        other => other,
    }
}

fn record(spec: &VmSpec, accel: &Accel, child: &Child) -> Result<Running, VmError> {
    let pid = i32::try_from(child.id()).map_err(|_| VmError::NotRunning)?;
    let running = Running {
        process: ProcessId::of(pid).ok_or_else(|| VmError::Qemu(ended(&spec.state_dir)))?,
        cgroup: spec.cgroup.clone(),
        state_dir: spec.state_dir.clone(),
        console: spec.console.clone(),
        emulated_because: accel.reason().map(str::to_owned),
    };
    running.save()?;
    Ok(running)
}

/// Limits it, plugs its interfaces in, and lets it run.
fn settle(cgroups: &Cgroups, running: &Running, nics: &[Nic]) -> Result<(), VmError> {
    cgroups.admit(&running.cgroup, running.process.pid)?;
    let told = |error: VmError| if running.is_running() { error } else { VmError::Qemu(ended(&running.state_dir)) };
    let mut qmp = Qmp::connect(&running.state_dir).map_err(told)?;
    nics.iter().try_for_each(|nic| nic::plug(&mut qmp, nic))?;
    qmp.execute("cont", json!({})).map_err(told)?;
    Ok(())
}

/// Why QEMU has ended, in its own words.
fn ended(state_dir: &Path) -> String {
    let log = fs::read_to_string(state_dir.join(LOG)).unwrap_or_default();
    let text = log.trim().trim_start_matches("qemu-system-x86_64: ");
    if text.is_empty() { "ended without a word".into() } else { text.chars().take(TOLD_BYTES).collect() }
}

/// A file without a name: it holds the user-data, and is gone with QEMU.
pub(crate) fn initrd(archive: &[u8]) -> Result<OwnedFd, VmError> {
    let what = || "write the guest's first file system".to_owned();
    let mut file = File::from(memfd_create("initrd", MemfdFlags::CLOEXEC).context(what)?);
    file.write_all(archive).context(what)?;
    Ok(file.into())
}
