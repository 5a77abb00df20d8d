//! How many routes a table may have.

use crate::{Context, prefix_list};
use gp_ec2::ApiError;
use gp_model::{Route, RouteDestination, RouteOrigin, RouteTable};
use ipnet::IpNet;

/// IPv4 and IPv6 count apart. A prefix list counts as many as it may have entries, a local route not at all.
///
/// # Errors
/// `RouteLimitExceeded`.
pub(crate) fn check_quota(ctx: &Context<'_>, table: &RouteTable) -> Result<(), ApiError> {
    let weight = |route: &Route| match route.destination {
        RouteDestination::Block(IpNet::V4(_)) => (1, 0),
        RouteDestination::Block(IpNet::V6(_)) => (0, 1),
        RouteDestination::PrefixList(list) => prefix_list::weight(ctx.world(), list),
    };
    let made = table.routes.iter().filter(|route| route.origin == RouteOrigin::CreateRoute);
    let (ipv4, ipv6) = made.map(weight).fold((0, 0), |sum, weight| (sum.0 + weight.0, sum.1 + weight.1));
    if ipv4.max(ipv6) <= ctx.settings.quotas.routes_per_table {
        return Ok(());
    }
    Err(ApiError::client("RouteLimitExceeded", "The maximum number of routes has been reached."))
}
