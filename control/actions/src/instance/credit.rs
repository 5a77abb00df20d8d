//! CPU credits of burstable instances. Sandboxes share the host's processors; the option is kept for its readers.

use crate::Context;
use crate::filter::{Filter, Tagged, one};
use crate::page::Query;
use gp_catalog::InstanceType;
use gp_ec2::ApiError;
use gp_ec2::shapes::{
    DescribeInstanceCreditSpecificationsRequest, DescribeInstanceCreditSpecificationsResult,
    InstanceCreditSpecification, Tag,
};

impl Tagged for InstanceCreditSpecification {
    fn tags(&self) -> &[Tag] {
        &[]
    }
}

const FILTERS: &[Filter<InstanceCreditSpecification>] = &[("instance-id", |spec| one(&spec.instance_id))];

/// The option of an instance of that type: the caller's choice or AWS's default.
///
/// # Errors
/// `InvalidParameterValue` for another word; `InvalidParameterCombination` for a type without credits.
pub(super) fn of_type(kind: &InstanceType, chosen: Option<&str>) -> Result<Option<String>, ApiError> {
    match (kind.burstable, chosen) {
        (false, None) => Ok(None),
        (false, Some(_)) => {
            let message = format!("Credit specification is not supported for the '{}' instance type.", kind.name);
            Err(ApiError::client("InvalidParameterCombination", message))
        }
        (true, Some(chosen @ ("standard" | "unlimited"))) => Ok(Some(chosen.to_owned())),
        (true, Some(other)) => Err(ApiError::invalid_value(other, "CpuCredits", "Expecting standard or unlimited.")),
        // T2 is the only family that AWS starts with `standard`.
        (true, None) => Ok(Some(if kind.family() == "t2" { "standard" } else { "unlimited" }.to_owned())),
    }
}

/// # Errors
/// `InvalidInstanceID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe_credit_specifications(
    ctx: &Context<'_>,
    request: &DescribeInstanceCreditSpecificationsRequest,
) -> Result<DescribeInstanceCreditSpecificationsResult, ApiError> {
    let instances = ctx.instances(&request.instance_ids)?;
    let named = !request.instance_ids.is_empty();
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (named, "instancesSet"),
    };
    let shapes = instances.iter().filter_map(|instance| {
        let credits = instance.cpu_credits.clone()?;
        // Without ids, AWS lists those that may cost extra.
        (named || credits == "unlimited").then(|| InstanceCreditSpecification {
            instance_id: Some(instance.id.to_string()),
            cpu_credits: Some(credits),
        })
    });
    let key = |spec: &InstanceCreditSpecification| spec.instance_id.clone().unwrap_or_default();
    let (instance_credit_specifications, next_token) = ctx.list(shapes, query, FILTERS, key)?;
    let result = DescribeInstanceCreditSpecificationsResult { instance_credit_specifications, next_token };
    Ok(result)
}
