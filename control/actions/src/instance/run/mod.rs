//! RunInstances.
//!
//! Everything about the request is checked first (`launch`, `interfaces`); then instances are made one by one, each
//! with its ENIs. If they run out of addresses, the launch succeeds with as many as `MinCount` asks for, as on AWS.

mod interfaces;
mod launch;
mod placement;
mod unsupported;

#[cfg(test)]
mod tests;

use super::describe::{described, reservations};
use crate::Context;
use crate::address::automatic;
use gp_ec2::ApiError;
use gp_ec2::shapes::{Reservation, RunInstancesRequest};
use gp_model::{Eni, EniAttachment, EniAttachmentId, Instance, InstanceId, RecordKey, ReservationId};
use interfaces::{Interface, Source};
use launch::Launch;
pub(super) use launch::{check_architecture, check_vcpus, known_type};

/// # Errors
/// AWS's refusals of images, types, subnets, groups, interfaces, keys, user data, counts and limits;
/// `UnsupportedOperation` for what a sandbox can't do.
pub(crate) fn run(ctx: &mut Context<'_>, request: &RunInstancesRequest) -> Result<Reservation, ApiError> {
    // There are no volumes, so tags for them have nothing to stick to.
    let tags = ctx.tag_sets(&request.tag_specifications, &["instance", "network-interface", "volume"])?;
    if let Some(created) = ctx.replayed()? {
        let instances = ctx.instances(&created)?;
        return reply(ctx, instances.iter().map(|instance| (**instance).clone()).collect());
    }
    unsupported::refuse(request)?;
    let launch = Launch::check(ctx, request, tags.of("instance"))?;
    let interfaces = interfaces::plan(ctx, request, launch.kind, &tags.of("network-interface"))?;
    unsupported::refuse_other_names(request, &*interfaces::home(ctx, &interfaces)?)?;
    interfaces::check_counts(&interfaces, request.max_count)?;
    let counts = launch::counts(ctx, request, launch.kind)?;
    let reservation = ctx.draw(ReservationId::from_bits);
    let mut made: Vec<Instance> = Vec::new();
    while made.len() < *counts.end() {
        match make(ctx, &launch, &interfaces, reservation, made.len()) {
            Ok(instance) => made.push(instance),
            Err(_) if made.len() >= *counts.start() => break,
            Err(error) => return Err(error),
        }
    }
    ctx.remember(made.iter().map(|instance| instance.id));
    reply(ctx, made)
}

fn reply(ctx: &Context<'_>, made: Vec<Instance>) -> Result<Reservation, ApiError> {
    let mut described: Vec<_> = made.iter().map(|instance| described(ctx, instance)).collect();
    described.sort_by_key(|described| described.key());
    let reservation: Option<Reservation> = reservations(described).into_iter().next();
    reservation.ok_or_else(|| ApiError::internal("a launch without instances"))
}

/// Makes one instance with its ENIs. Where that fails midway, what it made is taken out of the plan again.
fn make(
    ctx: &mut Context<'_>,
    launch: &Launch<'_>,
    interfaces: &[Interface],
    reservation: ReservationId,
    index: usize,
) -> Result<Instance, ApiError> {
    let id = ctx.draw(InstanceId::from_bits);
    let mut attached: Vec<Eni> = Vec::new();
    for interface in interfaces {
        match attach(ctx, launch, interface, id) {
            Ok(eni) => attached.push(eni),
            Err(error) => {
                undo(ctx, interfaces, &attached);
                return Err(error);
            }
        }
    }
    let primary = attached.first().ok_or_else(|| ApiError::internal("a launch without interfaces"))?;
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    let instance = launch.instance(ctx, id, reservation, index, primary);
    ctx.put(instance.clone());
    if let Err(error) = automatic::give(ctx, primary.id) {
        ctx.delete(RecordKey::Instance(id));
        undo(ctx, interfaces, &attached);
        return Err(error);
    }
    Ok(instance)
}

/// Makes or finds the ENI and attaches it.
fn attach(ctx: &mut Context<'_>, launch: &Launch<'_>, interface: &Interface, id: InstanceId) -> Result<Eni, ApiError> {
    let eni = match &interface.source {
        Source::Existing(eni) => (**eni).clone(),
        Source::New(new) => interfaces::create(ctx, (**new).clone(), launch.kind)?,
    };
    let attachment = EniAttachment {
        id: ctx.draw(EniAttachmentId::from_bits),
        instance: id,
        instance_owner: ctx.account(),
        device_index: interface.device_index,
        network_card_index: interface.network_card_index,
        attached_at: ctx.now,
        delete_on_termination: interface.delete_on_termination,
    };
    Ok(ctx.edit(&eni, |eni| {
        eni.attachment = Some(attachment);
        eni.associate_public_ip = interface.associate_public_ip;
    }))
}

fn undo(ctx: &mut Context<'_>, interfaces: &[Interface], attached: &[Eni]) {
    for (interface, eni) in interfaces.iter().zip(attached) {
        match &interface.source {
            Source::Existing(before) => ctx.put((**before).clone()),
            Source::New(_) => ctx.delete(RecordKey::Eni(eni.id)),
        }
    }
}
