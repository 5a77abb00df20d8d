//! ModifyInstanceAttribute and ResetInstanceAttribute.

use super::{credit, user_data};
use crate::context::refuse_unsupported;
use crate::network_interface::{check_fits, set_groups};
use crate::{Context, image};
use gp_ec2::ApiError;
use gp_ec2::shapes::{ModifyInstanceAttributeRequest, ResetInstanceAttributeRequest};
use gp_model::{Eni, Instance, InstanceState};
use std::sync::Arc;

/// One attribute and its new value, from either of the two forms that a request may have.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Edit {
    InstanceType(String),
    UserData(String),
    DisableApiTermination(bool),
    DisableApiStop(bool),
    ShutdownBehavior(String),
    SourceDestCheck(bool),
    Groups(Vec<String>),
    EbsOptimized(bool),
    EnaSupport,
    NoEnclave,
}

/// # Errors
/// `InvalidInstanceID.NotFound`; `InvalidParameterCombination` unless exactly one attribute is given;
/// `IncorrectInstanceState` for what only a stopped instance can change; `InvalidInstanceID` where several ENIs make
/// the attribute ambiguous; and the refusals of the value itself.
pub(crate) fn modify_attribute(
    ctx: &mut Context<'_>,
    request: &ModifyInstanceAttributeRequest,
) -> Result<(), ApiError> {
    let instance = ctx.instance(request.instance_id.as_deref().unwrap_or_default())?;
    match edit_of(request)? {
        Edit::InstanceType(kind) => set_type(ctx, &instance, &kind)?,
        Edit::UserData(data) => {
            check_stopped(&instance)?;
            let data = user_data::check(ctx, Some(&data))?;
            ctx.edit(&*instance, |instance| instance.user_data = data);
        }
        Edit::DisableApiTermination(disable) => {
            ctx.edit(&*instance, |instance| instance.disable_api_termination = disable);
        }
        Edit::DisableApiStop(disable) => {
            ctx.edit(&*instance, |instance| instance.disable_api_stop = disable);
        }
        Edit::ShutdownBehavior(behavior) => {
            check_behavior(&behavior)?;
            ctx.edit(&*instance, |instance| instance.shutdown_behavior = behavior);
        }
        Edit::SourceDestCheck(check) => {
            let eni = only_eni(ctx, &instance)?;
            ctx.edit(&*eni, |eni| eni.source_dest_check = check);
        }
        Edit::Groups(groups) => {
            let eni = only_eni(ctx, &instance)?;
            let mut edited = (*eni).clone();
            set_groups(ctx, &mut edited, &groups)?;
            ctx.edit(&*eni, |eni| *eni = edited);
        }
        Edit::EbsOptimized(optimized) => {
            check_stopped(&instance)?;
            ctx.edit(&*instance, |instance| instance.ebs_optimized = optimized);
        }
        // Both are so already.
        Edit::EnaSupport | Edit::NoEnclave => check_stopped(&instance)?,
    }
    Ok(())
}

fn edit_of(request: &ModifyInstanceAttributeRequest) -> Result<Edit, ApiError> {
    let enclave = request.enclave_options.as_ref().and_then(|options| options.enabled);
    let ena = request.ena_support.as_ref().and_then(|flag| flag.value);
    refuse_unsupported(&[
        ("BlockDeviceMapping", !request.block_device_mappings.is_empty()),
        ("EnclaveOptions", enclave == Some(true)),
        ("EnaSupport", ena == Some(false)),
        ("Kernel", request.kernel.is_some()),
        ("Ramdisk", request.ramdisk.is_some()),
        ("SriovNetSupport", request.sriov_net_support.is_some()),
    ])?;
    let flag = |given: &Option<gp_ec2::shapes::AttributeBooleanValue>| given.as_ref().and_then(|flag| flag.value);
    let text =
        |given: &Option<gp_ec2::shapes::AttributeValue>| given.as_ref().map(|v| v.value.clone().unwrap_or_default());
    let data = request.user_data.as_ref().map(|data| data.value.clone().unwrap_or_default());
    let groups = Some(request.groups.clone()).filter(|groups| !groups.is_empty());
    let by_name = request.attribute.as_deref().map(|name| edit_by_name(name, request.value.as_deref())).transpose()?;
    let edits = [
        by_name,
        text(&request.instance_type).map(Edit::InstanceType),
        data.map(Edit::UserData),
        flag(&request.disable_api_termination).map(Edit::DisableApiTermination),
        flag(&request.disable_api_stop).map(Edit::DisableApiStop),
        text(&request.instance_initiated_shutdown_behavior).map(Edit::ShutdownBehavior),
        flag(&request.source_dest_check).map(Edit::SourceDestCheck),
        groups.map(Edit::Groups),
        flag(&request.ebs_optimized).map(Edit::EbsOptimized),
        ena.map(|_| Edit::EnaSupport),
        enclave.map(|_| Edit::NoEnclave),
    ];
    let mut edits = edits.into_iter().flatten();
    let combination = |message: &str| ApiError::client("InvalidParameterCombination", message);
    match (edits.next(), edits.next()) {
        (Some(edit), None) => Ok(edit),
        (None, _) => Err(combination("No attributes specified.")),
        (Some(_), Some(_)) => Err(combination("Fields for multiple attribute types specified")),
    }
}

