//! Instances as virtual machines: QEMU, the distribution's cloud kernel, and a small system of our own making around busybox.
//!
//! A machine lives on when the process that started it dies; a new process finds it by [`adopt`]. Its interfaces are TAP devices that the
//! caller opens in a namespace of its choice ([`gp_linux::Tap`]): QEMU gets the descriptor and needs no network of its own. So it runs
//! as nobody, in an empty network namespace, with a filter on its system calls.
//!
//! ```text
//! agent ── start() ──▶ QEMU, paused ── QMP: one netdev_add + device_add per interface, then cont
//!    ├── plug(), unplug() ──▶ QMP: PCI Express hot-plug; the guest's own programs set the interface up by DHCP
//!    └── exec() ──▶ QMP: four virtio-serial ports that live as long as the command
//! ```
//!
//! KVM is used if a machine has been seen to boot with it, never because there is a device node: nested kinds take a kernel and hang.

mod accel;
mod confine;
mod console;
mod disk;
mod doctor;
mod error;
mod exec;
mod image;
mod initramfs;
mod launch;
mod modules;
mod newc;
mod nic;
mod qemu;
mod qmp;
mod running;
mod spec;

pub use accel::{Accel, probe};
pub use console::trim_console;
pub use disk::remove_disk;
pub use doctor::check_host;
pub use error::VmError;
pub use exec::{ExecRequest, exec};
pub use image::GuestImage;
pub use launch::start;
pub use nic::Nic;
pub use qemu::qemu_version;
pub use running::{Running, adopt};
pub use spec::VmSpec;
