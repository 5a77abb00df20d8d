//! Addresses of a NAT gateway beside its primary one: AssociateNatGatewayAddress and DisassociateNatGatewayAddress
//! of a public gateway, AssignPrivateNatGatewayAddress and UnassignPrivateNatGatewayAddress of a private one.
//!
//! An address that is taken away drains: connections by it go on until they end or `MaxDrainDurationSeconds` are over, new
//! ones have other addresses. Until then it stays the gateway's. Which answer a second call for it gets is not
//! documented: here the shorter of the two durations holds.

use super::describe::{address_shape, address_status};
use crate::address::stand_for;
use crate::context::refuse_unsupported;
use crate::network_interface::{Wanted, managed};
use crate::{Context, lookup};
use gp_ec2::{ApiError, shapes};
use gp_model::{
    AddressAssociationId, EniId, NatConnectivity, NatGateway, NatGatewayAddress, NatGatewayState, ParseIdError,
};
use std::net::Ipv4Addr;
use std::sync::Arc;

type Shown = Vec<shapes::NatGatewayAddress>;

/// Seconds that connections by an address may go on where the call doesn't say (EC2 API reference,
/// "DisassociateNatGatewayAddress").
const DRAIN_SECS: i64 = 350;

/// # Errors
/// `NatGatewayNotFound`, `InvalidAllocationID.NotFound`, `Resource.AlreadyAssociated`, why a private address can't be
/// had, `NatGatewayAddressLimitExceeded`; `InvalidParameterCombination` for a private gateway.
pub(crate) fn associate(
    ctx: &mut Context<'_>,
    request: &shapes::AssociateNatGatewayAddressRequest,
) -> Result<shapes::AssociateNatGatewayAddressResult, ApiError> {
    refuse_unsupported(&[
        ("AvailabilityZone", request.availability_zone.is_some()),
        ("AvailabilityZoneId", request.availability_zone_id.is_some()),
    ])?;
    let (gateway, eni) = available(ctx, request.nat_gateway_id.as_deref(), NatConnectivity::Public)?;
    let mut elastic = ctx.addresses(&request.allocation_ids)?;
    // In the order of the request, as the private addresses are.
    elastic.sort_by_key(|address| request.allocation_ids.iter().position(|id| *id == address.id.to_string()));
    if let Some((address, current)) = elastic.iter().find_map(|a| Some((a, a.association.as_ref()?))) {
        let message = format!("resource {} is already associated with associate-id {}", address.id, current.id);
        return Err(ApiError::client("Resource.AlreadyAssociated", message));
    }
    let listed = parse_addresses(&request.private_ip_addresses)?;
    if !listed.is_empty() && listed.len() != elastic.len() {
        let message = "There must be as many PrivateIpAddresses as AllocationIds.";
        return Err(ApiError::client("InvalidParameterCombination", message));
    }
    check_count(ctx, gateway.connectivity, gateway.addresses.len() + elastic.len())?;
    let wanted = if listed.is_empty() { Wanted::Count(elastic.len()) } else { Wanted::Listed(listed) };
    let private = managed::add_addresses(ctx, eni, &wanted)?;
    let interface = ctx.world().eni(eni).cloned().ok_or_else(|| ApiError::internal("a NAT gateway without its ENI"))?;
    let mut added = Vec::with_capacity(private.len());
    for (address, private_ip) in elastic.iter().zip(private) {
        let association = stand_for(ctx, address, &interface, private_ip);
        added.push(NatGatewayAddress {
            private_ip,
            allocation: Some(address.id),
            association: Some(association),
            drains_until: None,
        });
    }
    let nat_gateway_addresses = add(ctx, &gateway, &added, "associating");
    Ok(shapes::AssociateNatGatewayAddressResult { nat_gateway_id: Some(gateway.id.to_string()), nat_gateway_addresses })
}

