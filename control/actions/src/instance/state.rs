//! Start-, Stop-, Reboot- and TerminateInstances: the state machine as callers drive it.
//!
//! | action | from | to | refused from |
//! |---|---|---|---|
//! | start | stopped | pending, next boot | stopping, shutting-down, terminated |
//! | stop | running | stopping | pending, shutting-down, terminated |
//! | reboot | running | running, next boot | all others |
//! | terminate | all but terminated | shutting-down | none |
//!
//! An instance that is already where the call would take it stays, and the call succeeds. A list is all or nothing.

use super::run::check_vcpus;
use super::stand_in::check_ours;
use crate::Context;
use crate::address::automatic;
use crate::context::refuse_unsupported;
use gp_ec2::ApiError;
use gp_ec2::shapes::{
    InstanceState as StateShape, InstanceStateChange, RebootInstancesRequest, StartInstancesRequest,
    StartInstancesResult, StopInstancesRequest, StopInstancesResult, TerminateInstancesRequest,
    TerminateInstancesResult,
};
use gp_model::{Instance, InstanceState, StateReason, Timestamp};
use std::sync::Arc;

/// # Errors
/// `InvalidInstanceID.NotFound`, `IncorrectInstanceState`, `VcpuLimitExceeded`; `InsufficientAddressCapacity` where one
/// is due a public address.
pub(crate) fn start(ctx: &mut Context<'_>, request: &StartInstancesRequest) -> Result<StartInstancesResult, ApiError> {
    let instances = named(ctx, &request.instance_ids)?;
    for instance in &instances {
        check_ours(instance, "StartInstances")?;
        if !matches!(instance.state, InstanceState::Pending | InstanceState::Running | InstanceState::Stopped) {
            return Err(wrong_state(instance, "started"));
        }
    }
    let starting = instances.iter().filter(|instance| instance.state == InstanceState::Stopped);
    check_vcpus(ctx, starting.map(|instance| instance.instance_type.as_str()))?;
    let starting_instances = move_all(ctx, &instances, |instance, now| {
        if instance.state == InstanceState::Stopped {
            instance.state = InstanceState::Pending;
            instance.boot = instance.boot.saturating_add(1);
            instance.launched_at = now;
            instance.state_reason = Some(pending_reason());
            instance.state_transition_reason = String::new();
        }
    });
    for instance in &instances {
        for eni in ctx.world().enis_of_instance(instance.id) {
            automatic::give(ctx, eni.id)?;
        }
    }
    Ok(StartInstancesResult { starting_instances })
}

/// # Errors
/// `InvalidInstanceID.NotFound`, `IncorrectInstanceState`, `OperationNotPermitted` under stop protection,
/// `UnsupportedHibernationConfiguration`.
pub(crate) fn stop(ctx: &mut Context<'_>, request: &StopInstancesRequest) -> Result<StopInstancesResult, ApiError> {
    let instances = named(ctx, &request.instance_ids)?;
    if request.hibernate == Some(true) {
        let message = "Hibernation is not configured for the specified instance(s).";
        return Err(ApiError::client("UnsupportedHibernationConfiguration", message));
    }
    for instance in &instances {
        check_ours(instance, "StopInstances")?;
        if !matches!(instance.state, InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped) {
            return Err(wrong_state(instance, "stopped"));
        }
        if instance.disable_api_stop && instance.state == InstanceState::Running {
            return Err(protected(instance, "stopped", "disableApiStop"));
        }
    }
    let stopping_instances = move_all(ctx, &instances, |instance, now| {
        if instance.state == InstanceState::Running {
            instance.state = InstanceState::Stopping;
            user_initiated(instance, now);
        }
    });
    Ok(StopInstancesResult { stopping_instances })
}

