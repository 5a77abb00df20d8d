//! What a host's report changes in the world: the other half of the instances' state machine.
//!
//! | report | in | becomes |
//! |---|---|---|
//! | running | pending | running |
//! | emulated | pending | running, with the reason for its slowness |
//! | stopped | stopping | stopped; automatic public addresses go |
//! | stopped | pending, running | stopped or shutting-down, as the instance's shutdown behaviour says |
//! | terminated | shutting-down | terminated, its ENIs deleted or free |
//! | failed | pending, first boot | terminated, as a launch that fails on AWS |
//! | failed | pending or running, later boot; stopping | stopped; terminated where it is a stand-in |
//! | unattached | the ENI attached | the ENI free |
//! | address unused | it drains | gone from its NAT gateway, its Elastic IP address free |
//!
//! Anything else, and every report about another boot than the one asked for, is out of date and changes nothing.

use crate::address::automatic;
use crate::instance::FIRST_BOOT;
use crate::nat_gateway::plan_unused;
use crate::network_interface::elastic_ips_freed_with;
use crate::trunk;
use gp_compile::{HostReport, InstanceOutcome};
use gp_model::{
    Change, Eni, EniAttachmentId, EniId, GuestKind, Instance, InstanceState, LastAttachment, RecordKey, StateReason,
    Timestamp, World,
};
use std::sync::Arc;

/// The changes to the region's world that follow from a report about it.
pub fn plan_report(world: &World, report: &HostReport, now: Timestamp) -> Vec<Change> {
    let (region, instance, boot, outcome) = match report {
        HostReport::Instance { region, instance, boot, outcome } => (region, instance, boot, outcome),
        HostReport::Unattached { region, eni, attachment, .. } if *region == world.region => {
            return detach(world, *eni, *attachment, now);
        }
        HostReport::NatAddressUnused { region, gateway, address, drains_until } if *region == world.region => {
            return plan_unused(world, *gateway, *address, *drains_until);
        }
        HostReport::Unattached { .. } | HostReport::NatAddressUnused { .. } | HostReport::Applied { .. } => {
            return Vec::new();
        }
    };
    let Some(before) = world.instance(*instance).filter(|i| *region == world.region && i.boot == *boot) else {
        return Vec::new();
    };
    let mut after = (**before).clone();
    advance(&mut after, outcome, now);
    if after == **before {
        return Vec::new();
    }
    let mut changes = match after.state {
        InstanceState::Terminated => release_enis(world, &after),
        InstanceState::Stopped => automatic::released(world, &after),
        _ => Vec::new(),
    };
    changes.push(Change::Put(after.into()));
    changes
}

/// An attachment that came to nothing, unless it is over already.
fn detach(world: &World, eni: EniId, attachment: EniAttachmentId, now: Timestamp) -> Vec<Change> {
    let is_it = |eni: &&Arc<Eni>| eni.attachment.as_ref().is_some_and(|held| held.id == attachment);
    let Some(eni) = world.eni(eni).filter(is_it) else { return Vec::new() };
    let mut free = (**eni).clone();
    free.primary_ipv6 = false;
    free.last_attachment =
        free.attachment.take().map(|attachment| Box::new(LastAttachment { attachment, detached_at: now }));
    vec![Change::Put(free.into())]
}

fn advance(instance: &mut Instance, outcome: &InstanceOutcome, now: Timestamp) {
    use InstanceState::{Pending, Running, ShuttingDown, Stopped, Stopping};
    match (outcome, instance.state) {
        (InstanceOutcome::Running, Pending) => {
            instance.state = Running;
            instance.state_reason = None;
        }
        (InstanceOutcome::Emulated { reason }, Pending) => {
            instance.state = Running;
            instance.state_reason = Some(emulated(reason));
        }
        (InstanceOutcome::Stopped, Stopping) => instance.state = Stopped,
        (InstanceOutcome::Stopped, Pending | Running) => shut_down_from_inside(instance),
        (InstanceOutcome::Terminated, ShuttingDown) => terminate(instance, now),
        (InstanceOutcome::Failed { reason }, Pending) if instance.boot <= FIRST_BOOT => {
            instance.state_reason = Some(internal_error(reason));
            terminate(instance, now);
        }
        (InstanceOutcome::Failed { reason }, Pending | Running) if is_stand_in(instance) => {
            instance.state_reason = Some(internal_error(reason));
            terminate(instance, now);
        }
        (InstanceOutcome::Failed { reason }, Pending | Running | Stopping) => {
            instance.state_reason = Some(internal_error(reason));
            instance.state = Stopped;
        }
        _ => {}
    }
}

fn is_stand_in(instance: &Instance) -> bool {
    matches!(instance.guest, GuestKind::External(_))
}

/// The instance ended by itself.
fn shut_down_from_inside(instance: &mut Instance) {
    let code = "Client.InstanceInitiatedShutdown";
    let message = format!("{code}: Instance initiated shutdown");
    instance.state_reason = Some(StateReason { code: code.to_owned(), message });
    instance.state_transition_reason = String::new();
    instance.state =
        if instance.shutdown_behavior == "terminate" { InstanceState::ShuttingDown } else { InstanceState::Stopped };
}

fn terminate(instance: &mut Instance, now: Timestamp) {
    instance.state = InstanceState::Terminated;
    instance.terminated_at = Some(now);
}

/// AWS gives no reason for running; one that runs so slowly needs one.
fn emulated(reason: &str) -> StateReason {
    let code = "Server.SoftwareEmulation";
    let message = format!("{code}: The virtual machine is emulated in software and therefore slow: {reason}");
    StateReason { code: code.to_owned(), message }
}

fn internal_error(reason: &str) -> StateReason {
    let code = "Server.InternalError";
    StateReason { code: code.to_owned(), message: format!("{code}: {reason}") }
}

/// ENIs leave an instance only when its host has let go of them, so that API and kernel agree.
fn release_enis(world: &World, instance: &Instance) -> Vec<Change> {
    let enis = world.enis_of_instance(instance.id);
    enis.iter().flat_map(|eni| release_eni(world, eni)).collect()
}

/// An ENI that goes with its instance takes along what hangs on it; one that stays is free.
fn release_eni(world: &World, eni: &Eni) -> Vec<Change> {
    if !eni.attachment.as_ref().is_some_and(|attachment| attachment.delete_on_termination) {
        let mut free = Eni { attachment: None, primary_ipv6: false, ..eni.clone() };
        free.release_public_ipv4();
        return vec![Change::Put(free.into())];
    }
    let mut changes = elastic_ips_freed_with(world, eni);
    changes.extend(trunk::associations_of_deleted(world, eni.id));
    changes.push(Change::Delete(RecordKey::Eni(eni.id)));
    changes
}
