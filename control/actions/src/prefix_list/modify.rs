//! ModifyManagedPrefixList and RestoreManagedPrefixListVersion.

use super::create::{check_name, max_entries};
use super::describe::{find_version, shape_in};
use super::entry::{added, check_fits, invalid, removed};
use super::quota;
use crate::Context;
use crate::context::refuse_unsupported;
use gp_ec2::{ApiError, shapes};
use gp_model::{PrefixList, PrefixListChange, PrefixListEntry, PrefixListVersion};
use ipnet::IpNet;

/// Other entries make a new version; another name or size does not.
///
/// # Errors
/// `InvalidPrefixListID.NotFound`, `PrefixListVersionMismatch`, `PrefixListMaxEntriesExceeded`, `InvalidRequest`,
/// `InvalidParameterValue`, `InvalidParameterCombination`; `RouteLimitExceeded` and
/// `RulesPerSecurityGroupLimitExceeded` where what names the list has no room for its new size.
pub(crate) fn modify(
    ctx: &mut Context<'_>,
    request: &shapes::ModifyManagedPrefixListRequest,
) -> Result<shapes::ModifyManagedPrefixListResult, ApiError> {
    let sync = request.ipam_prefix_list_resolver_sync_enabled.is_some();
    refuse_unsupported(&[("IpamPrefixListResolverSyncEnabled", sync)])?;
    let list = ctx.prefix_list(request.prefix_list_id.as_deref().unwrap_or_default())?;
    check_version(&list, request.current_version)?;
    let (add, remove) =
        (added(&list.address_family, &request.add_entries)?, removed(&list.address_family, &request.remove_entries)?);
    let changes_entries = !add.is_empty() || !remove.is_empty();
    let mut new = (*list).clone();
    new.last_change = PrefixListChange::Modify;
    if let Some(name) = &request.prefix_list_name {
        check_name(name)?;
        new.name.clone_from(name);
    }
    if let Some(given) = request.max_entries {
        if changes_entries {
            let message = "The parameter maxEntries cannot be used with the parameters addEntries and removeEntries";
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
        new.max_entries = max_entries(ctx, given)?;
    }
    if changes_entries {
        let entries = changed(&list, add, &remove)?;
        push_version(ctx, &mut new, entries);
    }
    check_fits(&new)?;
    ctx.edit(&*list, |list| list.clone_from(&new));
    if new.max_entries > list.max_entries {
        quota::check_referrers(ctx, new.id)?;
    }
    let prefix_list = Some(shape_in(ctx, &new, "modify-in-progress"));
    Ok(shapes::ModifyManagedPrefixListResult { prefix_list })
}

fn check_version(list: &PrefixList, given: Option<i64>) -> Result<(), ApiError> {
    let Some(given) = given else { return Ok(()) };
    if given < 1 {
        return Err(invalid("The specified value for version is not valid. The value must be greater than (1)."));
    }
    if i64::try_from(list.current_version()) == Ok(given) {
        return Ok(());
    }
    Err(ApiError::client("PrefixListVersionMismatch", "The prefix list has the incorrect version number."))
}

fn changed(list: &PrefixList, add: Vec<PrefixListEntry>, remove: &[IpNet]) -> Result<Vec<PrefixListEntry>, ApiError> {
    if let Some(both) = add.iter().find(|entry| remove.contains(&entry.block)) {
        let message = format!(
            "Request cannot contain Cidr {} in both AddPrefixListEntries and RemovePrefixListEntries",
            both.block
        );
        return Err(invalid(message));
    }
    let has = |block: &IpNet| list.entries().iter().any(|entry| entry.block == *block);
    if let Some(missing) = remove.iter().find(|block| !has(block)) {
        return Err(invalid(format!("The prefix list '{}' has no entry for {missing}.", list.id)));
    }
    if add.iter().any(|entry| has(&entry.block)) {
        return Err(ApiError::client("InvalidRequest", "The request received was invalid."));
    }
    let kept = list.entries().iter().filter(|entry| !remove.contains(&entry.block)).cloned();
    Ok(kept.chain(add).collect())
}

fn push_version(ctx: &Context<'_>, list: &mut PrefixList, entries: Vec<PrefixListEntry>) {
    let version = list.current_version() + 1;
    list.versions.push(PrefixListVersion { version, entries });
    let surplus = list.versions.len().saturating_sub(ctx.settings.quotas.versions_per_prefix_list.max(1));
    list.versions.drain(..surplus);
}

/// The entries of an earlier version become those of a new one.
///
/// # Errors
/// `InvalidPrefixListID.NotFound`, `PrefixListVersionMismatch`, `PrefixListMaxEntriesExceeded`,
/// `InvalidParameterValue` for a version that there is not.
pub(crate) fn restore_version(
    ctx: &mut Context<'_>,
    request: &shapes::RestoreManagedPrefixListVersionRequest,
) -> Result<shapes::RestoreManagedPrefixListVersionResult, ApiError> {
    let list = ctx.prefix_list(request.prefix_list_id.as_deref().unwrap_or_default())?;
    check_version(&list, request.current_version)?;
    let entries = find_version(&list, request.previous_version.unwrap_or_default())?.entries.clone();
    let mut new = (*list).clone();
    new.last_change = PrefixListChange::Restore;
    push_version(ctx, &mut new, entries);
    check_fits(&new)?;
    ctx.edit(&*list, |list| list.clone_from(&new));
    let prefix_list = Some(shape_in(ctx, &new, "restore-in-progress"));
    Ok(shapes::RestoreManagedPrefixListVersionResult { prefix_list })
}
