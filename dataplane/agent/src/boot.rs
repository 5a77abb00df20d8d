//! Starting one instance: blocking work, done on worker threads.

use crate::config::{AgentConfig, InstancePlace};
use crate::eni_plan::EniPlan;
use crate::error::AgentError;
use crate::guest::{self, Guest};
use crate::plumbing::Plumbing;
use gp_model::{GuestKind, HostnameType, Instance, InstanceId, Region, World};
use std::path::PathBuf;
use std::sync::Arc;

/// What a worker needs to boot an instance, whatever its kind of guest.
#[derive(Debug)]
pub struct BootPlan {
    pub instance: InstanceId,
    pub kind: GuestKind,
    pub hostname: String,
    /// As it was meant: base64 already undone.
    pub user_data: Option<Vec<u8>>,
    /// Is user data to be run?
    pub is_first: bool,
    /// One line.
    pub authorized_key: Option<String>,
    /// As the instance's type says; none where the type is unknown.
    pub size: Option<Size>,
    /// Host paths that the guest must not see.
    pub hidden: Vec<PathBuf>,
    pub enis: Vec<EniPlan>,
    pub boot: u32,
    pub place: InstancePlace,
}

/// What of an instance's type its guest gets.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub memory_mib: u64,
    pub vcpus: u32,
    pub max_enis: u32,
}

impl BootPlan {
    /// The plan of an instance as the world has it now.
    pub fn new(config: &AgentConfig, world: &World, instance: &Instance) -> Self {
        let place = config.instance(instance.id);
        let kind = gp_catalog::catalog().get(&instance.instance_type);
        Self {
            instance: instance.id,
            kind: instance.guest.clone(),
            hostname: hostname(world, instance),
            user_data: instance.user_data.as_deref().and_then(decode_user_data),
            is_first: !place.first_boot_done.exists(),
            authorized_key: authorized_key(world, instance),
            size: kind.map(|kind| Size { memory_mib: kind.memory_mib, vcpus: kind.vcpus, max_enis: kind.max_enis }),
            hidden: vec![config.data_dir.clone(), config.run_dir.clone()],
            enis: eni_plans(world, instance),
            boot: instance.boot,
            place,
        }
    }

    /// Boots it; when this returns, its interfaces are up and its own code runs.
    ///
    /// # Errors
    /// The host refuses; then nothing but the disk is left behind.
    pub fn start(&self, plumbing: &Plumbing) -> Result<Arc<dyn Guest>, AgentError> {
        let file = |source| AgentError::File { what: format!("recording the boot of {}", self.instance), source };
        let runner = guest::runner_of(&self.kind)?;
        self.place.record_boot(self.boot).map_err(file)?;
        std::fs::create_dir_all(&self.place.data).map_err(file)?;
        let started =
            runner.start(self, &mut |seat| self.enis.iter().try_for_each(|eni| plumbing.plug(eni, &seat(eni)?)));
        match started {
            Ok(running) => {
                self.place.record_first_boot().map_err(file)?;
                Ok(running)
            }
            Err(error) => {
                self.enis.iter().for_each(|eni| drop(plumbing.unplug_from(eni.eni, eni.instance)));
                Err(error)
            }
        }
    }
}

/// The plans of every ENI that is attached to the instance.
pub fn eni_plans(world: &World, instance: &Instance) -> Vec<EniPlan> {
    let enis = world.enis_of_instance(instance.id);
    enis.iter().filter_map(|eni| EniPlan::of(world, eni, instance)).collect()
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
