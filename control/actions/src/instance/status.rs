//! DescribeInstanceStatus: a running instance's checks are passed, since its host has said that it runs.

use super::state::state_shape;
use crate::Context;
use crate::filter::{Filter, Tagged, one};
use crate::page::Query;
use gp_ec2::ApiError;
use gp_ec2::shapes::{
    DescribeInstanceStatusRequest, DescribeInstanceStatusResult, InstanceStatus, InstanceStatusDetails,
    InstanceStatusSummary, OperatorResponse, Tag,
};
use gp_model::{Instance, InstanceState};

impl Tagged for InstanceStatus {
    fn tags(&self) -> &[Tag] {
        &[]
    }
}

const FILTERS: &[Filter<InstanceStatus>] = &[
    ("availability-zone", |status| one(&status.availability_zone)),
    ("availability-zone-id", |status| one(&status.availability_zone_id)),
    ("instance-state-code", |status| one(&status.instance_state.as_ref().and_then(|state| state.code))),
    ("instance-state-name", |status| one(&status.instance_state.as_ref().and_then(|state| state.name.clone()))),
    ("instance-status.reachability", |status| reachability(&status.instance_status)),
    ("instance-status.status", |status| summary_status(&status.instance_status)),
    ("operator.managed", |status| one(&status.operator.as_ref().and_then(|operator| operator.managed))),
    ("system-status.reachability", |status| reachability(&status.system_status)),
    ("system-status.status", |status| summary_status(&status.system_status)),
];

fn summary_status(summary: &Option<InstanceStatusSummary>) -> Vec<String> {
    one(&summary.as_ref().and_then(|summary| summary.status.clone()))
}

fn reachability(summary: &Option<InstanceStatusSummary>) -> Vec<String> {
    summary.iter().flat_map(|summary| &summary.details).filter_map(|detail| detail.status.clone()).collect()
}

/// # Errors
/// `InvalidInstanceID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe_status(
    ctx: &Context<'_>,
    request: &DescribeInstanceStatusRequest,
) -> Result<DescribeInstanceStatusResult, ApiError> {
    let instances = ctx.instances(&request.instance_ids)?;
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.instance_ids.is_empty(), "instancesSet"),
    };
    let all = request.include_all_instances == Some(true);
    let shown = instances.iter().filter(|instance| all || instance.state == InstanceState::Running);
    let key = |status: &InstanceStatus| status.instance_id.clone().unwrap_or_default();
    let (instance_statuses, next_token) = ctx.list(shown.map(|i| shape(ctx, i)), query, FILTERS, key)?;
    Ok(DescribeInstanceStatusResult { instance_statuses, next_token })
}

fn shape(ctx: &Context<'_>, instance: &Instance) -> InstanceStatus {
    let zones = crate::zones_of(ctx.region(), ctx.settings);
    InstanceStatus {
        availability_zone: Some(instance.zone.to_string()),
        availability_zone_id: zones.into_iter().find(|facts| facts.zone == instance.zone).map(|facts| facts.id),
        operator: Some(OperatorResponse { managed: Some(false), ..Default::default() }),
        instance_id: Some(instance.id.to_string()),
        instance_state: Some(state_shape(instance.state)),
        instance_status: Some(summary(instance.state)),
        system_status: Some(summary(instance.state)),
        ..Default::default()
    }
}

fn summary(state: InstanceState) -> InstanceStatusSummary {
    let (status, reachability) = match state {
        InstanceState::Running => ("ok", Some("passed")),
        InstanceState::Pending => ("initializing", Some("initializing")),
        _ => ("not-applicable", None),
    };
    let detail = |reachability: &str| InstanceStatusDetails {
        name: Some("reachability".to_owned()),
        status: Some(reachability.to_owned()),
        ..Default::default()
    };
    InstanceStatusSummary { status: Some(status.to_owned()), details: reachability.map(detail).into_iter().collect() }
}
