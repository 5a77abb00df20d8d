//! QEMU's command line.
//!
//! A q35 board with nothing on it that a guest doesn't use: no disks of the old kind, no screen, no floppy. `microvm` boots a little
//! faster, but hung now and then under software emulation, and has no hot-plug. Each device index has a root port of its own on the PCI
//! Express bus: index N is function N % 8 of slot 0x10 + N / 8, by which the guest names its interfaces.

use crate::accel::Accel;
use crate::error::{Context, VmError};
use crate::spec::PORTS_MAX;
use std::ffi::OsString;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = "qemu-system-x86_64";
/// Names another QEMU to run.
const PROGRAM_VARIABLE: &str = "GROUNDPLANE_VM_QEMU";
/// First slot of the root ports.
const SLOT_START: u32 = 0x10;
/// Functions of a slot.
const FUNCTIONS: u32 = 8;
/// Ports of the virtio-serial device (its `max_ports`): four for each command that runs at once.
pub(crate) const SERIAL_PORTS: u32 = 31;
/// Translated code that software emulation keeps, in MiB.
pub(crate) const TRANSLATION_MIB: u64 = 64;

/// What one machine consists of.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    pub name: &'a str,
    pub accel: &'a Accel,
    pub memory_mib: u64,
    pub cpus: u32,
    pub ports: u32,
    pub kernel: &'a Path,
    pub initrd: BorrowedFd<'a>,
    pub console: BorrowedFd<'a>,
    /// A listening socket.
    pub control: Option<BorrowedFd<'a>>,
    pub disk: Option<BorrowedFd<'a>>,
    /// Appended to the kernel's command line.
    pub kernel_words: &'a str,
    /// Wait for `cont` before the first instruction.
    pub paused: bool,
}

impl Machine<'_> {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
        command.args(["-no-user-config", "-nodefaults", "-display", "none", "-vga", "none", "-msg", "timestamp=off"]);
        command.args(["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]);
        command.args(["-name", self.name, "-machine", "q35,sata=off,smbus=off,usb=off,vmport=off"]);
        self.accel(&mut command);
        command.args(["-m", &format!("{}M", self.memory_mib), "-smp", &self.cpus.to_string()]);
        self.kernel(&mut command);
        self.console(&mut command);
        command.args(["-device", "virtio-rng-pci,bus=pcie.0,addr=0x1"]);
        if let Some(control) = self.control {
            let chardev = format!("socket,id=control,fd={},server=on,wait=off", control.as_raw_fd());
            command.args(["-chardev", &chardev, "-mon", "chardev=control,mode=control"]);
            let serial = format!("virtio-serial-pci,id=serial,bus=pcie.0,addr=0x2,max_ports={SERIAL_PORTS}");
            command.args(["-device", &serial]);
        }
        if let Some(disk) = self.disk {
            command.args(["-add-fd", &format!("fd={},set=2", disk.as_raw_fd())]);
            command.args(["-blockdev", "driver=file,node-name=root,filename=/dev/fdset/2,locking=off,discard=unmap"]);
            command.args(["-device", "virtio-blk-pci,drive=root,bus=pcie.0,addr=0x3"]);
        }
        for index in 0..self.ports.min(PORTS_MAX) {
            command.args(["-device", &root_port(index)]);
        }
        if self.paused {
            command.arg("-S");
        }
        command
    }

    fn accel(&self, command: &mut Command) {
        match self.accel {
            Accel::Kvm => command.args(["-accel", "kvm", "-cpu", "host"]),
            Accel::Emulated { .. } => {
                let tcg = format!("tcg,tb-size={TRANSLATION_MIB}");
                command.args(["-accel", &tcg, "-cpu", "qemu64"])
            }
        };
    }

    fn kernel(&self, command: &mut Command) {
        // An emulated processor leaks nothing by speculation, and the precautions cost it much.
        let emulated = if matches!(self.accel, Accel::Kvm) { "" } else { " mitigations=off" };
        let words = format!("console=ttyS0 panic=1 quiet net.ifnames=0{emulated} {}", self.kernel_words);
        command.arg("-kernel").arg(self.kernel);
        command.args(["-initrd", &format!("/proc/self/fd/{}", self.initrd.as_raw_fd()), "-append", words.trim()]);
    }

    fn console(&self, command: &mut Command) {
        command.args(["-add-fd", &format!("fd={},set=1", self.console.as_raw_fd())]);
        command.args(["-chardev", "file,id=console,path=/dev/fdset/1,append=on", "-serial", "chardev:console"]);
    }
}

/// The name of the bus behind the root port of a device index.
pub(crate) fn bus(index: u32) -> String {
    format!("port{index}")
}

fn root_port(index: u32) -> String {
    let (slot, function) = (SLOT_START + index / FUNCTIONS, index % FUNCTIONS);
    // The first function of a slot says that there are others.
    let multifunction = if function == 0 { ",multifunction=on" } else { "" };
    let id = bus(index);
    format!("pcie-root-port,id={id},bus=pcie.0,addr=0x{slot:x}.0x{function:x},chassis={}{multifunction}", index + 1)
}

fn program() -> OsString {
    std::env::var_os(PROGRAM_VARIABLE).unwrap_or_else(|| PROGRAM.into())
}

/// What the installed QEMU calls itself.
///
/// # Errors
/// [`VmError::Missing`] says what to install.
pub fn qemu_version() -> Result<String, VmError> {
    let output = match Command::new(program()).arg("--version").output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(VmError::Missing(missing())),
        other => other.context(|| format!("run {}", program().to_string_lossy()))?,
    };
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().trim_start_matches("QEMU emulator version ").to_owned())
}

fn missing() -> String {
    format!("{} is not installed: {}", program().to_string_lossy(), crate::image::REMEDY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_index_has_a_port_of_its_own() {
        assert_eq!(root_port(0), "pcie-root-port,id=port0,bus=pcie.0,addr=0x10.0x0,chassis=1,multifunction=on");
        assert_eq!(root_port(9), "pcie-root-port,id=port9,bus=pcie.0,addr=0x11.0x1,chassis=10");
        let all: std::collections::BTreeSet<_> = (0..PORTS_MAX).map(root_port).collect();
        assert_eq!(all.len() as u32, PORTS_MAX);
    }
}
