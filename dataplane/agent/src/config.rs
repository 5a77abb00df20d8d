//! Where a Groundplane of a given name keeps things on this host.
//!
//! Below the run directory, which a reboot empties: the pinned network namespace, a BPF file system of our own, and per
//! instance the record of its first process. Below the data directory, which stays: disks and consoles.

use crate::uplink::UplinkConfig;
use gp_model::InstanceId;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub struct AgentConfig {
    pub name: String,
    pub run_dir: PathBuf,
    pub data_dir: PathBuf,
    /// The way to the outside; none unless it is set.
    pub uplink: Option<UplinkConfig>,
    /// Whether instances have no more bandwidth than their types; they do unless it is set otherwise.
    pub bandwidth_limits: bool,
}

impl AgentConfig {
    pub fn new(name: &str, run_dir: &Path, data_dir: &Path) -> Self {
        Self {
            name: name.to_owned(),
            run_dir: run_dir.to_owned(),
            data_dir: data_dir.to_owned(),
            uplink: None,
            bandwidth_limits: true,
        }
    }

    pub(crate) fn netns_pin(&self) -> PathBuf {
        self.run_dir.join("netns")
    }

    /// The namespace of our router behind a card.
    pub(crate) fn router_pin(&self) -> PathBuf {
        self.run_dir.join("router")
    }

    /// What `--internet` changed of the host.
    pub(crate) fn internet_record(&self) -> PathBuf {
        self.run_dir.join("internet")
    }

    pub(crate) fn bpffs(&self) -> PathBuf {
        self.run_dir.join("bpf")
    }

    pub(crate) fn map_pins(&self) -> PathBuf {
        self.bpffs().join("maps")
    }

    pub(crate) fn instances_dir(&self) -> PathBuf {
        self.run_dir.join(INSTANCES)
    }

    pub(crate) fn instance(&self, id: InstanceId) -> InstancePlace {
        let data = self.data_dir.join(INSTANCES).join(id.to_string());
        InstancePlace {
            run: instance_dir(&self.run_dir, &id.to_string()),
            disk: data.join("disk"),
            console: data.join("console.log"),
            first_boot_done: data.join("booted"),
            data,
            netns: self.netns_pin(),
            cgroup: format!("groundplane/{}/{id}", self.name),
        }
    }
}

const INSTANCES: &str = "instances";

/// Where an instance's run-time state is, for [`gp_sandbox::adopt`].
pub fn instance_dir(run_dir: &Path, instance: &str) -> PathBuf {
    run_dir.join(INSTANCES).join(instance)
}

/// The paths of one instance.
#[derive(Debug, Clone)]
pub(crate) struct InstancePlace {
    pub run: PathBuf,
    pub data: PathBuf,
    pub disk: PathBuf,
    pub console: PathBuf,
    /// Exists once user data has been run.
    pub first_boot_done: PathBuf,
    /// Groundplane's own network namespace.
    pub netns: PathBuf,
    pub cgroup: String,
}

impl InstancePlace {
    /// Which boot of the instance runs: written before it is started, read when it is adopted.
    pub fn recorded_boot(&self) -> Option<u32> {
        std::fs::read_to_string(self.boot_file()).ok()?.trim().parse().ok()
    }

    /// # Errors
    /// The run directory can't be written.
    pub fn record_boot(&self, boot: u32) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.run)?;
        std::fs::write(self.boot_file(), boot.to_string())
    }

    /// Says that user data has been run: it is not run again.
    ///
    /// # Errors
    /// The data directory can't be written.
    pub fn record_first_boot(&self) -> std::io::Result<()> {
        std::fs::write(&self.first_boot_done, "")
    }

    fn boot_file(&self) -> PathBuf {
        self.run.join("boot")
    }
}
