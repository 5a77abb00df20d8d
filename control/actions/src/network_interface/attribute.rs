//! Describe-, Modify- and ResetNetworkInterfaceAttribute.

use super::create::check_description;
use super::managed::{check_attachment_id, check_changeable, may_set_groups};
use super::new_eni::check_primary_ipv6;
use super::{connection_tracking, resolve_groups, view};
use crate::Context;
use crate::address::automatic;
use crate::context::refuse_unsupported;
use gp_ec2::ApiError;
use gp_ec2::shapes::{
    AttributeBooleanValue, AttributeValue, DescribeNetworkInterfaceAttributeRequest,
    DescribeNetworkInterfaceAttributeResult, ModifyNetworkInterfaceAttributeRequest, NetworkInterfaceAttachmentChanges,
    ResetNetworkInterfaceAttributeRequest,
};
use gp_model::{Eni, EniAttachment};

/// # Errors
/// `InvalidNetworkInterfaceID.NotFound`; `MissingParameter` without an attribute.
pub(crate) fn describe_attribute(
    ctx: &Context<'_>,
    request: &DescribeNetworkInterfaceAttributeRequest,
) -> Result<DescribeNetworkInterfaceAttributeResult, ApiError> {
    let eni = ctx.eni(request.network_interface_id.as_deref().unwrap_or_default())?;
    let mut result = DescribeNetworkInterfaceAttributeResult {
        network_interface_id: Some(eni.id.to_string()),
        ..Default::default()
    };
    match request.attribute.as_deref() {
        Some("description") => result.description = Some(AttributeValue { value: Some(eni.description.to_string()) }),
        Some("groupSet") => result.groups = view::group_identifiers(ctx.world(), &eni.groups),
        Some("sourceDestCheck") => {
            result.source_dest_check = Some(AttributeBooleanValue { value: Some(eni.source_dest_check) });
        }
        Some("attachment") => {
            result.attachment = view::attachment_of(ctx.world(), &eni);
        }
        Some("associatePublicIpAddress") => result.associate_public_ip_address = Some(eni.associate_public_ip),
        _ => return Err(ApiError::missing_parameter("attribute")),
    }
    Ok(result)
}

/// # Errors
/// `InvalidParameterCombination` unless exactly one attribute is given; `InvalidGroup.NotFound`,
/// `InvalidAttachmentID.NotFound` and the like for its value.
pub(crate) fn modify_attribute(
    ctx: &mut Context<'_>,
    request: &ModifyNetworkInterfaceAttributeRequest,
) -> Result<(), ApiError> {
    let eni = ctx.eni(request.network_interface_id.as_deref().unwrap_or_default())?;
    let srd = request.ena_srd_specification.as_ref();
    refuse_unsupported(&[
        ("EnaSrdSpecification", srd.is_some_and(|srd| srd.ena_srd_enabled == Some(true))),
        ("AssociatedSubnetId", !request.associated_subnet_ids.is_empty()),
    ])?;
    check_one_attribute(request)?;
    if let Some(changes) = request.attachment.as_ref() {
        check_attachment_id(changes.attachment_id.as_deref().unwrap_or_default())?;
    }
    if request.groups.is_empty() || !may_set_groups(&eni) {
        check_changeable(&eni)?;
    }
    let mut edited = (*eni).clone();
    if let Some(description) = request.description.as_ref() {
        edited.description = description.value.as_deref().unwrap_or_default().into();
        check_description(&edited.description)?;
    }
    if let Some(check) = request.source_dest_check.as_ref() {
        edited.source_dest_check = check.value.ok_or_else(|| ApiError::missing_parameter("SourceDestCheck.Value"))?;
    }
    if !request.groups.is_empty() {
        set_groups(ctx, &mut edited, &request.groups)?;
    }
    if request.connection_tracking_specification.is_some() {
        edited.connection_tracking = connection_tracking(request.connection_tracking_specification.as_ref())?;
    }
    if let Some(enable) = request.enable_primary_ipv6 {
        enable_primary_ipv6(&mut edited, enable)?;
    }
    if let Some(changes) = request.attachment.as_ref() {
        change_attachment(&mut edited, changes)?;
    }
    if let Some(wanted) = request.associate_public_ip_address {
        edited.associate_public_ip = wanted;
        if !wanted {
            edited.release_public_ipv4();
        }
    }
    ctx.edit(&*eni, |eni| *eni = edited);
    if request.associate_public_ip_address == Some(true) {
        automatic::give(ctx, eni.id)?;
    }
    Ok(())
}

fn check_one_attribute(request: &ModifyNetworkInterfaceAttributeRequest) -> Result<(), ApiError> {
    let given = [
        request.description.is_some(),
        request.source_dest_check.is_some(),
        !request.groups.is_empty(),
        request.attachment.is_some(),
        request.connection_tracking_specification.is_some(),
        request.ena_srd_specification.is_some(),
        request.enable_primary_ipv6.is_some(),
        request.associate_public_ip_address.is_some(),
    ];
    let message = match given.iter().filter(|given| **given).count() {
        1 => return Ok(()),
        0 => "No attributes specified.",
        _ => "Fields for multiple attribute types specified",
    };
    Err(ApiError::client("InvalidParameterCombination", message))
}

/// Puts the ENI into other groups of its VPC.
///
/// # Errors
/// As [`resolve_groups`].
pub(crate) fn set_groups(ctx: &Context<'_>, eni: &mut Eni, groups: &[String]) -> Result<(), ApiError> {
    let subnet = ctx.subnet(&eni.subnet.to_string())?;
    eni.groups = resolve_groups(ctx, groups, &subnet)?.into();
    Ok(())
}

/// Pins the first IPv6 address until the ENI is detached or its instance terminated; AWS has no way back before that.
fn enable_primary_ipv6(eni: &mut Eni, enable: bool) -> Result<(), ApiError> {
    if eni.primary_ipv6 && !enable {
        let message = "A primary IPv6 address cannot be disabled once it is enabled.";
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    if enable {
        check_primary_ipv6(eni)?;
    }
    eni.primary_ipv6 = enable;
    Ok(())
}

fn change_attachment(eni: &mut Eni, changes: &NetworkInterfaceAttachmentChanges) -> Result<(), ApiError> {
    refuse_unsupported(&[("Attachment.EnaQueueCount", changes.ena_queue_count.is_some())])?;
    let given = changes.attachment_id.as_deref().ok_or_else(|| ApiError::missing_parameter("attachmentId"))?;
    let own = |attachment: &&mut EniAttachment| attachment.id.to_string() == given;
    let Some(attachment) = eni.attachment.as_mut().filter(own) else {
        return Err(super::attach::attachment_not_found(given));
    };
    if let Some(delete) = changes.delete_on_termination {
        attachment.delete_on_termination = delete;
    }
    Ok(())
}

/// # Errors
/// `InvalidNetworkInterfaceID.NotFound`; `MissingParameter` where nothing is to be reset.
pub(crate) fn reset_attribute(
    ctx: &mut Context<'_>,
    request: &ResetNetworkInterfaceAttributeRequest,
) -> Result<(), ApiError> {
    let eni = ctx.eni(request.network_interface_id.as_deref().unwrap_or_default())?;
    if request.source_dest_check.is_none() {
        return Err(ApiError::missing_parameter("sourceDestCheck"));
    }
    check_changeable(&eni)?;
    ctx.edit(&*eni, |eni| eni.source_dest_check = true);
    Ok(())
}
