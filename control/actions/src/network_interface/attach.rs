//! AttachNetworkInterface and DetachNetworkInterface.
//!
//! The rules (EC2 user guide, "Network interface attachments"): same zone, a free device index, room for one more by
//! the instance type. The VPC may be another one than the instance's.

use super::{check_fits, managed, usage};
use crate::context::refuse_unsupported;
use crate::{Context, trunk};
use gp_ec2::ApiError;
use gp_ec2::shapes::{
    AttachNetworkInterfaceRequest, AttachNetworkInterfaceResult, DetachNetworkInterfaceRequest, EnaSrdSpecification,
};
use gp_model::{Eni, EniAttachment, EniAttachmentId, Instance, InstanceState, LastAttachment, Zone};
use std::sync::Arc;

/// # Errors
/// `InvalidNetworkInterface.InUse`, `IncorrectState`, `InvalidParameterCombination` for another zone,
/// `InvalidParameterValue` for a device index, `AttachmentLimitExceeded`, and those of the look-ups.
pub(crate) fn attach(
    ctx: &mut Context<'_>,
    request: &AttachNetworkInterfaceRequest,
) -> Result<AttachNetworkInterfaceResult, ApiError> {
    let srd = |srd: &EnaSrdSpecification| srd.ena_srd_enabled == Some(true);
    refuse_unsupported(&[
        ("EnaSrdSpecification", request.ena_srd_specification.as_ref().is_some_and(srd)),
        ("EnaQueueCount", request.ena_queue_count.is_some()),
    ])?;
    let eni = ctx.eni(request.network_interface_id.as_deref().unwrap_or_default())?;
    let instance = ctx.instance(request.instance_id.as_deref().unwrap_or_default())?;
    let device_index = index(request.device_index, "DeviceIndex")?;
    let network_card_index = index(Some(request.network_card_index.unwrap_or_default()), "NetworkCardIndex")?;
    check_free(&eni)?;
    managed::check_changeable(&eni)?;
    if !matches!(instance.state, InstanceState::Running | InstanceState::Stopped) {
        return Err(not_attachable(&instance));
    }
    check_zone(&eni, &instance.zone)?;
    let attachment = EniAttachment {
        id: ctx.draw(EniAttachmentId::from_bits),
        instance: instance.id,
        instance_owner: instance.owner,
        device_index,
        network_card_index,
        attached_at: ctx.now,
        delete_on_termination: false,
    };
    let attached = Eni { attachment: Some(attachment.clone()), ..(*eni).clone() };
    check_room(ctx, &instance, &attached)?;
    let vpc = attached.vpc;
    ctx.put(attached);
    usage::check(ctx, vpc)?;
    Ok(AttachNetworkInterfaceResult {
        attachment_id: Some(attachment.id.to_string()),
        network_card_index: Some(network_card_index.into()),
    })
}

fn index(given: Option<i64>, parameter: &str) -> Result<u32, ApiError> {
    let given = given.ok_or_else(|| ApiError::missing_parameter(parameter))?;
    u32::try_from(given)
        .map_err(|_| ApiError::invalid_value(given, parameter, "Expecting a number that is not negative."))
}

/// # Errors
/// `InvalidNetworkInterface.InUse` where the ENI is attached to something.
pub(crate) fn check_free(eni: &Eni) -> Result<(), ApiError> {
    match (&eni.attachment, &eni.service_attachment) {
        // A branch ENI is where its trunk is.
        (None, None) => trunk::refuse_branch(eni),
        _ => Err(ApiError::client("InvalidNetworkInterface.InUse", format!("Interface: [{}] in use.", eni.id))),
    }
}

/// # Errors
/// `InvalidParameterCombination` for an ENI of another zone.
pub(crate) fn check_zone(eni: &Eni, zone: &Zone) -> Result<(), ApiError> {
    if eni.zone == *zone {
        return Ok(());
    }
    let message = "You may not attach a network interface to an instance if they are not in the same availability zone";
    Err(ApiError::client("InvalidParameterCombination", message))
}

fn not_attachable(instance: &Instance) -> ApiError {
    let message = format!("The instance '{}' is not in a state from which it can be attached", instance.id);
    ApiError::client("IncorrectState", message)
}

/// Is the place free, and does the instance's type carry one more?
fn check_room(ctx: &Context<'_>, instance: &Instance, attached: &Eni) -> Result<(), ApiError> {
    let place = |eni: &Eni| eni.attachment.as_ref().map(|a| (a.network_card_index, a.device_index));
    let others = ctx.world().enis_of_instance(instance.id);
    if let Some((_, device)) = others.iter().map(|eni| place(eni)).find(|other| *other == place(attached)).flatten() {
        let message =
            format!("Instance '{}' already has an interface attached at device index '{device}'.", instance.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    let Some(kind) = gp_catalog::catalog().get(&instance.instance_type) else {
        return Err(ApiError::internal(format!("instance type {} is not in the catalogue", instance.instance_type)));
    };
    check_fits(ctx.world(), kind, others.iter().map(Arc::as_ref).chain([attached]))
}

pub(super) fn attachment_not_found(id: &str) -> ApiError {
    ApiError::client("InvalidAttachmentID.NotFound", format!("The attachment ID '{id}' does not exist"))
}

/// The address that was pinned as the primary IPv6 address no longer is.
///
/// # Errors
/// `InvalidAttachmentID.NotFound`, `OperationNotPermitted` for the primary ENI or another service's, `IncorrectState`
/// while the instance starts.
pub(crate) fn detach(ctx: &mut Context<'_>, request: &DetachNetworkInterfaceRequest) -> Result<(), ApiError> {
    let given = request.attachment_id.as_deref().unwrap_or_default();
    managed::check_attachment_id(given)?;
    let id: EniAttachmentId = given
        .parse()
        .map_err(|e: gp_model::ParseIdError| ApiError::client("InvalidAttachmentID.Malformed", e.to_string()))?;
    let own = |eni: &&Arc<Eni>| eni.owner == ctx.account();
    let eni = ctx.world().eni_of_attachment(id).filter(own).cloned().ok_or_else(|| attachment_not_found(given))?;
    let attachment = eni.attachment.as_ref().ok_or_else(|| attachment_not_found(given))?;
    if attachment.device_index == 0 && attachment.network_card_index == 0 {
        let message = "The network interface at device index 0 and networkCard index 0 cannot be detached.";
        return Err(ApiError::client("OperationNotPermitted", message));
    }
    if ctx.world().instance(attachment.instance).is_some_and(|i| i.state == InstanceState::Pending) {
        let message = format!("The instance '{}' is not in a state from which it can be detached", attachment.instance);
        return Err(ApiError::client("IncorrectState", message));
    }
    let detached_at = ctx.now;
    ctx.edit(&*eni, |eni| {
        let last = eni.attachment.take().map(|attachment| Box::new(LastAttachment { attachment, detached_at }));
        eni.last_attachment = last.or(eni.last_attachment.take());
        eni.primary_ipv6 = false;
    });
    Ok(())
}
