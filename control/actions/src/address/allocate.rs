//! AllocateAddress and ReleaseAddress.

use super::{held_by_service, pool};
use crate::Context;
use crate::context::refuse_unsupported;
use gp_ec2::ApiError;
use gp_ec2::shapes::{AllocateAddressRequest, AllocateAddressResult, ReleaseAddressRequest};
use gp_model::{Address, AllocationId, RecordKey};
use std::net::Ipv4Addr;

/// The pool that every address comes from.
const POOL: &str = "amazon";

/// Any free address, or the one that the caller names, if nobody holds it: a released one can be had back.
///
/// # Errors
/// `AddressLimitExceeded`, `InsufficientAddressCapacity`, `InvalidAddress.NotFound` for one that the region has not,
/// `InvalidIPAddress.InUse`, `InvalidPublicIpv4PoolID.NotFound`, `InvalidParameterValue`, `UnsupportedOperation`.
pub(crate) fn allocate(
    ctx: &mut Context<'_>,
    request: &AllocateAddressRequest,
) -> Result<AllocateAddressResult, ApiError> {
    let tags = ctx.tags_for(&request.tag_specifications, "elastic-ip")?;
    refuse_unsupported(&[
        ("Domain=standard", request.domain.as_deref() == Some("standard")),
        ("CustomerOwnedIpv4Pool", request.customer_owned_ipv4_pool.is_some()),
        ("IpamPoolId", request.ipam_pool_id.is_some()),
    ])?;
    if let Some(pool) = request.public_ipv4_pool.as_deref().filter(|pool| *pool != POOL) {
        let message = format!("The pool ID '{pool}' does not exist");
        return Err(ApiError::client("InvalidPublicIpv4PoolID.NotFound", message));
    }
    let group = ctx.region().to_string();
    if let Some(other) = request.network_border_group.as_deref().filter(|given| **given != group) {
        let why = format!("The network border group of this region is {group}.");
        return Err(ApiError::invalid_value(other, "NetworkBorderGroup", why));
    }
    check_quota(ctx)?;
    let public_ip = match request.address.as_deref().filter(|text| !text.is_empty()) {
        Some(text) => named(ctx, text)?,
        None => pool::draw(ctx)?,
    };
    let address = Address {
        id: ctx.draw(AllocationId::from_bits),
        owner: ctx.account(),
        public_ip,
        pool: POOL.to_owned(),
        network_border_group: group,
        association: None,
        service_managed: None,
        domain_name: None,
        tags,
    };
    ctx.put(address.clone());
    Ok(AllocateAddressResult {
        allocation_id: Some(address.id.to_string()),
        public_ipv4_pool: Some(address.pool),
        network_border_group: Some(address.network_border_group),
        domain: Some("vpc".to_owned()),
        public_ip: Some(public_ip.to_string()),
        ..Default::default()
    })
}

fn check_quota(ctx: &Context<'_>) -> Result<(), ApiError> {
    let addresses = ctx.world().tables().addresses.values();
    if addresses.filter(|address| address.owner == ctx.account()).count() < ctx.settings.quotas.addresses {
        return Ok(());
    }
    Err(ApiError::client("AddressLimitExceeded", "The maximum number of addresses has been reached."))
}

fn named(ctx: &Context<'_>, text: &str) -> Result<Ipv4Addr, ApiError> {
    let address: Ipv4Addr =
        text.parse().map_err(|_| ApiError::invalid_value(text, "Address", "Invalid IPv4 address."))?;
    if !pool::has(ctx, address) {
        return Err(super::describe::no_such_public_ip(text));
    }
    if ctx.world().is_public_ip_taken(address) {
        return Err(in_use(address));
    }
    Ok(address)
}

fn in_use(address: Ipv4Addr) -> ApiError {
    ApiError::client("InvalidIPAddress.InUse", format!("Address {address} is in use."))
}

/// # Errors
/// `InvalidAllocationID.NotFound`; `InvalidIPAddress.InUse` while it is associated, `AuthFailure` where a service has
/// it; `InvalidAddress.NotFound` for another border group; `MissingParameter`, `InvalidParameterValue`.
pub(crate) fn release(ctx: &mut Context<'_>, request: &ReleaseAddressRequest) -> Result<(), ApiError> {
    let Some(id) = request.allocation_id.as_deref() else {
        if request.public_ip.is_none() {
            return Err(ApiError::missing_parameter("AllocationId"));
        }
        let message = "You must specify an allocation id when releasing a VPC elastic IP address";
        return Err(ApiError::client("InvalidParameterValue", message));
    };
    let address = ctx.address(id)?;
    if request.network_border_group.as_deref().is_some_and(|group| group != address.network_border_group) {
        return Err(super::describe::no_such_public_ip(&address.public_ip.to_string()));
    }
    if held_by_service(ctx.world(), &address) {
        return Err(super::associate::no_permission());
    }
    if address.association.is_some() {
        return Err(in_use(address.public_ip));
    }
    ctx.delete(RecordKey::Address(address.id));
    Ok(())
}
