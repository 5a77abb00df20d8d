//! AssignPrivateIpAddresses and UnassignPrivateIpAddresses.

use super::address_request::{Wanted, parse_addresses, parse_ipv4_prefixes};
use super::limits::{AddressLimits, ipv4_slots, ipv6_slots};
use super::managed::check_changeable;
use super::new_eni::prefixes;
use super::pool::{Pool, check_range};
use super::{AddressFault, elastic_ip, usage};
use crate::Context;
use crate::address::automatic;
use gp_ec2::ApiError;
use gp_ec2::shapes::{
    AssignPrivateIpAddressesRequest, AssignPrivateIpAddressesResult, AssignedPrivateIpAddress, Ipv4PrefixSpecification,
    UnassignPrivateIpAddressesRequest,
};
use gp_model::{Eni, Subnet};
use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// # Errors
/// `PrivateIpAddressLimitExceeded`, `InvalidParameterValue` for an address that another ENI holds or that the subnet
/// has not, `InsufficientFreeAddressesInSubnet`, `InsufficientCidrBlocks`.
pub(crate) fn assign_private_ip_addresses(
    ctx: &mut Context<'_>,
    request: &AssignPrivateIpAddressesRequest,
) -> Result<AssignPrivateIpAddressesResult, ApiError> {
    let eni = ctx.eni(request.network_interface_id.as_deref().unwrap_or_default())?;
    check_changeable(&eni)?;
    let (addresses, blocks) = wanted(request)?;
    let subnet = ctx.subnet(&eni.subnet.to_string())?;
    if subnet.is_ipv6_native() {
        return Err(AddressFault::NoIpv4.into());
    }
    let fresh = match &addresses {
        Wanted::Listed(listed) => listed.iter().filter(|address| !eni.private_ipv4.contains(address)).count(),
        other => other.len(),
    };
    let limits = AddressLimits::of_eni(ctx.world(), &eni);
    let has_prefixes = blocks.len() + eni.ipv4_prefixes.len() + eni.ipv6_prefixes.len() > 0;
    limits.check(ipv4_slots(&eni) + fresh + blocks.len(), ipv6_slots(&eni), has_prefixes)?;
    let assigned = match &addresses {
        Wanted::Listed(listed) => take_listed(ctx, &eni, &subnet, listed, request.allow_reassignment == Some(true))?,
        _ => Vec::new(),
    };
    let (drawn, blocks) = draw(ctx, &subnet, &addresses, &blocks)?;
    let assigned = [assigned, drawn].concat();
    // An address may be asked for again by the ENI that has it.
    let eni = ctx.eni(&eni.id.to_string())?;
    ctx.edit(&*eni, |eni| {
        for address in &assigned {
            if !eni.private_ipv4.contains(address) {
                eni.private_ipv4.push(*address);
            }
        }
        eni.ipv4_prefixes.extend(&blocks);
    });
    usage::check(ctx, eni.vpc)?;
    let shape = |net: &Ipv4Net| Ipv4PrefixSpecification { ipv4_prefix: Some(net.to_string()) };
    let address = |a: &Ipv4Addr| AssignedPrivateIpAddress { private_ip_address: Some(a.to_string()) };
    Ok(AssignPrivateIpAddressesResult {
        network_interface_id: Some(eni.id.to_string()),
        assigned_private_ip_addresses: assigned.iter().map(address).collect(),
        assigned_ipv4_prefixes: blocks.iter().map(shape).collect(),
    })
}

fn wanted(request: &AssignPrivateIpAddressesRequest) -> Result<(Wanted<Ipv4Addr>, Wanted<Ipv4Net>), ApiError> {
    let listed = request.private_ip_addresses.iter().map(String::as_str);
    let addresses = Wanted::new(
        parse_addresses(listed, "PrivateIpAddress")?,
        request.secondary_private_ip_address_count,
        ("privateIpAddresses", "secondaryPrivateIpAddressCount"),
    )?;
    let blocks = Wanted::new(
        parse_ipv4_prefixes(request.ipv4_prefixes.iter().map(String::as_str))?,
        request.ipv4_prefix_count,
        ("ipv4Prefixes", "ipv4PrefixCount"),
    )?;
    if addresses.len() + blocks.len() == 0 {
        return Err(ApiError::missing_parameter("secondaryPrivateIpAddressCount"));
    }
    Ok((addresses, blocks))
}

/// Frees the listed addresses for the ENI: from the subnet, or from another ENI where the caller allows it.
fn take_listed(
    ctx: &mut Context<'_>,
    eni: &Eni,
    subnet: &Subnet,
    listed: &[Ipv4Addr],
    reassign: bool,
) -> Result<Vec<Ipv4Addr>, ApiError> {
    let mut assigned = Vec::new();
    for address in listed {
        if assigned.contains(address) {
            return Err(already_assigned(*address));
        }
        check_range(subnet, IpAddr::V4(*address))?;
        match ctx.world().eni_at(eni.vpc, IpAddr::V4(*address)).cloned() {
            None => {}
            Some(holder) if !reassign => {
                return Err(if holder.private_ipv4.contains(address) {
                    already_assigned(*address)
                } else {
                    AddressFault::InUse(IpNet::from(IpAddr::V4(*address))).into()
                });
            }
            Some(holder) => take_over(ctx, eni, &holder, *address)?,
        }
        assigned.push(*address);
    }
    Ok(assigned)
}

