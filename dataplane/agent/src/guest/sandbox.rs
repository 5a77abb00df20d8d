//! Sandboxes: guests made of namespaces.

use super::{Guest, PlugAll, Runner, Seat};
use crate::boot::BootPlan;
use crate::config::InstancePlace;
use crate::eni_plan::EniPlan;
use crate::error::AgentError;
use gp_sandbox::{InstanceRunner, Running, SandboxRunner, SandboxSpec};
use std::sync::Arc;
use std::time::Duration;

/// Processes and threads that an instance may have per MiB of its type's memory, with bounds for the smallest and largest.
const PIDS_PER_MIB: u64 = 2;
const PIDS_MIN: u64 = 1024;
const PIDS_MAX: u64 = 32_768;

#[derive(Debug)]
pub struct Sandboxes;

impl Runner for Sandboxes {
    fn start(&self, boot: &BootPlan, plug: PlugAll<'_>) -> Result<Arc<dyn Guest>, AgentError> {
        let running = SandboxRunner.start(&spec(boot), &mut |netns| {
            plug(&|_| Ok(Seat::Netns { netns: netns.try_clone()?, is_configured: true })).map_err(Into::into)
        })?;
        Ok(Arc::new(Sandbox(running)))
    }

    fn adopt(&self, place: &InstancePlace) -> Option<Arc<dyn Guest>> {
        Some(Arc::new(Sandbox(gp_sandbox::adopt(&place.run)?)))
    }
}

fn spec(boot: &BootPlan) -> SandboxSpec {
    let BootPlan { place, .. } = boot;
    let mut spec = SandboxSpec::new(&boot.instance.to_string(), &place.run, &place.disk);
    spec.console.clone_from(&place.console);
    spec.cgroup.clone_from(&place.cgroup);
    spec.hostname.clone_from(&boot.hostname);
    spec.user_data.clone_from(&boot.user_data);
    spec.run_user_data = boot.is_first;
    spec.authorized_key.clone_from(&boot.authorized_key);
    spec.masked_paths.clone_from(&boot.hidden);
    if let Some(size) = boot.size {
        spec.memory_bytes = size.memory_mib << 20;
        spec.cpus = size.vcpus;
        let pids = (size.memory_mib * PIDS_PER_MIB).clamp(PIDS_MIN, PIDS_MAX);
        spec.pids_max = u32::try_from(pids).unwrap_or(u32::MAX);
    }
    spec
}

#[derive(Debug)]
struct Sandbox(Running);

impl Guest for Sandbox {
    fn is_running(&self) -> bool {
        self.0.is_running()
    }

    fn seat(&self, _eni: &EniPlan) -> Result<Seat, AgentError> {
        Ok(Seat::Netns { netns: self.0.netns()?, is_configured: true })
    }

    fn stop(&self, grace: Duration) -> Result<(), AgentError> {
        Ok(SandboxRunner.stop(&self.0, grace)?)
    }
}
