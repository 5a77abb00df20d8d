//! DescribeInstanceAttribute.

use crate::network_interface::group_identifiers;
use crate::{Context, image};
use gp_ec2::ApiError;
use gp_ec2::shapes::{
    AttributeBooleanValue, AttributeValue, DescribeInstanceAttributeRequest, EnclaveOptions, InstanceAttribute,
};
use gp_model::Instance;

/// # Errors
/// `InvalidInstanceID.NotFound`; the decoder has checked the attribute's name.
pub(crate) fn describe_attribute(
    ctx: &Context<'_>,
    request: &DescribeInstanceAttributeRequest,
) -> Result<InstanceAttribute, ApiError> {
    let instance = ctx.instance(request.instance_id.as_deref().unwrap_or_default())?;
    let attribute = request.attribute.as_deref().unwrap_or_default();
    let mut shape = InstanceAttribute { instance_id: Some(instance.id.to_string()), ..Default::default() };
    fill(ctx, &instance, attribute, &mut shape)?;
    Ok(shape)
}

fn fill(
    ctx: &Context<'_>,
    instance: &Instance,
    attribute: &str,
    shape: &mut InstanceAttribute,
) -> Result<(), ApiError> {
    let text = |value: &str| Some(AttributeValue { value: Some(value.to_owned()) });
    let flag = |value: bool| Some(AttributeBooleanValue { value: Some(value) });
    // An attribute without a value is an empty element.
    let nothing = || Some(AttributeValue::default());
    let enis = ctx.world().enis_of_instance(instance.id);
    let primary = enis.first();
    match attribute {
        "instanceType" => shape.instance_type = text(&instance.instance_type),
        "userData" => shape.user_data = Some(AttributeValue { value: instance.user_data.clone() }),
        "disableApiTermination" => shape.disable_api_termination = flag(instance.disable_api_termination),
        "disableApiStop" => shape.disable_api_stop = flag(instance.disable_api_stop),
        "instanceInitiatedShutdownBehavior" => {
            shape.instance_initiated_shutdown_behavior = text(&instance.shutdown_behavior);
        }
        "rootDeviceName" => {
            let device = image::find(ctx.region(), instance.image).map(|image| image.root_device);
            shape.root_device_name = Some(AttributeValue { value: device.map(str::to_owned) });
        }
        "sourceDestCheck" => {
            shape.source_dest_check = primary.and_then(|eni| flag(eni.source_dest_check));
        }
        "groupSet" => {
            shape.groups = primary.map(|eni| group_identifiers(ctx.world(), &eni.groups)).unwrap_or_default();
        }
        "ebsOptimized" => shape.ebs_optimized = flag(instance.ebs_optimized),
        "enaSupport" => shape.ena_support = flag(true),
        "enclaveOptions" => shape.enclave_options = Some(EnclaveOptions { enabled: Some(false) }),
        "kernel" => shape.kernel_id = nothing(),
        "ramdisk" => shape.ramdisk_id = nothing(),
        "sriovNetSupport" => shape.sriov_net_support = nothing(),
        // Sandboxes have no volumes and no product codes.
        "blockDeviceMapping" | "productCodes" => {}
        other => return Err(ApiError::invalid_value(other, "Attribute", "")),
    }
    Ok(())
}
