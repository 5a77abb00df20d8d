//! DescribeManagedPrefixLists, DescribePrefixLists and GetManagedPrefixListEntries.

use super::entry::invalid;
use crate::Context;
use crate::filter::{Filter, one};
use crate::page::Query;
use crate::tag_spec::tag_list;
use gp_ec2::{ApiError, shapes};
use gp_model::{PrefixList, PrefixListChange, PrefixListVersion};
use ipnet::IpNet;

/// # Errors
/// `InvalidPrefixListID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeManagedPrefixListsRequest,
) -> Result<shapes::DescribeManagedPrefixListsResult, ApiError> {
    let lists = ctx.prefix_lists(&request.prefix_list_ids)?;
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.prefix_list_ids.is_empty(), "prefixListIds"),
    };
    let key = |list: &shapes::ManagedPrefixList| list.prefix_list_id.clone().unwrap_or_default();
    let (prefix_lists, next_token) = ctx.list(lists.iter().map(|list| shape(ctx, list)), query, FILTERS, key)?;
    Ok(shapes::DescribeManagedPrefixListsResult { next_token, prefix_lists })
}

const FILTERS: &[Filter<shapes::ManagedPrefixList>] = &[
    ("owner-id", |l| one(&l.owner_id)),
    ("prefix-list-id", |l| one(&l.prefix_list_id)),
    ("prefix-list-name", |l| one(&l.prefix_list_name)),
];

/// A list after all that was asked for is done, which it is when the call returns.
pub(super) fn shape(ctx: &Context<'_>, list: &PrefixList) -> shapes::ManagedPrefixList {
    let state = match list.last_change {
        PrefixListChange::Create => "create-complete",
        PrefixListChange::Modify => "modify-complete",
        PrefixListChange::Restore => "restore-complete",
    };
    shape_in(ctx, list, state)
}

pub(super) fn shape_in(ctx: &Context<'_>, list: &PrefixList, state: &str) -> shapes::ManagedPrefixList {
    shapes::ManagedPrefixList {
        prefix_list_id: Some(list.id.to_string()),
        address_family: Some(list.address_family.clone()),
        state: Some(state.to_owned()),
        prefix_list_arn: Some(ctx.arn("prefix-list", list.id)),
        prefix_list_name: Some(list.name.clone()),
        max_entries: Some(list.max_entries.into()),
        version: i64::try_from(list.current_version()).ok(),
        tags: tag_list(&list.tags),
        owner_id: Some(list.owner.to_string()),
        ..Default::default()
    }
}

/// The same lists, in the form that has their blocks.
///
/// # Errors
/// `InvalidPrefixListID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe_blocks(
    ctx: &Context<'_>,
    request: &shapes::DescribePrefixListsRequest,
) -> Result<shapes::DescribePrefixListsResult, ApiError> {
    let lists = ctx.prefix_lists(&request.prefix_list_ids)?;
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.prefix_list_ids.is_empty(), "prefixListIds"),
    };
    let key = |list: &shapes::PrefixList| list.prefix_list_id.clone().unwrap_or_default();
    let shapes = lists.iter().map(|list| shapes::PrefixList {
        cidrs: list.entries().iter().map(|entry| entry.block.to_string()).collect(),
        prefix_list_id: Some(list.id.to_string()),
        prefix_list_name: Some(list.name.clone()),
    });
    let (prefix_lists, next_token) = ctx.list(shapes, query, BLOCK_FILTERS, key)?;
    Ok(shapes::DescribePrefixListsResult { next_token, prefix_lists })
}

const BLOCK_FILTERS: &[Filter<shapes::PrefixList>] =
    &[("prefix-list-id", |l| one(&l.prefix_list_id)), ("prefix-list-name", |l| one(&l.prefix_list_name))];

/// The entries of one version, the current one if none is named, in order of their addresses.
///
/// # Errors
/// `InvalidPrefixListID.NotFound`; `InvalidParameterValue` for a version that there is not; those of
/// [`Context::list`].
pub(crate) fn entries(
    ctx: &Context<'_>,
    request: &shapes::GetManagedPrefixListEntriesRequest,
) -> Result<shapes::GetManagedPrefixListEntriesResult, ApiError> {
    let list = ctx.prefix_list(request.prefix_list_id.as_deref().unwrap_or_default())?;
    let entries = match request.target_version {
        None => list.entries(),
        Some(version) => &find_version(&list, version)?.entries,
    };
    let query = Query {
        filters: &[],
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (false, "prefixListIds"),
    };
    let shapes = entries.iter().map(|entry| shapes::PrefixListEntry {
        cidr: Some(entry.block.to_string()),
        description: entry.description.clone(),
    });
    let (entries, next_token) = ctx.list(shapes, query, &[], |entry| sort_key(entry.cidr.as_deref()))?;
    Ok(shapes::GetManagedPrefixListEntriesResult { entries, next_token })
}

/// # Errors
/// `InvalidParameterValue`.
pub(super) fn find_version(list: &PrefixList, version: i64) -> Result<&PrefixListVersion, ApiError> {
    let found = list.versions.iter().find(|other| i64::try_from(other.version) == Ok(version));
    found.ok_or_else(|| invalid(format!("The prefix list '{}' has no version {version}.", list.id)))
}

/// A text that sorts as the block's address does.
fn sort_key(block: Option<&str>) -> String {
    match block.and_then(|text| text.parse().ok()) {
        Some(IpNet::V4(net)) => format!("{:08x}/{:03}", u32::from(net.network()), net.prefix_len()),
        Some(IpNet::V6(net)) => format!("{:032x}/{:03}", u128::from(net.network()), net.prefix_len()),
        None => String::new(),
    }
}
