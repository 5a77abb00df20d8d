//! What the caller says about a machine.

use crate::error::VmError;
use std::path::{Path, PathBuf};

/// Memory that a machine gets unless the caller says otherwise, in MiB.
const MEMORY_DEFAULT_MIB: u64 = 256;
/// The least that the guest's kernel and system live in, in MiB.
const MEMORY_MIN_MIB: u64 = 96;
/// Root ports of the PCI Express bus: four slots of eight functions.
pub(crate) const PORTS_MAX: u32 = 32;
/// Size of a new root disk, in bytes. The file is sparse.
const DISK_BYTES: u64 = 8 << 30;

/// One machine. Paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmSpec {
    /// `i-0123456789abcdef0`; for logs and names only.
    pub instance_id: String,
    /// Host name inside.
    pub hostname: String,
    /// Where the record and the control socket are kept while it runs.
    pub state_dir: PathBuf,
    /// Directory of the root disk.
    pub disk_dir: PathBuf,
    /// Size of a root disk that is made, in bytes.
    pub disk_bytes: u64,
    /// File that the serial console is written to.
    pub console: PathBuf,
    /// Control group, relative to each hierarchy.
    pub cgroup: String,
    /// Memory of the guest, in MiB.
    pub memory_mib: u64,
    /// Processors of the guest.
    pub cpus: u32,
    /// Device indexes that it has room for: 0 to this less one.
    pub ports: u32,
    /// Run by the interpreter of its first line.
    pub user_data: Option<Vec<u8>>,
    /// Whether to run it at this boot.
    pub run_user_data: bool,
    /// A line for root's authorized_keys.
    pub authorized_key: Option<String>,
}

impl VmSpec {
    /// A machine with the defaults of this crate.
    pub fn new(instance_id: &str, state_dir: &Path, disk_dir: &Path) -> Self {
        Self {
            instance_id: instance_id.to_owned(),
            hostname: instance_id.to_owned(),
            state_dir: state_dir.to_owned(),
            disk_dir: disk_dir.to_owned(),
            disk_bytes: DISK_BYTES,
            console: state_dir.join("console.log"),
            cgroup: format!("groundplane/{instance_id}"),
            memory_mib: MEMORY_DEFAULT_MIB,
            cpus: 1,
            ports: 2,
            user_data: None,
            run_user_data: true,
            authorized_key: None,
        }
    }

    pub(crate) fn check(&self) -> Result<(), VmError> {
        if self.memory_mib < MEMORY_MIN_MIB {
            return Err(VmError::Spec(format!("a machine needs {MEMORY_MIN_MIB} MiB, not {}", self.memory_mib)));
        }
        if self.cpus == 0 || self.ports == 0 || self.ports > PORTS_MAX {
            return Err(VmError::Spec(format!("{} processors and {} ports can't be", self.cpus, self.ports)));
        }
        if self.hostname.is_empty() || self.hostname.bytes().any(|b| b.is_ascii_control() || b == b' ') {
            return Err(VmError::Spec(format!("{:?} is no host name", self.hostname)));
        }
        Ok(())
    }
}
