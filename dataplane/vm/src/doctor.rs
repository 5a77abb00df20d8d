//! Can this host run virtual machines, and how fast? A question of its own: without them everything else works.

use crate::accel::{Accel, probe};
use crate::error::VmError;
use crate::image::GuestImage;
use crate::qemu;
use std::path::Path;

/// What `groundplane doctor` shows. Boots a kernel where there is KVM, so it may take some seconds.
///
/// # Errors
/// They can't be run; the text says what to install.
pub fn check_host(scratch: &Path) -> Result<String, VmError> {
    let version = qemu::qemu_version()?;
    let image = GuestImage::find()?;
    let how = match probe(&image, scratch) {
        Accel::Kvm => "KVM, seen to boot".to_owned(),
        Accel::Emulated { reason } => format!("software emulation, since {reason}"),
    };
    Ok(format!("QEMU {version}, Linux {}, {how}", image.release))
}
