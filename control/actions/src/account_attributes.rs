//! DescribeAccountAttributes.

use crate::Context;
use gp_ec2::{ApiError, shapes};

/// Without public addresses, the number of elastic addresses that one may have is 0.
///
/// # Errors
/// None: the decoder knows the attributes that may be asked for.
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeAccountAttributesRequest,
) -> Result<shapes::DescribeAccountAttributesResult, ApiError> {
    let quotas = &ctx.settings.quotas;
    let default_vpc = ctx.default_vpc().map_or("none".to_owned(), |vpc| vpc.id.to_string());
    let attributes = [
        ("supported-platforms", "VPC".to_owned()),
        ("vpc-max-security-groups-per-interface", quotas.security_groups_per_eni.to_string()),
        ("max-elastic-ips", "0".to_owned()),
        ("max-instances", quotas.vcpus.to_string()),
        ("vpc-max-elastic-ips", "0".to_owned()),
        ("default-vpc", default_vpc),
    ];
    let wanted = |name: &str| request.attribute_names.is_empty() || request.attribute_names.iter().any(|n| n == name);
    let shape = |(name, value): (&str, String)| shapes::AccountAttribute {
        attribute_name: Some(name.into()),
        attribute_values: vec![shapes::AccountAttributeValue { attribute_value: Some(value) }],
    };
    let account_attributes = attributes.into_iter().filter(|(name, _)| wanted(name)).map(shape).collect();
    Ok(shapes::DescribeAccountAttributesResult { account_attributes })
}
