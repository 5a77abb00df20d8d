//! Whether machines can have KVM here: found out by booting one, never by the device node alone.
//!
//! Nested kinds of KVM open well and even run the firmware, and then a stock kernel hangs for ever (seen with kvm_pvm). So a kernel with
//! nothing to do is booted. A kernel that says its first word within two seconds is not hanging; then it gets the time that a busy host needs.

use crate::confine::{self, Confinement, uid_of};
use crate::error::{Context, VmError};
use crate::image::GuestImage;
use crate::qemu::Machine;
use crate::spec::VmSpec;
use crate::{initramfs, launch};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// For the kernel's first word.
const FIRST_WORD_PATIENCE: Duration = Duration::from_secs(2);
/// For the first program, once the kernel has spoken.
const BOOT_PATIENCE: Duration = Duration::from_secs(15);
/// Between looks at the console.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Kernels begin so.
const FIRST_WORD: &str = "Linux version";
/// Written by the guest's first program (guest/init.sh).
const DONE: &str = "groundplane-probe-done";
/// Memory of the probe, in MiB.
const MEMORY_MIB: u64 = 128;

/// What runs the guest's instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accel {
    /// The processor itself.
    Kvm,
    /// QEMU, in software: everything works, ten to thirty times slower.
    Emulated {
        /// Why not KVM.
        reason: String,
    },
}

impl Accel {
    /// Why the guest is emulated; `None` with KVM.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Kvm => None,
            Self::Emulated { reason } => Some(reason),
        }
    }
}

/// Boots a kernel under KVM, below `scratch`, and sees how far it gets. Takes some seconds at most; nothing is left behind.
pub fn probe(image: &GuestImage, scratch: &Path) -> Accel {
    if !Path::new("/dev/kvm").exists() {
        return Accel::Emulated { reason: "this host has no /dev/kvm".into() };
    }
    match probe_boot(image, scratch, &Accel::Kvm, FIRST_WORD_PATIENCE) {
        Ok(()) => Accel::Kvm,
        Err(reason) => Accel::Emulated { reason },
    }
}

/// Why a probe's boot failed, as a text to show.
fn probe_boot(image: &GuestImage, scratch: &Path, accel: &Accel, first_word: Duration) -> Result<(), String> {
    let dir = scratch.join(format!("vm-probe-{}", std::process::id()));
    let result = boot(image, &dir, accel).map_err(|error| format!("a test boot can't be made: {error}")).and_then(
        |mut child| {
            let result = watch(&mut child, &dir, first_word);
            let _ = child.kill();
            let _ = child.wait();
            result
        },
    );
    let _ = fs::remove_dir_all(&dir);
    result
}

fn console_of(dir: &Path) -> PathBuf {
    dir.join("console.log")
}

fn boot(image: &GuestImage, dir: &Path, accel: &Accel) -> Result<Child, VmError> {
    let dev = dir.join("dev");
    fs::create_dir_all(&dev).context(|| format!("create {}", dev.display()))?;
    let spec = VmSpec::new("probe", dir, dir);
    let fds: [OwnedFd; 2] =
        [launch::initrd(&initramfs::build(image, &spec)?)?, crate::console::open(&console_of(dir))?.into()];
    let machine = Machine {
        name: "probe",
        accel,
        memory_mib: MEMORY_MIB,
        cpus: 1,
        ports: 1,
        kernel: &image.kernel,
        initrd: fds[0].as_fd(),
        console: fds[1].as_fd(),
        control: None,
        disk: None,
        // The early console speaks before the memory is set up.
        kernel_words: "earlyprintk=serial,ttyS0,115200 loglevel=7 groundplane.probe",
        paused: false,
    };
    let log = fs::File::create(dir.join("qemu.log")).context(|| "create the probe's log".into())?;
    let mut command = machine.command();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let kvm_dir = matches!(accel, Accel::Kvm).then_some(dev.as_path());
    let confinement = Confinement { uid: uid_of("probe"), fds: &fds, kvm_dir, file_bytes_max: 16 << 20 };
    confine::spawn(&mut command, &confinement)
}

fn watch(child: &mut Child, dir: &Path, first_word: Duration) -> Result<(), String> {
    let started = Instant::now();
    loop {
        let is_over = child.try_wait().ok().flatten().is_some();
        let console = fs::read(console_of(dir)).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        if console.contains(DONE) {
            return Ok(());
        }
        if is_over {
            let log = fs::read_to_string(dir.join("qemu.log")).unwrap_or_default();
            let words = log
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("qemu-system-x86_64: ")
                .trim_start_matches("error: ");
            return Err(format!("QEMU gives up on KVM: {words}"));
        }
        let spoken = console.contains(FIRST_WORD);
        let patience = if spoken { BOOT_PATIENCE } else { first_word };
        if started.elapsed() > patience {
            let how = if spoken { "did not get as far as its first program" } else { "hung without a word" };
            return Err(format!(
                "/dev/kvm is there, but a kernel that was booted with it {how} for {} s",
                patience.as_secs()
            ));
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The guest's files, if this host can run the test at all.
    fn image_or_skip() -> Option<GuestImage> {
        let image = GuestImage::find().ok().filter(|_| crate::qemu::qemu_version().is_ok());
        let fit = rustix::process::geteuid().is_root();
        if image.is_none() || !fit {
            eprintln!("skipped: needs root, qemu-system-x86 and tools/vm-image");
        }
        image.filter(|_| fit)
    }

    #[test]
    fn a_probe_boots_a_kernel_as_far_as_its_first_program() {
        let Some(image) = image_or_skip() else { return };
        let dir = tempfile::tempdir().unwrap();
        let emulated = Accel::Emulated { reason: "tested".into() };
        let patience = Duration::from_secs(60);
        assert_eq!(probe_boot(&image, dir.path(), &emulated, patience), Ok(()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn a_kernel_that_says_nothing_is_given_up() {
        let Some(image) = image_or_skip() else { return };
        let dir = tempfile::tempdir().unwrap();
        let emulated = Accel::Emulated { reason: "tested".into() };
        let reason = probe_boot(&image, dir.path(), &emulated, Duration::ZERO).unwrap_err();
        assert!(reason.contains("hung without a word"), "{reason}");
    }

    #[test]
    fn an_answer_about_kvm_comes_whatever_it_is() {
        let Some(image) = image_or_skip() else { return };
        let dir = tempfile::tempdir().unwrap();
        let accel = probe(&image, dir.path());
        eprintln!("{accel:?}");
        assert!(accel.reason().is_none_or(|reason| reason.contains("/dev/kvm") || reason.contains("KVM")), "{accel:?}");
    }
}
