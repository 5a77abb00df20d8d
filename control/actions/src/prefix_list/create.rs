//! CreateManagedPrefixList and DeleteManagedPrefixList.

use super::describe::{shape, shape_in};
use super::entry::{self, added, invalid};
use super::reference::referrers;
use crate::{Context, context};
use gp_ec2::{ApiError, shapes};
use gp_model::{PrefixList, PrefixListChange, PrefixListId, PrefixListVersion, RecordKey};

/// Longest name, in characters.
const MAX_NAME: usize = 255;

/// # Errors
/// `PrefixListMaxEntriesExceeded`, `PrefixListLimitExceeded`, `IdempotentParameterMismatch`, `InvalidParameterValue`,
/// `MissingParameter`.
pub(crate) fn create(
    ctx: &mut Context<'_>,
    request: &shapes::CreateManagedPrefixListRequest,
) -> Result<shapes::CreateManagedPrefixListResult, ApiError> {
    let prefix_list = match ctx.replayed()?.as_deref() {
        Some([id]) => shape(ctx, &*ctx.prefix_list(id).map_err(|_| context::token_mismatch())?),
        Some(_) => return Err(context::token_mismatch()),
        None => {
            let list = make(ctx, request)?;
            shape_in(ctx, &list, "create-in-progress")
        }
    };
    Ok(shapes::CreateManagedPrefixListResult { prefix_list: Some(prefix_list) })
}

fn make(ctx: &mut Context<'_>, request: &shapes::CreateManagedPrefixListRequest) -> Result<PrefixList, ApiError> {
    let name = request.prefix_list_name.clone().unwrap_or_default();
    check_name(&name)?;
    let family = request.address_family.as_deref().unwrap_or_default();
    if !["IPv4", "IPv6"].contains(&family) {
        return Err(ApiError::invalid_value(family, "AddressFamily", "Expecting IPv4 or IPv6."));
    }
    let max_entries = max_entries(ctx, request.max_entries.unwrap_or_default())?;
    let entries = added(family, &request.entries)?;
    let tags = ctx.tags_for(&request.tag_specifications, "prefix-list")?;
    if ctx.prefix_lists(&[])?.len() >= ctx.settings.quotas.prefix_lists {
        let message = "The maximum number of prefix lists has been reached.";
        return Err(ApiError::client("PrefixListLimitExceeded", message));
    }
    let list = PrefixList {
        id: ctx.draw(PrefixListId::from_bits),
        owner: ctx.account(),
        name,
        address_family: family.to_owned(),
        max_entries,
        versions: vec![PrefixListVersion { version: 1, entries }],
        last_change: PrefixListChange::Create,
        tags,
    };
    entry::check_fits(&list)?;
    ctx.put(list.clone());
    ctx.remember([list.id]);
    Ok(list)
}

/// # Errors
/// `InvalidParameterValue` for a name that is empty, too long or AWS's own.
pub(super) fn check_name(name: &str) -> Result<(), ApiError> {
    if name.is_empty() || name.chars().count() > MAX_NAME {
        let why = format!("A prefix list's name has from 1 to {MAX_NAME} characters.");
        return Err(ApiError::invalid_value(name, "PrefixListName", why));
    }
    if name.starts_with("com.amazonaws") {
        return Err(invalid("The prefix list name cannot start with com.amazonaws."));
    }
    Ok(())
}

/// # Errors
/// `InvalidParameterValue`.
pub(super) fn max_entries(ctx: &Context<'_>, given: i64) -> Result<u32, ApiError> {
    let most = ctx.settings.quotas.entries_per_prefix_list;
    let number = u32::try_from(given).ok().filter(|number| (1..=most).contains(&(*number as usize)));
    number.ok_or_else(|| {
        let why = format!("A prefix list has room for 1 to {most} entries.");
        ApiError::invalid_value(given, "MaxEntries", why)
    })
}

/// # Errors
/// `InvalidPrefixListID.NotFound`; `PrefixListInUse` while a route or a rule names it.
pub(crate) fn delete(
    ctx: &mut Context<'_>,
    request: &shapes::DeleteManagedPrefixListRequest,
) -> Result<shapes::DeleteManagedPrefixListResult, ApiError> {
    let list = ctx.prefix_list(request.prefix_list_id.as_deref().unwrap_or_default())?;
    if let Some(referrer) = referrers(ctx, list.id).first() {
        let id = referrer.resource_id.as_deref().unwrap_or_default();
        let message = format!("The prefix list '{}' is in use by {id} and cannot be deleted.", list.id);
        return Err(ApiError::client("PrefixListInUse", message));
    }
    ctx.delete(RecordKey::PrefixList(list.id));
    let prefix_list = Some(shape_in(ctx, &list, "delete-in-progress"));
    Ok(shapes::DeleteManagedPrefixListResult { prefix_list })
}
