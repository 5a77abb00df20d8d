//! Interfaces: TAPs that are plugged into a machine, whether it has booted or not, and pulled out again.

use crate::error::VmError;
use crate::qemu;
use crate::qmp::Qmp;
use crate::running::Running;
use gp_linux::Mac;
use serde_json::json;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How long one look for the guest's consent takes; others may talk to QEMU in between.
const LOOK: Duration = Duration::from_millis(1000);

/// An interface that is to be plugged.
#[derive(Debug)]
pub struct Nic {
    /// The ENI's id: letters, digits and dashes.
    pub name: String,
    /// EC2's device index: the guest names the interface after it.
    pub index: u32,
    /// MAC address.
    pub mac: Mac,
    /// MTU that the guest is told, in bytes.
    pub mtu: u32,
    /// An open TAP, as [`gp_linux::Tap::open_for_guest`] gives it.
    pub tap: OwnedFd,
}

/// The name that QEMU knows the interface by.
fn device(index: u32, name: &str) -> String {
    format!("nic{index}-{name}")
}

/// What [`device`] has made of them.
fn parse(device: &str) -> Option<(u32, String)> {
    let (index, name) = device.strip_prefix("nic")?.split_once('-')?;
    Some((index.parse().ok()?, name.to_owned()))
}

impl Running {
    /// Plugs an interface in. A running guest sees it at once, one that boots will find it. An interface that the guest has not let go
    /// of yet is waited for, up to `patience`.
    ///
    /// # Errors
    /// The machine has no such port, the guest keeps what was there, or QEMU refuses.
    pub fn plug(&self, nic: &Nic, patience: Duration) -> Result<(), VmError> {
        for (index, name) in self.plugged()?.into_iter().filter(|(index, _)| *index == nic.index) {
            if !self.unplug(index, &name, patience)? {
                return Err(VmError::Qemu(format!("the guest has not let go of {name} at device index {index} yet")));
            }
        }
        plug(&mut Qmp::connect(&self.state_dir)?, nic)
    }

    /// The interfaces that are plugged: device index and name.
    ///
    /// # Errors
    /// QEMU doesn't answer.
    pub fn plugged(&self) -> Result<Vec<(u32, String)>, VmError> {
        Ok(Qmp::connect(&self.state_dir)?.devices()?.iter().filter_map(|device| parse(device)).collect())
    }

    /// Asks the guest to let go of an interface and waits until it has. Says whether it has within `patience`; a guest that hangs or boots
    /// does not, and keeps a dead interface until it does. It is asked again and again, since a guest that boots forgets.
    ///
    /// # Errors
    /// QEMU doesn't answer.
    pub fn unplug(&self, index: u32, name: &str, patience: Duration) -> Result<bool, VmError> {
        let device = device(index, name);
        // The host lets go at once, whatever the guest does: a TAP that is taken away under QEMU's hands keeps it busy.
        let _ = Qmp::connect(&self.state_dir)?.execute("netdev_del", json!({ "id": device }));
        let deadline = Instant::now() + patience;
        loop {
            let mut qmp = Qmp::connect(&self.state_dir)?;
            if !qmp.devices()?.contains(&device) {
                return Ok(true);
            }
            // Refused while an earlier request is still open, which serves as well.
            let _ = qmp.execute("device_del", json!({ "id": device }));
            let left = deadline.saturating_duration_since(Instant::now());
            let is_gone = qmp.wait_device_event("DEVICE_DELETED", &device, LOOK.min(left))?;
            if !is_gone && left.is_zero() {
                return Ok(false);
            }
        }
    }
}

pub(crate) fn plug(qmp: &mut Qmp, nic: &Nic) -> Result<(), VmError> {
    let id = device(nic.index, &nic.name);
    qmp.give_fd(&id, nic.tap.as_fd())?;
    qmp.execute("netdev_add", json!({ "type": "tap", "id": id, "fd": id }))?;
    let mac: Vec<_> = nic.mac.iter().map(|byte| format!("{byte:02x}")).collect();
    let added = qmp.execute(
        "device_add",
        // Without a boot ROM: it would cost seconds.
        json!({ "driver": "virtio-net-pci", "id": id, "netdev": id, "bus": qemu::bus(nic.index), "mac": mac.join(":"),
                "host_mtu": nic.mtu, "romfile": "" }),
    );
    if added.is_err() {
        let _ = qmp.execute("netdev_del", json!({ "id": id }));
    }
    added.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_tells_its_index_and_its_eni() {
        let name = "eni-0123456789abcdef0";
        assert_eq!(parse(&device(12, name)), Some((12, name.to_owned())));
        assert_eq!(parse("serial"), None);
        assert_eq!(parse("port3"), None);
    }
}