/// The older form: `Attribute=…&Value=…`.
fn edit_by_name(name: &str, value: Option<&str>) -> Result<Edit, ApiError> {
    let value = value.ok_or_else(|| ApiError::missing_parameter("value"))?;
    let flag = || match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(ApiError::invalid_value(value, "Value", "Expecting true or false.")),
    };
    Ok(match name {
        "instanceType" => Edit::InstanceType(value.to_owned()),
        "userData" => Edit::UserData(value.to_owned()),
        "disableApiTermination" => Edit::DisableApiTermination(flag()?),
        "disableApiStop" => Edit::DisableApiStop(flag()?),
        "instanceInitiatedShutdownBehavior" => Edit::ShutdownBehavior(value.to_owned()),
        "sourceDestCheck" => Edit::SourceDestCheck(flag()?),
        "ebsOptimized" => Edit::EbsOptimized(flag()?),
        _ => return Err(ApiError::unsupported(format!("The attribute {name} cannot be modified in Groundplane."))),
    })
}

/// # Errors
/// `InvalidParameterValue` for anything but `stop` and `terminate`.
pub(super) fn check_behavior(behavior: &str) -> Result<(), ApiError> {
    if matches!(behavior, "stop" | "terminate") {
        return Ok(());
    }
    Err(ApiError::invalid_value(behavior, "InstanceInitiatedShutdownBehavior", "Expecting stop or terminate."))
}

fn check_stopped(instance: &Instance) -> Result<(), ApiError> {
    if instance.state == InstanceState::Stopped {
        return Ok(());
    }
    let message = format!("The instance '{}' is not in the 'stopped' state.", instance.id);
    Err(ApiError::client("IncorrectInstanceState", message))
}

fn set_type(ctx: &mut Context<'_>, instance: &Arc<Instance>, name: &str) -> Result<(), ApiError> {
    check_stopped(instance)?;
    let kind = super::run::known_type(name)?;
    if let Some(image) = image::find(ctx.region(), instance.image) {
        super::run::check_architecture(kind, image)?;
    }
    let enis = ctx.world().enis_of_instance(instance.id);
    check_fits(ctx.world(), kind, enis.iter().map(Arc::as_ref))?;
    let credits = match (&instance.cpu_credits, kind.burstable) {
        (Some(kept), true) => Some(kept.clone()),
        _ => credit::of_type(kind, None)?,
    };
    ctx.edit(&**instance, |instance| {
        instance.instance_type = kind.name.clone();
        instance.cpu_credits = credits;
    });
    Ok(())
}

/// The ENI that an attribute of the instance is about.
fn only_eni(ctx: &Context<'_>, instance: &Instance) -> Result<Arc<Eni>, ApiError> {
    let enis = ctx.world().enis_of_instance(instance.id);
    match enis.as_slice() {
        [eni] => Ok(eni.clone()),
        [] => {
            let message = format!("The instance '{}' is not in a state from which it can be modified.", instance.id);
            Err(ApiError::client("IncorrectInstanceState", message))
        }
        _ => {
            let message = format!(
                "There are multiple interfaces attached to instance '{}'. Please specify an interface ID for the \
                 operation instead.",
                instance.id
            );
            Err(ApiError::client("InvalidInstanceID", message))
        }
    }
}

/// # Errors
/// `InvalidInstanceID.NotFound`, `UnsupportedOperation` for kernel and RAM disk, `InvalidParameterValue` for what
/// can't be reset.
pub(crate) fn reset_attribute(ctx: &mut Context<'_>, request: &ResetInstanceAttributeRequest) -> Result<(), ApiError> {
    let instance = ctx.instance(request.instance_id.as_deref().unwrap_or_default())?;
    match request.attribute.as_deref().unwrap_or_default() {
        "sourceDestCheck" => {
            let eni = only_eni(ctx, &instance)?;
            ctx.edit(&*eni, |eni| eni.source_dest_check = true);
            Ok(())
        }
        name @ ("kernel" | "ramdisk") => {
            Err(ApiError::unsupported(format!("The attribute {name} cannot be reset in Groundplane.")))
        }
        other => Err(ApiError::invalid_value(other, "Attribute", "This attribute cannot be reset.")),
    }
}
