//! The parameters of a launch that a sandbox can't honour. Each is refused by name, so that nothing is only recorded.

use crate::context::refuse_unsupported;
use crate::subnet::hostname_type;
use gp_ec2::ApiError;
use gp_ec2::shapes::{BlockDeviceMapping, RunInstancesRequest};
use gp_model::Subnet;

/// # Errors
/// `UnsupportedOperation` naming the parameter.
pub(super) fn refuse(request: &RunInstancesRequest) -> Result<(), ApiError> {
    let reserved = request.capacity_reservation_specification.as_ref();
    let performance = request.network_performance_options.as_ref().and_then(|o| o.bandwidth_weighting.as_deref());
    let recovery = request.maintenance_options.as_ref().and_then(|options| options.auto_recovery.as_deref());
    let hibernates = request.hibernation_options.as_ref().and_then(|options| options.configured);
    let enclave = request.enclave_options.as_ref().and_then(|options| options.enabled);
    refuse_unsupported(&[
        ("LaunchTemplate", request.launch_template.is_some()),
        ("InstanceMarketOptions", request.instance_market_options.is_some()),
        ("IamInstanceProfile", request.iam_instance_profile.is_some()),
        ("KernelId", request.kernel_id.is_some()),
        ("RamdiskId", request.ramdisk_id.is_some()),
        ("ElasticGpuSpecification", !request.elastic_gpu_specification.is_empty()),
        ("ElasticInferenceAccelerator", !request.elastic_inference_accelerators.is_empty()),
        ("LicenseSpecification", !request.license_specifications.is_empty()),
        ("CpuOptions", request.cpu_options.is_some()),
        ("CapacityReservationTarget", reserved.is_some_and(|spec| spec.capacity_reservation_target.is_some())),
        ("HibernationOptions", hibernates == Some(true)),
        ("EnclaveOptions", enclave == Some(true)),
        ("MaintenanceOptions", recovery.is_some_and(|recovery| recovery != "default")),
        ("NetworkPerformanceOptions", performance.is_some_and(|weighting| weighting != "default")),
        ("SecondaryInterface", !request.secondary_interfaces.is_empty()),
        ("Operator", request.operator.is_some()),
    ])?;
    for mapping in &request.block_device_mappings {
        refuse_volume(mapping)?;
    }
    Ok(())
}

/// An instance is named as its subnet says; a request may say the same.
///
/// # Errors
/// `UnsupportedOperation` for another name.
pub(super) fn refuse_other_names(request: &RunInstancesRequest, subnet: &Subnet) -> Result<(), ApiError> {
    let Some(options) = &request.private_dns_name_options else { return Ok(()) };
    let other = |kind: &str| kind != hostname_type(subnet.hostname_type);
    refuse_unsupported(&[
        ("PrivateDnsNameOptions.HostnameType", options.hostname_type.as_deref().is_some_and(other)),
        ("PrivateDnsNameOptions.EnableResourceNameDnsARecord", options.enable_resource_name_dns_a_record == Some(true)),
        (
            "PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord",
            options.enable_resource_name_dns_aaaa_record == Some(true),
        ),
    ])
}

/// The names that the images' root devices go by.
const ROOT_DEVICES: [&str; 2] = ["/dev/sda1", "/dev/xvda"];

/// A sandbox's root is a view of the host's, so a mapping of the root changes nothing and is accepted, as is one that
/// takes a device away or names an instance store that the type may lack. A further volume is not.
fn refuse_volume(mapping: &BlockDeviceMapping) -> Result<(), ApiError> {
    let root = mapping.device_name.as_deref().is_some_and(|name| ROOT_DEVICES.contains(&name));
    if mapping.ebs.is_none() || root {
        return Ok(());
    }
    let device = mapping.device_name.as_deref().unwrap_or_default();
    Err(ApiError::unsupported(format!("The volume '{device}' can't be attached: Groundplane has no volumes.")))
}
