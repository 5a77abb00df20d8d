//! DescribeRegions.

use crate::Context;
use crate::filter::{Filter, Filters, one};
use crate::place::{REGIONS, RegionFacts};
use gp_ec2::{ApiError, shapes};

/// AWS's regions, and the caller's own if it is none of them. Those that need an opt-in are listed on request, or if
/// the caller is in one.
///
/// # Errors
/// `InvalidParameterValue` for a region that does not exist, or an unknown filter.
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeRegionsRequest,
) -> Result<shapes::DescribeRegionsResult, ApiError> {
    let here = ctx.region().as_str();
    let own = REGIONS.iter().all(|region| region.name != here).then(|| shape(here, false, here));
    let mut regions: Vec<_> = REGIONS.iter().map(|facts| shape_of(facts, here)).chain(own).collect();
    let named = |region: &shapes::Region, name: &String| region.region_name.as_ref() == Some(name);
    for name in &request.region_names {
        if !regions.iter().any(|region| named(region, name)) {
            return Err(ApiError::client("InvalidParameterValue", format!("Invalid region: [{name}]")));
        }
    }
    let filters = Filters::new(ctx.action, &request.filters, FILTERS)?;
    regions.retain(|region| {
        let wanted = request.region_names.is_empty() || request.region_names.iter().any(|name| named(region, name));
        let enabled = region.opt_in_status.as_deref() != Some("not-opted-in");
        wanted && (enabled || request.all_regions == Some(true)) && filters.fit(region)
    });
    Ok(shapes::DescribeRegionsResult { regions })
}

const FILTERS: &[Filter<shapes::Region>] = &[
    ("endpoint", |r| one(&r.endpoint)),
    ("opt-in-status", |r| one(&r.opt_in_status)),
    ("region-name", |r| one(&r.region_name)),
];

fn shape_of(facts: &RegionFacts, here: &str) -> shapes::Region {
    shape(facts.name, facts.opt_in, here)
}

fn shape(name: &str, opt_in: bool, here: &str) -> shapes::Region {
    let opt_in_status = match opt_in {
        false => "opt-in-not-required",
        // Whoever calls from a region has it.
        true if name == here => "opted-in",
        true => "not-opted-in",
    };
    shapes::Region {
        opt_in_status: Some(opt_in_status.into()),
        region_name: Some(name.into()),
        endpoint: Some(format!("ec2.{name}.amazonaws.com")),
        ..Default::default()
    }
}