/// # Errors
/// `InvalidInstanceID.NotFound`, `IncorrectInstanceState`.
pub(crate) fn reboot(ctx: &mut Context<'_>, request: &RebootInstancesRequest) -> Result<(), ApiError> {
    let instances = named(ctx, &request.instance_ids)?;
    instances.iter().try_for_each(|instance| check_ours(instance, "RebootInstances"))?;
    if let Some(instance) = instances.iter().find(|instance| instance.state != InstanceState::Running) {
        return Err(wrong_state(instance, "rebooted"));
    }
    move_all(ctx, &instances, |instance, _| instance.boot = instance.boot.saturating_add(1));
    Ok(())
}

/// # Errors
/// `InvalidInstanceID.NotFound`, `OperationNotPermitted` under termination or stop protection.
pub(crate) fn terminate(
    ctx: &mut Context<'_>,
    request: &TerminateInstancesRequest,
) -> Result<TerminateInstancesResult, ApiError> {
    refuse_unsupported(&[("Force", request.force == Some(true))])?;
    let instances = named(ctx, &request.instance_ids)?;
    let is_over = |state| matches!(state, InstanceState::ShuttingDown | InstanceState::Terminated);
    for instance in instances.iter().filter(|instance| !is_over(instance.state)) {
        if instance.disable_api_termination {
            return Err(protected(instance, "terminated", "disableApiTermination"));
        }
        if instance.disable_api_stop {
            return Err(protected(instance, "terminated", "disableApiStop"));
        }
    }
    let terminating_instances = move_all(ctx, &instances, |instance, now| {
        if !is_over(instance.state) {
            instance.state = InstanceState::ShuttingDown;
            user_initiated(instance, now);
        }
    });
    Ok(TerminateInstancesResult { terminating_instances })
}

/// The instances of a request. An empty list must not mean all of them.
fn named(ctx: &Context<'_>, ids: &[String]) -> Result<Vec<Arc<Instance>>, ApiError> {
    if ids.is_empty() { Err(ApiError::missing_parameter("instanceId")) } else { ctx.instances(ids) }
}

fn move_all(
    ctx: &mut Context<'_>,
    instances: &[Arc<Instance>],
    step: impl Fn(&mut Instance, Timestamp),
) -> Vec<InstanceStateChange> {
    let now = ctx.now;
    let mut moved = Vec::with_capacity(instances.len());
    for instance in instances {
        let after = ctx.edit(&**instance, |instance| step(instance, now));
        moved.push(InstanceStateChange {
            instance_id: Some(after.id.to_string()),
            current_state: Some(state_shape(after.state)),
            previous_state: Some(state_shape(instance.state)),
        });
    }
    moved
}

pub(super) fn state_shape(state: InstanceState) -> StateShape {
    StateShape { code: Some(state.code().into()), name: Some(state.name().to_owned()) }
}

/// What an instance says of itself until it runs.
pub(super) fn pending_reason() -> StateReason {
    StateReason { code: "pending".to_owned(), message: "pending".to_owned() }
}

/// Notes on the instance that a caller ended it, and when.
pub(super) fn user_initiated(instance: &mut Instance, now: Timestamp) {
    let code = "Client.UserInitiatedShutdown";
    instance.state_reason =
        Some(StateReason { code: code.to_owned(), message: format!("{code}: User initiated shutdown") });
    instance.state_transition_reason = format!("User initiated ({} GMT)", civil_time(now));
}

/// `2026-11-21 08:26:17`, in UTC; the epoch for what no calendar holds.
fn civil_time(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    let moment = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn wrong_state(instance: &Instance, done: &str) -> ApiError {
    let message = format!("The instance '{}' is not in a state from which it can be {done}.", instance.id);
    ApiError::client("IncorrectInstanceState", message)
}

fn protected(instance: &Instance, done: &str, attribute: &str) -> ApiError {
    let message = format!(
        "The instance '{}' may not be {done}. Modify its '{attribute}' instance attribute and try again.",
        instance.id
    );
    ApiError::client("OperationNotPermitted", message)
}
