//! Starting and ending one instance: blocking work, done on worker threads.

use crate::config::{AgentConfig, InstancePlace};
use crate::error::AgentError;
use crate::plumbing::{EniPlan, Plumbing};
use gp_linux::Cgroups;
use gp_model::{HostnameType, Instance, Region, World};
use gp_sandbox::{InstanceRunner, Running, SandboxRunner, SandboxSpec};
use std::time::Duration;

/// For a guest's processes to end by themselves.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// A stopped instance's processes have had their time; a terminated one's work is thrown away anyhow.
const TERMINATE_GRACE: Duration = Duration::from_millis(200);

/// Processes and threads that an instance may have per MiB of its type's memory, with bounds for the smallest and largest.
const PIDS_PER_MIB: u64 = 2;
const PIDS_MIN: u64 = 1024;
const PIDS_MAX: u64 = 32_768;

/// What a worker needs to boot an instance.
#[derive(Debug)]
pub struct BootPlan {
    pub spec: SandboxSpec,
    pub enis: Vec<EniPlan>,
    pub boot: u32,
    place: InstancePlace,
}

impl BootPlan {
    /// The plan of an instance as the world has it now.
    pub fn new(config: &AgentConfig, world: &World, instance: &Instance) -> Self {
        let place = config.instance(instance.id);
        let mut spec = SandboxSpec::new(&instance.id.to_string(), &place.run, &place.disk);
        spec.console.clone_from(&place.console);
        spec.cgroup.clone_from(&place.cgroup);
        spec.hostname = hostname(world, instance);
        spec.user_data = instance.user_data.as_deref().and_then(decode_user_data);
        spec.run_user_data = !place.first_boot_done.exists();
        spec.authorized_key = authorized_key(world, instance);
        spec.masked_paths = vec![config.data_dir.clone(), config.run_dir.clone()];
        if let Some(kind) = gp_catalog::catalog().get(&instance.instance_type) {
            spec.memory_bytes = kind.memory_mib << 20;
            spec.cpus = kind.vcpus;
            let pids = (kind.memory_mib * PIDS_PER_MIB).clamp(PIDS_MIN, PIDS_MAX);
            spec.pids_max = u32::try_from(pids).unwrap_or(u32::MAX);
        }
        Self { spec, enis: eni_plans(world, instance), boot: instance.boot, place }
    }

    /// Boots it; when this returns, its interfaces are up and its own code runs.
    ///
    /// # Errors
    /// The host refuses; then nothing but the disk is left behind.
    pub fn start(&self, plumbing: &Plumbing) -> Result<Running, AgentError> {
        let file =
            |source| AgentError::File { what: format!("recording the boot of {}", self.spec.instance_id), source };
        self.place.record_boot(self.boot).map_err(file)?;
        std::fs::create_dir_all(&self.place.data).map_err(file)?;
        let started = SandboxRunner.start(&self.spec, &mut |netns| {
            self.enis.iter().try_for_each(|eni| plumbing.plug(eni, netns)).map_err(Into::into)
        });
        match started {
            Ok(running) => {
                self.place.record_first_boot().map_err(file)?;
                Ok(running)
            }
            Err(error) => {
                self.enis.iter().for_each(|eni| drop(plumbing.unplug_from(eni.eni, eni.instance)));
                Err(error.into())
            }
        }
    }
}

/// The plans of every ENI that is attached to the instance.
pub fn eni_plans(world: &World, instance: &Instance) -> Vec<EniPlan> {
    let enis = world.enis_of_instance(instance.id);
    enis.iter().filter_map(|eni| EniPlan::of(&world.region, eni, world.subnet(eni.subnet)?)).collect()
}

/// Stops the instance, and with `remove` throws its disk and console away.
///
/// # Errors
/// Its processes, control group or files can't be removed.
pub fn end(running: Option<&Running>, place: &InstancePlace, remove: bool) -> Result<(), AgentError> {
    match running {
        Some(running) => SandboxRunner.stop(running, if remove { TERMINATE_GRACE } else { STOP_GRACE })?,
        // A process that was killed while it booted the instance leaves a control group that no record tells of.
        None => drop(Cgroups::detect()?.remove(&place.cgroup)?),
    }
    let file = |source| AgentError::File { what: format!("removing {}", place.run.display()), source };
    match std::fs::remove_dir_all(&place.run) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(file(error)),
        _ => {}
    }
    if remove {
        SandboxRunner.remove_disk(&place.data)?;
    }
    Ok(())
}

/// `ip-10-0-1-5.ec2.internal`, or the id where the subnet names instances after it (VPC user guide, "DNS attributes").
fn hostname(world: &World, instance: &Instance) -> String {
    let subnet = world.subnet(instance.subnet);
    let by_address = subnet.is_none_or(|subnet| subnet.hostname_type == HostnameType::IpName);
    let enis = world.enis_of_instance(instance.id);
    let address = enis.first().and_then(|eni| eni.primary_ipv4()).filter(|_| by_address);
    let label = match address {
        Some(address) => format!("ip-{}", address.to_string().replace('.', "-")),
        None => instance.id.to_string(),
    };
    format!("{label}.{}", private_domain(&world.region))
}

fn private_domain(region: &Region) -> String {
    match region.as_str() {
        "us-east-1" => "ec2.internal".to_owned(),
        other => format!("{other}.compute.internal"),
    }
}

fn decode_user_data(base64: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    // The planner has checked it; what can't be decoded here was stored by something else and is not run.
    base64::engine::general_purpose::STANDARD.decode(base64.trim()).ok()
}

fn authorized_key(world: &World, instance: &Instance) -> Option<String> {
    let name = instance.key_name.as_ref()?;
    let mut keys = world.tables().key_pairs.values();
    let key = keys.find(|key| key.owner == instance.owner && key.name == *name)?;
    Some(key.public_key.trim().to_owned())
}
