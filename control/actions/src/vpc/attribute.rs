//! DescribeVpcAttribute, ModifyVpcAttribute and ModifyVpcTenancy.

use crate::Context;
use gp_ec2::{ApiError, shapes};

/// # Errors
/// `InvalidVpcID.NotFound`, `InvalidParameterValue`.
pub(crate) fn describe_attribute(
    ctx: &Context<'_>,
    request: &shapes::DescribeVpcAttributeRequest,
) -> Result<shapes::DescribeVpcAttributeResult, ApiError> {
    let vpc = ctx.vpc(request.vpc_id.as_deref().unwrap_or_default())?;
    let mut result = shapes::DescribeVpcAttributeResult { vpc_id: Some(vpc.id.to_string()), ..Default::default() };
    let value = |value| Some(shapes::AttributeBooleanValue { value: Some(value) });
    match request.attribute.as_deref().unwrap_or_default() {
        "enableDnsSupport" => result.enable_dns_support = value(vpc.dns_support),
        "enableDnsHostnames" => result.enable_dns_hostnames = value(vpc.dns_hostnames),
        "enableNetworkAddressUsageMetrics" => {
            result.enable_network_address_usage_metrics = value(vpc.network_address_usage_metrics);
        }
        other => return Err(ApiError::invalid_value(other, "Attribute", "Unknown attribute.")),
    }
    Ok(result)
}

/// One attribute per call. Metrics of address usage can't be switched on.
///
/// # Errors
/// `InvalidVpcID.NotFound`, `MissingParameter`, `InvalidParameterCombination`, `UnsupportedOperation`.
pub(crate) fn modify_attribute(
    ctx: &mut Context<'_>,
    request: &shapes::ModifyVpcAttributeRequest,
) -> Result<(), ApiError> {
    let vpc = ctx.vpc(request.vpc_id.as_deref().unwrap_or_default())?;
    let given = |value: &Option<shapes::AttributeBooleanValue>| value.as_ref().and_then(|value| value.value);
    let support = given(&request.enable_dns_support);
    let hostnames = given(&request.enable_dns_hostnames);
    let metrics = given(&request.enable_network_address_usage_metrics);
    match [support, hostnames, metrics].iter().flatten().count() {
        0 => return Err(ApiError::client("MissingParameter", "The request must contain exactly one VPC attribute")),
        1 => {}
        _ => {
            let message = "Fields for multiple attribute types specified";
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
    }
    if metrics == Some(true) {
        let message = "Network Address Usage metrics are not supported by Groundplane.";
        return Err(ApiError::unsupported(message));
    }
    let (support, hostnames) = (support.unwrap_or(vpc.dns_support), hostnames.unwrap_or(vpc.dns_hostnames));
    if hostnames && !support {
        let message = "The attribute enableDnsHostnames cannot be true while enableDnsSupport is false";
        return Err(ApiError::client("InvalidParameterCombination", message));
    }
    ctx.edit(&*vpc, |vpc| {
        vpc.dns_support = support;
        vpc.dns_hostnames = hostnames;
    });
    Ok(())
}

/// The only tenancy that may be asked for is the one that every VPC has.
///
/// # Errors
/// `InvalidVpcID.NotFound`.
pub(crate) fn modify_tenancy(
    ctx: &Context<'_>,
    request: &shapes::ModifyVpcTenancyRequest,
) -> Result<shapes::ModifyVpcTenancyResult, ApiError> {
    ctx.vpc(request.vpc_id.as_deref().unwrap_or_default())?;
    Ok(shapes::ModifyVpcTenancyResult { return_value: Some(true) })
}
