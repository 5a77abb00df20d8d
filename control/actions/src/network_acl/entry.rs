//! CreateNetworkAclEntry, ReplaceNetworkAclEntry and DeleteNetworkAclEntry.

use super::traffic;
use crate::{Context, block};
use gp_ec2::{ApiError, shapes};
use gp_model::{Direction, LAST_RULE_IPV4, NetworkAcl, NetworkAclEntry};
use ipnet::IpNet;

/// Highest number of an entry of the user's; those behind it are the final denies.
const MAX_RULE_NUMBER: u32 = LAST_RULE_IPV4 - 1;

/// The entry that a request describes; two actions have its parameters under the same names.
macro_rules! described {
    ($request:ident) => {
        Described {
            rule_number: $request.rule_number,
            egress: $request.egress,
            protocol: $request.protocol.as_deref(),
            rule_action: $request.rule_action.as_deref(),
            ipv4_block: $request.cidr_block.as_deref(),
            ipv6_block: $request.ipv6_cidr_block.as_deref(),
            icmp: $request.icmp_type_code.as_ref(),
            ports: $request.port_range.as_ref(),
        }
    };
}

struct Described<'a> {
    rule_number: Option<i64>,
    egress: Option<bool>,
    protocol: Option<&'a str>,
    rule_action: Option<&'a str>,
    ipv4_block: Option<&'a str>,
    ipv6_block: Option<&'a str>,
    icmp: Option<&'a shapes::IcmpTypeCode>,
    ports: Option<&'a shapes::PortRange>,
}

/// # Errors
/// `InvalidNetworkAclID.NotFound`, `NetworkAclEntryAlreadyExists`, `NetworkAclEntryLimitExceeded`,
/// `InvalidParameterValue`, `InvalidParameterCombination`, `MissingParameter`.
pub(crate) fn create_entry(
    ctx: &mut Context<'_>,
    request: &shapes::CreateNetworkAclEntryRequest,
) -> Result<(), ApiError> {
    let acl = ctx.network_acl(request.network_acl_id.as_deref().unwrap_or_default())?;
    let entry = parse(&described!(request))?;
    if position(&acl, &entry).is_some() {
        let message = format!("The network acl entry identified by {} already exists.", entry.rule_number);
        return Err(ApiError::client("NetworkAclEntryAlreadyExists", message));
    }
    check_quota(ctx, &acl, &entry)?;
    ctx.edit(&*acl, |acl| {
        acl.entries.push(entry);
        acl.entries.sort_by_key(|entry| (entry.direction, entry.rule_number));
    });
    Ok(())
}

/// # Errors
/// `InvalidNetworkAclID.NotFound`, `InvalidNetworkAclEntry.NotFound`, `NetworkAclEntryLimitExceeded`, and those of bad
/// entries.
pub(crate) fn replace_entry(
    ctx: &mut Context<'_>,
    request: &shapes::ReplaceNetworkAclEntryRequest,
) -> Result<(), ApiError> {
    let acl = ctx.network_acl(request.network_acl_id.as_deref().unwrap_or_default())?;
    let entry = parse(&described!(request))?;
    let Some(position) = position(&acl, &entry) else { return Err(not_found(entry.rule_number)) };
    // The families count apart, and the new entry may be of the other one.
    let mut others = (*acl).clone();
    others.entries.remove(position);
    check_quota(ctx, &others, &entry)?;
    ctx.edit(&*acl, |acl| acl.entries[position] = entry);
    Ok(())
}

/// # Errors
/// `InvalidNetworkAclID.NotFound`, `InvalidNetworkAclEntry.NotFound`, `InvalidParameterValue`.
pub(crate) fn delete_entry(
    ctx: &mut Context<'_>,
    request: &shapes::DeleteNetworkAclEntryRequest,
) -> Result<(), ApiError> {
    let acl = ctx.network_acl(request.network_acl_id.as_deref().unwrap_or_default())?;
    let rule_number = rule_number(request.rule_number)?;
    let direction = direction(request.egress);
    let is_it = |entry: &NetworkAclEntry| (entry.direction, entry.rule_number) == (direction, rule_number);
    if !acl.entries.iter().any(is_it) {
        return Err(not_found(rule_number));
    }
    ctx.edit(&*acl, |acl| acl.entries.retain(|entry| !is_it(entry)));
    Ok(())
}

fn not_found(rule_number: u32) -> ApiError {
    let message = format!("The network acl entry identified by {rule_number} does not exist.");
    ApiError::client("InvalidNetworkAclEntry.NotFound", message)
}

/// Where the list has the entry with that direction and number.
fn position(acl: &NetworkAcl, entry: &NetworkAclEntry) -> Option<usize> {
    let key = |entry: &NetworkAclEntry| (entry.direction, entry.rule_number);
    acl.entries.iter().position(|other| key(other) == key(entry))
}

fn parse(given: &Described<'_>) -> Result<NetworkAclEntry, ApiError> {
    let rule_number = rule_number(given.rule_number)?;
    let block = match (given.ipv4_block, given.ipv6_block) {
        (Some(text), None) => IpNet::V4(block::parse_ipv4(text, "cidrBlock")?),
        (None, Some(text)) => IpNet::V6(block::parse_ipv6(text, "ipv6CidrBlock")?),
        (None, None) => {
            let message = "Either 'cidrBlock' or 'ipv6CidrBlock' should be provided.";
            return Err(ApiError::client("MissingParameter", message));
        }
        (Some(_), Some(_)) => {
            let message = "The parameter cidrBlock cannot be used with the parameter ipv6CidrBlock";
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
    };
    let is_ipv4_block = matches!(block, IpNet::V4(_));
    let traffic = traffic::parse(given.protocol.unwrap_or_default(), is_ipv4_block, given.icmp, given.ports)?;
    let allow = given.rule_action == Some("allow");
    Ok(NetworkAclEntry { rule_number, direction: direction(given.egress), block, traffic, allow })
}

fn rule_number(given: Option<i64>) -> Result<u32, ApiError> {
    let given = given.unwrap_or_default();
    let number = u32::try_from(given).ok().filter(|number| (1..=MAX_RULE_NUMBER).contains(number));
    number.ok_or_else(|| {
        let why = format!("Rule numbers are from 1 to {MAX_RULE_NUMBER}.");
        ApiError::invalid_value(given, "RuleNumber", why)
    })
}

fn direction(egress: Option<bool>) -> Direction {
    if egress == Some(true) { Direction::Egress } else { Direction::Ingress }
}

/// Directions and families count apart; the final deny is one of them.
fn check_quota(ctx: &Context<'_>, acl: &NetworkAcl, new: &NetworkAclEntry) -> Result<(), ApiError> {
    let is_ipv4 = |entry: &NetworkAclEntry| matches!(entry.block, IpNet::V4(_));
    let alike = |entry: &&NetworkAclEntry| entry.direction == new.direction && is_ipv4(entry) == is_ipv4(new);
    if acl.entries.iter().filter(alike).count() + 2 <= ctx.settings.quotas.entries_per_network_acl {
        return Ok(());
    }
    let message = "The maximum number of network acl entries has been reached.";
    Err(ApiError::client("NetworkAclEntryLimitExceeded", message))
}
