//! Entries as requests write them.

use crate::block;
use gp_ec2::{ApiError, shapes};
use gp_model::{PrefixList, PrefixListEntry};
use ipnet::IpNet;

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 255;

/// The entries to add, in the order given.
///
/// # Errors
/// `InvalidParameterValue` for a bad block, one of the other family, or one twice.
pub(super) fn added(family: &str, given: &[shapes::AddPrefixListEntry]) -> Result<Vec<PrefixListEntry>, ApiError> {
    let mut entries: Vec<PrefixListEntry> = Vec::with_capacity(given.len());
    for entry in given {
        let block = parse(family, entry.cidr.as_deref())?;
        if entries.iter().any(|other| other.block == block) {
            return Err(invalid(format!("Request cannot contain Cidr {block} more than once")));
        }
        entries.push(PrefixListEntry { block, description: description(entry.description.as_deref())? });
    }
    Ok(entries)
}

/// The blocks of the entries to remove.
///
/// # Errors
/// `InvalidParameterValue` for a bad block.
pub(super) fn removed(family: &str, given: &[shapes::RemovePrefixListEntry]) -> Result<Vec<IpNet>, ApiError> {
    given.iter().map(|entry| parse(family, entry.cidr.as_deref())).collect()
}

fn parse(family: &str, text: Option<&str>) -> Result<IpNet, ApiError> {
    let text = text.ok_or_else(|| ApiError::missing_parameter("Cidr"))?;
    match family {
        "IPv6" => block::parse_ipv6(text, "cidr").map(IpNet::V6),
        _ => block::parse_ipv4(text, "cidr").map(IpNet::V4),
    }
}

fn description(text: Option<&str>) -> Result<Option<String>, ApiError> {
    match text {
        None | Some("") => Ok(None),
        Some(text) if text.chars().count() <= MAX_DESCRIPTION => Ok(Some(text.to_owned())),
        Some(text) => {
            let why = format!("A description has at most {MAX_DESCRIPTION} characters.");
            Err(ApiError::invalid_value(text, "Description", why))
        }
    }
}

/// # Errors
/// `PrefixListMaxEntriesExceeded`.
pub(super) fn check_fits(list: &PrefixList) -> Result<(), ApiError> {
    if list.entries().len() <= list.max_entries as usize {
        return Ok(());
    }
    let message = format!("You have reached the maximum number of entries ({}) for the prefix list.", list.max_entries);
    Err(ApiError::client("PrefixListMaxEntriesExceeded", message))
}

pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::client("InvalidParameterValue", message)
}
