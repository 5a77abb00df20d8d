//! What names a list: GetManagedPrefixListAssociations.

use crate::Context;
use crate::page::Query;
use gp_ec2::{ApiError, shapes};
use gp_model::PrefixListId;

/// # Errors
/// `InvalidPrefixListID.NotFound`, and those of [`Context::list`].
pub(crate) fn associations(
    ctx: &Context<'_>,
    request: &shapes::GetManagedPrefixListAssociationsRequest,
) -> Result<shapes::GetManagedPrefixListAssociationsResult, ApiError> {
    let list = ctx.prefix_list(request.prefix_list_id.as_deref().unwrap_or_default())?;
    let query = Query {
        filters: &[],
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (false, "prefixListIds"),
    };
    let key = |association: &shapes::PrefixListAssociation| association.resource_id.clone().unwrap_or_default();
    let (prefix_list_associations, next_token) = ctx.list(referrers(ctx, list.id), query, &[], key)?;
    Ok(shapes::GetManagedPrefixListAssociationsResult { prefix_list_associations, next_token })
}

/// The route tables and security groups that name the list.
pub(super) fn referrers(ctx: &Context<'_>, list: PrefixListId) -> Vec<shapes::PrefixListAssociation> {
    let world = ctx.world();
    let tables = world.tables_naming_list(list).filter_map(|id| world.route_table(id));
    let tables = tables.map(|table| (table.id.to_string(), table.owner));
    let groups = world.groups_naming_list(list).filter_map(|id| world.security_group(id));
    let groups = groups.map(|group| (group.id.to_string(), group.owner));
    let association = |(id, owner): (String, gp_model::AccountId)| shapes::PrefixListAssociation {
        resource_id: Some(id),
        resource_owner: Some(owner.to_string()),
    };
    tables.chain(groups).map(association).collect()
}
