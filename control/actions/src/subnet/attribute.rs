//! ModifySubnetAttribute.

use crate::Context;
use crate::context::refuse_unsupported;
use gp_ec2::{ApiError, shapes};
use gp_model::{HostnameType, Subnet};

/// One attribute per call. What would need a resolver or an Outpost can only be switched off.
///
/// # Errors
/// `InvalidSubnetID.NotFound`, `MissingParameter`, `InvalidParameterCombination`, `InvalidParameterValue`,
/// `UnsupportedOperation`.
pub(crate) fn modify_attribute(
    ctx: &mut Context<'_>,
    request: &shapes::ModifySubnetAttributeRequest,
) -> Result<(), ApiError> {
    let subnet = ctx.subnet(request.subnet_id.as_deref().unwrap_or_default())?;
    check_one(request)?;
    let on = |value: &Option<shapes::AttributeBooleanValue>| value.as_ref().and_then(|value| value.value);
    refuse_unsupported(&[
        ("MapCustomerOwnedIpOnLaunch", on(&request.map_customer_owned_ip_on_launch) == Some(true)),
        ("CustomerOwnedIpv4Pool", request.customer_owned_ipv4_pool.is_some()),
        ("EnableLniAtDeviceIndex", request.enable_lni_at_device_index.is_some()),
        ("EnableDns64", on(&request.enable_dns64) == Some(true)),
        (
            "EnableResourceNameDnsARecordOnLaunch",
            on(&request.enable_resource_name_dns_a_record_on_launch) == Some(true),
        ),
        (
            "EnableResourceNameDnsAAAARecordOnLaunch",
            on(&request.enable_resource_name_dns_aaaa_record_on_launch) == Some(true),
        ),
    ])?;
    let assign = on(&request.assign_ipv6_address_on_creation).unwrap_or(subnet.assign_ipv6_address_on_creation);
    check_assign_ipv6(&subnet, assign)?;
    let hostname_type = match request.private_dns_hostname_type_on_launch.as_deref() {
        Some("resource-name") => HostnameType::ResourceName,
        Some(_) if subnet.is_ipv6_native() => {
            let message = "An IPv6-only subnet's hostname type cannot be ip-name";
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
        Some(_) => HostnameType::IpName,
        None => subnet.hostname_type,
    };
    let map_public = on(&request.map_public_ip_on_launch).unwrap_or(subnet.map_public_ip_on_launch);
    if map_public && subnet.is_ipv6_native() {
        let message = "Invalid value 'true' for mapPublicIpOnLaunch in an IPv6-only subnet.";
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    ctx.edit(&*subnet, |subnet| {
        subnet.map_public_ip_on_launch = map_public;
        subnet.assign_ipv6_address_on_creation = assign;
        subnet.hostname_type = hostname_type;
    });
    Ok(())
}

fn check_one(request: &shapes::ModifySubnetAttributeRequest) -> Result<(), ApiError> {
    let given = [
        request.assign_ipv6_address_on_creation.is_some(),
        request.map_public_ip_on_launch.is_some(),
        request.map_customer_owned_ip_on_launch.is_some(),
        request.enable_dns64.is_some(),
        request.private_dns_hostname_type_on_launch.is_some(),
        request.enable_resource_name_dns_a_record_on_launch.is_some(),
        request.enable_resource_name_dns_aaaa_record_on_launch.is_some(),
        request.enable_lni_at_device_index.is_some(),
        request.disable_lni_at_device_index.is_some(),
    ];
    match given.iter().filter(|given| **given).count() {
        0 => Err(ApiError::client("MissingParameter", "The request must contain exactly one subnet attribute")),
        1 => Ok(()),
        _ => {
            let message = "Fields for multiple attribute types specified";
            Err(ApiError::client("InvalidParameterCombination", message))
        }
    }
}

fn check_assign_ipv6(subnet: &Subnet, assign: bool) -> Result<(), ApiError> {
    if assign && subnet.ipv6_cidrs.is_empty() {
        let message = format!(
            "Invalid value 'true' for assignIpv6AddressOnCreation. The subnet {} has no IPv6 CIDR block.",
            subnet.id
        );
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    if !assign && subnet.is_ipv6_native() {
        let message = "Invalid value 'false' for assignIpv6AddressOnCreation in an IPv6-only subnet.";
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    Ok(())
}
