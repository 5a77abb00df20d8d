//! One face of every kind of guest: how an instance's inside is started, found again, ended, and where its ENIs end.
//!
//! ```text
//! Instance.guest ─▶ runner_of ─▶ Runner::start ─▶ Guest ── seat(eni): namespace or TAP ──▶ plumbing
//! ```
//!
//! A guest outlives the process that started it: [`adopt`] finds it by the record that its runner left in the
//! instance's run directory. The network side is not a runner's affair: it says where an ENI's far end goes (its
//! [`Seat`]), and is told when one has come or is about to go.

mod external;
mod machine;
mod sandbox;

use crate::boot::BootPlan;
use crate::config::InstancePlace;
use crate::eni_plan::EniPlan;
use crate::error::AgentError;
use gp_linux::{Cgroups, NetNs};
use gp_model::GuestKind;
use std::fmt::Debug;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

/// For a guest's processes to end by themselves.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// A stopped instance's processes have had their time; a terminated one's work is thrown away anyhow.
const TERMINATE_GRACE: Duration = Duration::from_millis(200);

/// Where the guest's end of an ENI goes.
#[derive(Debug)]
pub enum Seat {
    /// An interface in a network namespace, whose addresses and routes are set from outside where `is_configured`.
    Netns { netns: NetNs, is_configured: bool },
    /// A TAP in a network namespace, of the ENI's name, for a machine to open. `alias` says whose it is. It is made when
    /// the ENI is plugged and removed when it is taken from the running guest; the guest removes the rest at its end.
    Tap { netns: NetNs, alias: String },
    /// A TAP in Groundplane's own namespace, which takes offloads, for a machine of ours to open.
    Machine,
}

/// A guest that runs.
pub trait Guest: Send + Sync + Debug {
    fn is_running(&self) -> bool;

    /// Why its processor is emulated in software, where it is.
    fn emulated_because(&self) -> Option<String> {
        None
    }

    /// Called now and then while it runs.
    fn look_after(&self) {}

    /// Where the ENI's far end goes.
    ///
    /// # Errors
    /// The guest does not run any more, or has no place for this ENI.
    fn seat(&self, eni: &EniPlan) -> Result<Seat, AgentError>;

    /// The ENI has been plugged into the running guest; an error undoes that.
    ///
    /// # Errors
    /// The guest refuses the device.
    fn plugged(&self, _eni: &EniPlan) -> Result<(), AgentError> {
        Ok(())
    }

    /// The addresses of a plugged ENI have changed.
    fn changed(&self, _eni: &EniPlan) {}

    /// The ENI is about to be taken from the running guest, which can't prevent it.
    fn unplugging(&self, _eni: &EniPlan) {}

    /// Ends it, by force after `grace`. Its control group and its record go too. Ending what has ended is fine.
    ///
    /// # Errors
    /// Something of it can't be removed.
    fn stop(&self, grace: Duration) -> Result<(), AgentError>;
}

/// Plugs every ENI of the boot: called once, when [`Guest::seat`]'s answers would be these and before the guest's own
/// code runs.
pub type PlugAll<'a> = &'a mut dyn FnMut(&dyn Fn(&EniPlan) -> Result<Seat, AgentError>) -> Result<(), AgentError>;

/// Starts guests of one kind. Methods block.
pub trait Runner: Send + Sync + Debug {
    /// Boots the guest; its own code runs when this returns.
    ///
    /// # Errors
    /// The host refuses; nothing but the disk is left behind then.
    fn start(&self, boot: &BootPlan, plug: PlugAll<'_>) -> Result<Arc<dyn Guest>, AgentError>;

    /// Finds the guest that a former process started there, if it still runs.
    fn adopt(&self, place: &InstancePlace) -> Option<Arc<dyn Guest>>;
}

/// One of each kind, for what is asked of all.
const RUNNERS: [&dyn Runner; 3] = [&sandbox::Sandboxes, &machine::Machines, &external::Externals];

/// # Errors
/// This host has no such guests.
pub fn runner_of(kind: &GuestKind) -> Result<&'static dyn Runner, AgentError> {
    match kind {
        GuestKind::Sandbox => Ok(&sandbox::Sandboxes),
        GuestKind::External(_) => Ok(&external::Externals),
        GuestKind::Vm => Ok(&machine::Machines),
    }
}

/// Finds the guest that runs in this place, of whichever kind it is.
pub fn adopt(place: &InstancePlace) -> Option<Arc<dyn Guest>> {
    RUNNERS.iter().find_map(|runner| runner.adopt(place))
}

/// Stops the guest, and with `remove` throws its disk and console away.
///
/// # Errors
/// Its processes, control group or files can't be removed.
pub fn end(guest: Option<&dyn Guest>, place: &InstancePlace, remove: bool) -> Result<(), AgentError> {
    match guest {
        Some(guest) => guest.stop(if remove { TERMINATE_GRACE } else { STOP_GRACE })?,
        // A process that was killed while it booted the instance leaves a control group that no record tells of.
        None => drop(Cgroups::detect()?.remove(&place.cgroup)?),
    }
    match std::fs::remove_dir_all(&place.run) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            return Err(AgentError::File { what: format!("removing {}", place.run.display()), source });
        }
        _ => {}
    }
    if remove {
        gp_sandbox::remove_disk(&place.data)?;
    }
    Ok(())
}