fn already_assigned(address: Ipv4Addr) -> ApiError {
    ApiError::client("InvalidParameterValue", format!("[{address}] have already been assigned"))
}

/// Moves a secondary address away from its holder, with the Elastic IP address that stands for it. What a primary address or a prefix covers stays where it is.
fn take_over(ctx: &mut Context<'_>, eni: &Eni, holder: &Arc<Eni>, address: Ipv4Addr) -> Result<(), ApiError> {
    if holder.id == eni.id && holder.private_ipv4.contains(&address) {
        return Ok(());
    }
    check_changeable(holder)?;
    if holder.primary_ipv4() == Some(address) {
        let message = format!("Address {address} is the primary address of {} and cannot be reassigned.", holder.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    if !holder.private_ipv4.contains(&address) {
        return Err(AddressFault::InUse(IpNet::from(IpAddr::V4(address))).into());
    }
    check_changeable(holder)?;
    elastic_ip::follow(ctx, address, holder.id, eni.id);
    ctx.edit(&**holder, |holder| holder.private_ipv4.retain(|held| *held != address));
    automatic::give_back(ctx, holder.id);
    Ok(())
}

/// Draws addresses where a number was asked for; takes or draws prefixes.
fn draw(
    ctx: &mut Context<'_>,
    subnet: &Subnet,
    addresses: &Wanted<Ipv4Addr>,
    blocks: &Wanted<Ipv4Net>,
) -> Result<(Vec<Ipv4Addr>, Vec<Ipv4Net>), ApiError> {
    let world = ctx.world().clone();
    let mut bits = || ctx.bits();
    let mut pool = Pool::new(world, subnet, &mut bits);
    // Listed addresses are not in the world yet; the pool must know them before it looks for prefixes.
    if let Wanted::Listed(listed) = addresses {
        pool.reserve(listed.iter().copied().map(IpAddr::V4));
    }
    let blocks = prefixes(blocks, &mut pool, Pool::draw_v4_prefix)?;
    let drawn = match addresses {
        Wanted::Count(count) => (0..*count).map(|_| pool.draw_v4()).collect::<Result<_, _>>()?,
        _ => Vec::new(),
    };
    Ok((drawn, blocks))
}

/// Elastic IP addresses that stand for what is taken are associated no longer.
///
/// # Errors
/// `InvalidParameterValue` for the primary address and for what the ENI doesn't hold.
pub(crate) fn unassign_private_ip_addresses(
    ctx: &mut Context<'_>,
    request: &UnassignPrivateIpAddressesRequest,
) -> Result<(), ApiError> {
    let eni = ctx.eni(request.network_interface_id.as_deref().unwrap_or_default())?;
    check_changeable(&eni)?;
    let listed = request.private_ip_addresses.iter().map(String::as_str);
    let addresses: Vec<Ipv4Addr> = parse_addresses(listed, "PrivateIpAddress")?;
    let blocks = parse_ipv4_prefixes(request.ipv4_prefixes.iter().map(String::as_str))?;
    if addresses.is_empty() && blocks.is_empty() {
        return Err(ApiError::missing_parameter("privateIpAddress"));
    }
    if addresses.iter().any(|address| eni.primary_ipv4() == Some(*address)) {
        return Err(ApiError::client("InvalidParameterValue", "Cannot unassign the primary address"));
    }
    if let Some(address) = addresses.iter().find(|address| !eni.private_ipv4.contains(address)) {
        return Err(not_assigned(IpNet::from(IpAddr::V4(*address)), &eni));
    }
    if let Some(block) = blocks.iter().find(|block| !eni.ipv4_prefixes.contains(block)) {
        return Err(not_assigned(IpNet::V4(*block), &eni));
    }
    let goes = |held: &Ipv4Addr| addresses.contains(held) || blocks.iter().any(|block| block.contains(held));
    elastic_ip::free(ctx, eni.id, goes);
    ctx.edit(&*eni, |eni| {
        eni.private_ipv4.retain(|held| !addresses.contains(held));
        eni.ipv4_prefixes.retain(|held| !blocks.contains(held));
    });
    automatic::give_back(ctx, eni.id);
    Ok(())
}

pub(super) fn not_assigned(net: IpNet, eni: &Eni) -> ApiError {
    let text = if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() };
    ApiError::client("InvalidParameterValue", format!("[{text}] are not assigned to network interface {}", eni.id))
}
