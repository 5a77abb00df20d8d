//! Virtual machines: QEMU on TAPs of Groundplane's own namespace.
//!
//! A TAP is its ENI's host side itself: what the guest sends comes in by it, and what it sends is what the guest gets. What a machine
//! can't ask of DHCP (further IPv4 addresses, IPv6) is set by a command inside, as amazon-ec2-net-utils does it from the metadata.

use super::{Guest, PlugAll, Runner, Seat};
use crate::boot::BootPlan;
use crate::config::InstancePlace;
use crate::eni_plan::EniPlan;
use crate::error::{AgentError, chain};
use crate::plumbing::MTU;
use gp_linux::{NetNs, Tap};
use gp_vm::{Accel, ExecRequest, GuestImage, Nic, Running, VmSpec};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tracing::{info, warn};

/// Memory of a machine, whatever its type says, in MiB; `GROUNDPLANE_VM_MEMORY_MIB` changes it.
const MEMORY_MAX_MIB: u64 = 256;
const MEMORY_VARIABLE: &str = "GROUNDPLANE_VM_MEMORY_MIB";
/// Device indexes that a machine has room for at least.
const PORTS_MIN: u32 = 8;
const PORTS_MAX: u32 = 32;
/// For a guest to shut itself down, in software on a busy host.
const POWERDOWN_GRACE: Duration = Duration::from_secs(20);
/// Shorter graces are no invitation to shut down.
const GRACE_MIN: Duration = Duration::from_secs(1);
/// For a guest to let go of an interface that is in the way of another.
const REPLUG_PATIENCE: Duration = Duration::from_secs(3);
/// For a guest to let go of an interface that the host has taken already.
const UNPLUG_PATIENCE: Duration = Duration::from_secs(120);

/// What this host's machines run on: found out by a probe boot when the first is started.
static ACCEL: OnceLock<Accel> = OnceLock::new();

#[derive(Debug)]
pub struct Machines;

impl Runner for Machines {
    fn start(&self, boot: &BootPlan, plug: PlugAll<'_>) -> Result<Arc<dyn Guest>, AgentError> {
        gp_vm::qemu_version()?;
        let image = GuestImage::find()?;
        let accel = ACCEL.get_or_init(|| gp_vm::probe(&image, &boot.place.run));
        if let Some(reason) = accel.reason() {
            info!(instance = %boot.instance, reason, "emulated in software");
        }
        plug(&|_| Ok(Seat::Machine))?;
        let nics = boot.enis.iter().map(|eni| nic(eni, &boot.place.netns)).collect::<Result<Vec<_>, _>>()?;
        let running = gp_vm::start(&spec(boot, accel), &image, accel, &nics)?;
        let machine = Machine { running, netns: boot.place.netns.clone() };
        boot.enis.iter().for_each(|eni| machine.set_first_addresses(eni));
        Ok(Arc::new(machine))
    }

    fn adopt(&self, place: &InstancePlace) -> Option<Arc<dyn Guest>> {
        Some(Arc::new(Machine { running: gp_vm::adopt(&place.run)?, netns: place.netns.clone() }))
    }
}

fn spec(boot: &BootPlan, accel: &Accel) -> VmSpec {
    let BootPlan { place, .. } = boot;
    let mut spec = VmSpec::new(&boot.instance.to_string(), &place.run, &place.disk);
    spec.console.clone_from(&place.console);
    spec.cgroup.clone_from(&place.cgroup);
    spec.hostname.clone_from(&boot.hostname);
    spec.user_data.clone_from(&boot.user_data);
    spec.run_user_data = boot.is_first;
    spec.authorized_key.clone_from(&boot.authorized_key);
    let wanted = std::env::var(MEMORY_VARIABLE).ok().and_then(|text| text.parse().ok());
    if let Some(size) = boot.size {
        spec.memory_mib = size.memory_mib.min(wanted.unwrap_or(MEMORY_MAX_MIB));
        // More processors would only make an emulated guest slower to boot.
        spec.cpus = if accel.reason().is_some() { 1 } else { size.vcpus.min(host_cpus()) };
        spec.ports = size.max_enis.clamp(PORTS_MIN, PORTS_MAX);
    }
    spec
}

fn host_cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(1))
}

