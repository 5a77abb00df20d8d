//! DescribeAvailabilityZones.

use crate::filter::{Filter, Filters, each, one};
use crate::{Context, ZoneFacts, zones_of};
use gp_ec2::{ApiError, shapes};

/// A region has ordinary zones alone: no local and no wavelength zones, so `AllAvailabilityZones` adds none.
///
/// # Errors
/// `InvalidParameterValue` for a zone that the region does not have, or an unknown filter.
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeAvailabilityZonesRequest,
) -> Result<shapes::DescribeAvailabilityZonesResult, ApiError> {
    let mut zones = zones_of(ctx.region(), ctx.settings);
    keep(&mut zones, &request.zone_names, "availability zone", |zone| zone.zone.as_str())?;
    keep(&mut zones, &request.zone_ids, "availability zone-id", |zone| &zone.id)?;
    let filters = Filters::new(ctx.action, &request.filters, FILTERS)?;
    let shapes = zones.iter().map(|zone| shape(ctx, zone));
    Ok(shapes::DescribeAvailabilityZonesResult {
        availability_zones: shapes.filter(|zone| filters.fit(zone)).collect(),
    })
}

/// Keeps the zones that the caller named, if any were.
fn keep(
    zones: &mut Vec<ZoneFacts>,
    wanted: &[String],
    noun: &str,
    name: fn(&ZoneFacts) -> &str,
) -> Result<(), ApiError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let unknown: Vec<_> = wanted.iter().filter(|wanted| !zones.iter().any(|zone| name(zone) == *wanted)).collect();
    if let Some(unknown) = unknown.first() {
        return Err(ApiError::client("InvalidParameterValue", format!("Invalid {noun}: [{unknown}]")));
    }
    zones.retain(|zone| wanted.iter().any(|wanted| wanted == name(zone)));
    Ok(())
}

const FILTERS: &[Filter<shapes::AvailabilityZone>] = &[
    ("group-long-name", |z| one(&z.group_long_name)),
    ("group-name", |z| one(&z.group_name)),
    ("message", |z| each(&z.messages, |m| m.message.clone())),
    ("opt-in-status", |z| one(&z.opt_in_status)),
    ("region-name", |z| one(&z.region_name)),
    ("state", |z| one(&z.state)),
    ("zone-id", |z| one(&z.zone_id)),
    ("zone-name", |z| one(&z.zone_name)),
    ("zone-type", |z| one(&z.zone_type)),
];

fn shape(ctx: &Context<'_>, zone: &ZoneFacts) -> shapes::AvailabilityZone {
    shapes::AvailabilityZone {
        opt_in_status: Some("opt-in-not-required".into()),
        region_name: Some(ctx.region().to_string()),
        zone_name: Some(zone.zone.to_string()),
        zone_id: Some(zone.id.clone()),
        group_name: Some(zone.group.clone()),
        network_border_group: Some(ctx.region().to_string()),
        zone_type: Some("availability-zone".into()),
        group_long_name: Some(zone.group_long_name.clone()),
        state: Some("available".into()),
        ..Default::default()
    }
}