/// The private address goes with its Elastic IP address, which stays allocated, once it has drained.
///
/// # Errors
/// `NatGatewayNotFound`, `InvalidAssociationID.NotFound`; `InvalidParameterValue` for the primary address.
pub(crate) fn disassociate(
    ctx: &mut Context<'_>,
    request: &shapes::DisassociateNatGatewayAddressRequest,
) -> Result<shapes::DisassociateNatGatewayAddressResult, ApiError> {
    let (gateway, _) = available(ctx, request.nat_gateway_id.as_deref(), NatConnectivity::Public)?;
    let find = |text: &String| {
        let id: Option<AddressAssociationId> = text.parse().map_err(|_: ParseIdError| ()).ok();
        let place = gateway.addresses.iter().position(|address| id.is_some() && address.association == id);
        place.ok_or_else(|| lookup::ASSOCIATION.not_found(&[text]))
    };
    let places = request.association_ids.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    let nat_gateway_addresses = drain(ctx, &gateway, &places, request.max_drain_duration_seconds)?;
    Ok(shapes::DisassociateNatGatewayAddressResult {
        nat_gateway_id: Some(gateway.id.to_string()),
        nat_gateway_addresses,
    })
}

/// # Errors
/// `NatGatewayNotFound`, why an address can't be had, `NatGatewayAddressLimitExceeded`;
/// `InvalidParameterCombination` for a public gateway, and for both a list and a number.
pub(crate) fn assign_private(
    ctx: &mut Context<'_>,
    request: &shapes::AssignPrivateNatGatewayAddressRequest,
) -> Result<shapes::AssignPrivateNatGatewayAddressResult, ApiError> {
    let (gateway, eni) = available(ctx, request.nat_gateway_id.as_deref(), NatConnectivity::Private)?;
    let listed = parse_addresses(&request.private_ip_addresses)?;
    let wanted = match (listed.is_empty(), request.private_ip_address_count) {
        (false, None) => Wanted::Listed(listed),
        (true, Some(count)) => Wanted::Count(usize::try_from(count).map_err(|_| {
            ApiError::invalid_value(count, "PrivateIpAddressCount", "Expecting a number that is not negative.")
        })?),
        (true, None) => return Err(ApiError::missing_parameter("PrivateIpAddressCount")),
        (false, Some(_)) => {
            let message = "The parameters PrivateIpAddresses and PrivateIpAddressCount may not be specified together";
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
    };
    check_count(ctx, gateway.connectivity, gateway.addresses.len() + wanted.len())?;
    let private = managed::add_addresses(ctx, eni, &wanted)?;
    let new = |private_ip: Ipv4Addr| NatGatewayAddress {
        private_ip,
        allocation: None,
        association: None,
        drains_until: None,
    };
    let added: Vec<_> = private.into_iter().map(new).collect();
    let nat_gateway_addresses = add(ctx, &gateway, &added, "assigning");
    Ok(shapes::AssignPrivateNatGatewayAddressResult {
        nat_gateway_id: Some(gateway.id.to_string()),
        nat_gateway_addresses,
    })
}

/// # Errors
/// `NatGatewayNotFound`; `InvalidParameterValue` for the primary address and for what the gateway has not.
pub(crate) fn unassign_private(
    ctx: &mut Context<'_>,
    request: &shapes::UnassignPrivateNatGatewayAddressRequest,
) -> Result<shapes::UnassignPrivateNatGatewayAddressResult, ApiError> {
    let (gateway, _) = available(ctx, request.nat_gateway_id.as_deref(), NatConnectivity::Private)?;
    let find = |private: Ipv4Addr| {
        let place = gateway.addresses.iter().position(|address| address.private_ip == private);
        place.ok_or_else(|| {
            let why = format!("It is not assigned to NAT gateway {}.", gateway.id);
            ApiError::invalid_value(private, "PrivateIpAddress", why)
        })
    };
    let listed = parse_addresses(&request.private_ip_addresses)?;
    let places = listed.into_iter().map(find).collect::<Result<Vec<_>, _>>()?;
    let nat_gateway_addresses = drain(ctx, &gateway, &places, request.max_drain_duration_seconds)?;
    Ok(shapes::UnassignPrivateNatGatewayAddressResult {
        nat_gateway_id: Some(gateway.id.to_string()),
        nat_gateway_addresses,
    })
}

// === What they share ===

/// The caller's gateway, which must be one of that kind that works.
fn available(
    ctx: &Context<'_>,
    id: Option<&str>,
    connectivity: NatConnectivity,
) -> Result<(Arc<NatGateway>, EniId), ApiError> {
    let gateway = ctx.nat_gateway(id.unwrap_or_default())?;
    let eni = gateway.eni.filter(|_| gateway.state == NatGatewayState::Available).ok_or_else(|| {
        ApiError::client("IncorrectState", format!("The NAT gateway {} is not available.", gateway.id))
    })?;
    if gateway.connectivity != connectivity {
        let kind = match connectivity {
            NatConnectivity::Public => "public",
            NatConnectivity::Private => "private",
        };
        let message = format!("{} is for {kind} NAT gateways only; {} is none.", ctx.action, gateway.id);
        return Err(ApiError::client("InvalidParameterCombination", message));
    }
    Ok((gateway, eni))
}

/// May a gateway of that kind have so many addresses?
///
/// # Errors
/// `NatGatewayAddressLimitExceeded`.
pub(super) fn check_count(ctx: &Context<'_>, connectivity: NatConnectivity, count: usize) -> Result<(), ApiError> {
    let quotas = &ctx.settings.quotas;
    let limit = match connectivity {
        NatConnectivity::Public => quotas.addresses_per_nat_gateway.min(quotas.private_addresses_per_nat_gateway),
        NatConnectivity::Private => quotas.private_addresses_per_nat_gateway,
    };
    if count <= limit {
        return Ok(());
    }
    let message = format!("Performing this operation would exceed the limit of {limit} addresses per NAT gateway");
    Err(ApiError::client("NatGatewayAddressLimitExceeded", message))
}

/// # Errors
/// `InvalidParameterValue` for what is no IPv4 address.
pub(super) fn parse_addresses(texts: &[String]) -> Result<Vec<Ipv4Addr>, ApiError> {
    let parse = |text: &String| {
        text.parse().map_err(|_| ApiError::invalid_value(text, "PrivateIpAddress", "Invalid IPv4 address."))
    };
    texts.iter().map(parse).collect()
}

fn add(ctx: &mut Context<'_>, gateway: &NatGateway, added: &[NatGatewayAddress], status: &str) -> Shown {
    let after = ctx.edit(gateway, |gateway| gateway.addresses.extend_from_slice(added));
    let new = after.addresses.iter().skip(gateway.addresses.len());
    new.map(|address| address_shape(ctx, &after, address, status)).collect()
}

/// Lets the addresses drain; they go once no connection uses them, or when the time is over (`settle`).
///
/// # Errors
/// `InvalidParameterValue` for the primary address.
fn drain(
    ctx: &mut Context<'_>,
    gateway: &NatGateway,
    places: &[usize],
    max_secs: Option<i64>,
) -> Result<Shown, ApiError> {
    if places.contains(&0) {
        let message = format!("The primary address of NAT gateway {} can't be taken away.", gateway.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    let until = ctx.now.plus_secs(max_secs.unwrap_or(DRAIN_SECS).unsigned_abs());
    let after = ctx.edit(gateway, |gateway| {
        for place in places {
            let Some(address) = gateway.addresses.get_mut(*place) else { continue };
            address.drains_until = Some(address.drains_until.map_or(until, |earlier| earlier.min(until)));
        }
    });
    let draining = places.iter().filter_map(|place| after.addresses.get(*place));
    Ok(draining.map(|address| address_shape(ctx, &after, address, address_status(&after, address))).collect())
}