/// The device index that an ENI is plugged at.
fn index(eni: &EniPlan) -> Result<u32, AgentError> {
    let index = eni.guest_name.strip_prefix("eth").and_then(|digits| digits.parse().ok());
    let what = "a virtual machine has one network card, and device indexes up to 31";
    index.filter(|index| *index < PORTS_MAX).ok_or_else(|| AgentError::Guest(what.to_owned()))
}

/// The interface of an ENI whose TAP is there.
fn nic(eni: &EniPlan, netns: &Path) -> Result<Nic, AgentError> {
    let tap = Tap::open_for_guest(&NetNs::open(netns)?, &eni.host_name())?;
    Ok(Nic { name: eni.eni.to_string(), index: index(eni)?, mac: eni.mac.0, mtu: MTU.into(), tap })
}

#[derive(Debug)]
struct Machine {
    running: Running,
    /// Where the TAPs are: Groundplane's own namespace.
    netns: PathBuf,
}

impl Machine {
    /// Tells the guest of the addresses that DHCP doesn't, if there are any.
    fn set_first_addresses(&self, eni: &EniPlan) {
        if eni.addresses.len() > eni.primary.iter().len() || !eni.prefixes.is_empty() {
            self.set_addresses(eni);
        }
    }

    /// Tells the guest of all addresses and delegated prefixes that DHCP doesn't. It may be booting still, so nobody waits for it.
    fn set_addresses(&self, eni: &EniPlan) {
        let others = eni.addresses.iter().filter(|(address, _)| Some(*address) != eni.primary);
        let others = others.map(|(address, prefix_len)| format!("{address}/{prefix_len}"));
        let prefixes = eni.prefixes.iter().map(|(network, prefix_len)| format!("+{network}/{prefix_len}"));
        let mut argv = vec!["/usr/lib/groundplane/addresses".to_owned(), eni.guest_name.clone()];
        argv.extend(others.chain(prefixes));
        let running = self.running.clone();
        let set = move || {
            let (stdout, stderr) = (Box::new(std::io::sink()), Box::new(std::io::sink()));
            if let Err(error) = gp_vm::exec(&running, ExecRequest { argv, stdin: None, stdout, stderr }) {
                warn!(error = chain(&error), "a machine can't be told its addresses");
            }
        };
        in_background("addresses", set);
    }
}

impl Guest for Machine {
    fn is_running(&self) -> bool {
        self.running.is_running()
    }

    fn emulated_because(&self) -> Option<String> {
        self.running.emulated_because.clone()
    }

    fn look_after(&self) {
        if let Err(error) = gp_vm::trim_console(&self.running.console) {
            warn!(error = chain(&error), "a console gets long");
        }
    }

    fn seat(&self, _eni: &EniPlan) -> Result<Seat, AgentError> {
        Ok(Seat::Machine)
    }

    fn plugged(&self, eni: &EniPlan) -> Result<(), AgentError> {
        let name = eni.eni.to_string();
        if !self.running.plugged()?.contains(&(index(eni)?, name)) {
            self.running.plug(&nic(eni, &self.netns)?, REPLUG_PATIENCE)?;
        }
        self.set_first_addresses(eni);
        Ok(())
    }

    fn changed(&self, eni: &EniPlan) {
        self.set_addresses(eni);
    }

    fn unplugging(&self, eni: &EniPlan) {
        // One without an index was never plugged.
        let Ok(index) = index(eni) else { return };
        let (running, name) = (self.running.clone(), eni.eni.to_string());
        let unplug = move || match running.unplug(index, &name, UNPLUG_PATIENCE) {
            Ok(true) => {}
            Ok(false) => warn!(eni = name, "the guest doesn't let go of the interface, which is dead"),
            Err(error) if running.is_running() => warn!(eni = name, error = chain(&error), "can't be unplugged"),
            Err(_) => {}
        };
        in_background("unplug", unplug);
    }

    fn stop(&self, grace: Duration) -> Result<(), AgentError> {
        let grace = if grace < GRACE_MIN { Duration::ZERO } else { POWERDOWN_GRACE };
        Ok(self.running.stop(grace)?)
    }
}

fn in_background(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(work) {
        warn!(%error, "a thread can't be started");
    }
}
