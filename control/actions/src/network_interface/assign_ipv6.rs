//! AssignIpv6Addresses and UnassignIpv6Addresses.

use super::address_request::{Wanted, parse_addresses, parse_ipv6_prefixes};
use super::assign::not_assigned;
use super::limits::{AddressLimits, ipv4_slots, ipv6_slots};
use super::managed::check_changeable;
use super::new_eni::prefixes;
use super::pool::Pool;
use super::{AddressFault, usage};
use crate::Context;
use gp_ec2::ApiError;
use gp_ec2::shapes::{
    AssignIpv6AddressesRequest, AssignIpv6AddressesResult, UnassignIpv6AddressesRequest, UnassignIpv6AddressesResult,
};
use gp_model::Subnet;
use ipnet::{IpNet, Ipv6Net};
use std::net::{IpAddr, Ipv6Addr};

/// # Errors
/// `PrivateIpAddressLimitExceeded`, `InvalidIPAddress.InUse`, `InvalidParameterCombination` in a subnet without IPv6.
pub(crate) fn assign_ipv6_addresses(
    ctx: &mut Context<'_>,
    request: &AssignIpv6AddressesRequest,
) -> Result<AssignIpv6AddressesResult, ApiError> {
    let eni = ctx.eni(request.network_interface_id.as_deref().unwrap_or_default())?;
    check_changeable(&eni)?;
    let (addresses, blocks) = wanted(request)?;
    let subnet = ctx.subnet(&eni.subnet.to_string())?;
    if subnet.ipv6_cidrs.is_empty() {
        return Err(AddressFault::NoIpv6.into());
    }
    let limits = AddressLimits::of_eni(ctx.world(), &eni);
    let has_prefixes = blocks.len() + eni.ipv4_prefixes.len() + eni.ipv6_prefixes.len() > 0;
    limits.check(ipv4_slots(&eni), ipv6_slots(&eni) + addresses.len() + blocks.len(), has_prefixes)?;
    let (addresses, blocks) = take(ctx, &subnet, &addresses, &blocks)?;
    ctx.edit(&*eni, |eni| {
        eni.ipv6.extend(&addresses);
        eni.ipv6_prefixes.extend(&blocks);
    });
    usage::check(ctx, eni.vpc)?;
    Ok(AssignIpv6AddressesResult {
        assigned_ipv6_addresses: addresses.iter().map(ToString::to_string).collect(),
        assigned_ipv6_prefixes: blocks.iter().map(ToString::to_string).collect(),
        network_interface_id: Some(eni.id.to_string()),
    })
}

fn wanted(request: &AssignIpv6AddressesRequest) -> Result<(Wanted<Ipv6Addr>, Wanted<Ipv6Net>), ApiError> {
    let addresses = Wanted::new(
        parse_addresses(request.ipv6_addresses.iter().map(String::as_str), "Ipv6Addresses")?,
        request.ipv6_address_count,
        ("ipv6Addresses", "ipv6AddressCount"),
    )?;
    let blocks = Wanted::new(
        parse_ipv6_prefixes(request.ipv6_prefixes.iter().map(String::as_str))?,
        request.ipv6_prefix_count,
        ("ipv6Prefixes", "ipv6PrefixCount"),
    )?;
    if addresses.len() + blocks.len() == 0 {
        return Err(ApiError::missing_parameter("ipv6AddressCount"));
    }
    Ok((addresses, blocks))
}

fn take(
    ctx: &mut Context<'_>,
    subnet: &Subnet,
    addresses: &Wanted<Ipv6Addr>,
    blocks: &Wanted<Ipv6Net>,
) -> Result<(Vec<Ipv6Addr>, Vec<Ipv6Net>), AddressFault> {
    let world = ctx.world().clone();
    let mut bits = || ctx.bits();
    let mut pool = Pool::new(world, subnet, &mut bits);
    let mut taken = Vec::new();
    if let Wanted::Listed(listed) = addresses {
        for address in listed {
            pool.take(IpAddr::V6(*address))?;
            taken.push(*address);
        }
    }
    let blocks = prefixes(blocks, &mut pool, Pool::draw_v6_prefix)?;
    if let Wanted::Count(count) = addresses {
        for _ in 0..*count {
            taken.push(pool.draw_v6()?);
        }
    }
    Ok((taken, blocks))
}

/// # Errors
/// `InvalidParameterValue` for what the ENI doesn't hold, for the primary IPv6 address, and for the last address in an IPv6-only subnet.
pub(crate) fn unassign_ipv6_addresses(
    ctx: &mut Context<'_>,
    request: &UnassignIpv6AddressesRequest,
) -> Result<UnassignIpv6AddressesResult, ApiError> {
    let eni = ctx.eni(request.network_interface_id.as_deref().unwrap_or_default())?;
    check_changeable(&eni)?;
    let listed = request.ipv6_addresses.iter().map(String::as_str);
    let addresses: Vec<Ipv6Addr> = parse_addresses(listed, "Ipv6Addresses")?;
    let blocks = parse_ipv6_prefixes(request.ipv6_prefixes.iter().map(String::as_str))?;
    if addresses.is_empty() && blocks.is_empty() {
        return Err(ApiError::missing_parameter("ipv6Addresses"));
    }
    if let Some(address) = addresses.iter().find(|address| !eni.ipv6.contains(address)) {
        return Err(not_assigned(IpNet::from(IpAddr::V6(*address)), &eni));
    }
    if let Some(block) = blocks.iter().find(|block| !eni.ipv6_prefixes.contains(block)) {
        return Err(not_assigned(IpNet::V6(*block), &eni));
    }
    if eni.primary_ipv6 && eni.ipv6.first().is_some_and(|primary| addresses.contains(primary)) {
        return Err(ApiError::client("InvalidParameterValue", "Cannot unassign the primary IPv6 address"));
    }
    // An ENI without any address could not be told from the outside.
    if eni.private_ipv4.is_empty() && eni.ipv6.iter().all(|held| addresses.contains(held)) {
        return Err(ApiError::client("InvalidParameterValue", "Cannot unassign the primary address"));
    }
    ctx.edit(&*eni, |eni| {
        eni.ipv6.retain(|held| !addresses.contains(held));
        eni.ipv6_prefixes.retain(|held| !blocks.contains(held));
    });
    Ok(UnassignIpv6AddressesResult {
        network_interface_id: Some(eni.id.to_string()),
        unassigned_ipv6_addresses: addresses.iter().map(ToString::to_string).collect(),
        unassigned_ipv6_prefixes: blocks.iter().map(ToString::to_string).collect(),
    })
}
