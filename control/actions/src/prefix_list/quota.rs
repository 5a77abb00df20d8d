//! A list counts as many times as it may have entries, however many it has: for the routes of a table and for the
//! rules of a group.

use crate::{Context, route, security_group};
use gp_ec2::ApiError;
use gp_model::{Direction, PrefixListId, World};

/// How much a route or a rule that names the list counts among those of IPv4 and of IPv6.
pub(crate) fn weight(world: &World, list: PrefixListId) -> (usize, usize) {
    match world.prefix_list(list) {
        Some(list) if list.address_family == "IPv6" => (0, list.max_entries as usize),
        Some(list) => (list.max_entries as usize, 0),
        None => (0, 0),
    }
}

/// Has everything that names the list still room for it?
///
/// # Errors
/// `RouteLimitExceeded`, `RulesPerSecurityGroupLimitExceeded`.
pub(super) fn check_referrers(ctx: &Context<'_>, list: PrefixListId) -> Result<(), ApiError> {
    let world = ctx.world();
    for table in world.tables_naming_list(list).filter_map(|id| world.route_table(id)) {
        route::check_quota(ctx, table)?;
    }
    for group in world.groups_naming_list(list).filter_map(|id| world.security_group(id)) {
        for direction in [Direction::Ingress, Direction::Egress] {
            security_group::check_quota(ctx, group, direction)?;
        }
    }
    Ok(())
}
