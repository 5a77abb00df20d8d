//! AllocateAddress and ReleaseAddress.

use super::{held_by_service, pool};
use crate::Context;
use crate::context::refuse_unsupported;
use gp_ec2::ApiError;
use gp_ec2::shapes::{AllocateAddressRequest, AllocateAddressResult, ReleaseAddressRequest};
use gp_model::{Address, AllocationId, RecordKey};
use std::net::Ipv4Addr;

/// Any free address, of the pool that the caller names if one is named; or the address that the caller names, if nobody
/// holds it: a released one can be had back.
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
    let asked = request.public_ipv4_pool.as_deref();
    let brought = pool::named(ctx, asked)?;
    let group = ctx.region().to_string();
    if let Some(other) = request.network_border_group.as_deref().filter(|given| **given != group) {
        let why = format!("The network border group of this region is {group}.");
        return Err(ApiError::invalid_value(other, "NetworkBorderGroup", why));
    }
    let (public_ip, pool) = match (request.address.as_deref().filter(|text| !text.is_empty()), brought) {
        (Some(text), _) => named(ctx, text, asked)?,
        (None, Some(brought)) => (pool::draw_of_pool(ctx, brought)?, brought.id.clone()),
        (None, None) => {
            check_quota(ctx)?;
            (pool::draw(ctx, None)?, pool::AMAZON.to_owned())
        }
    };
    let address = Address {
        id: ctx.draw(AllocationId::from_bits),
        owner: ctx.account(),
        public_ip,
        pool,
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

/// May the account have one more of the addresses that count?
///
/// # Errors
/// `AddressLimitExceeded`.
pub(super) fn check_quota(ctx: &Context<'_>) -> Result<(), ApiError> {
    let addresses = ctx.world().tables().addresses.values();
    let counted = |address: &&std::sync::Arc<Address>| address.owner == ctx.account() && pool::counts(address);
    if addresses.filter(counted).count() < ctx.settings.quotas.addresses {
        return Ok(());
    }
    Err(ApiError::client("AddressLimitExceeded", "The maximum number of addresses has been reached."))
}

/// The address that is meant, and its pool, which must be the one that is asked for if one is.
fn named(ctx: &Context<'_>, text: &str, asked: Option<&str>) -> Result<(Ipv4Addr, String), ApiError> {
    let address: Ipv4Addr =
        text.parse().map_err(|_| ApiError::invalid_value(text, "Address", "Invalid IPv4 address."))?;
    let pool = pool::pool_of(ctx, address).filter(|pool| asked.is_none_or(|asked| asked == pool));
    let pool = pool.ok_or_else(|| super::describe::no_such_public_ip(text))?;
    if pool == pool::AMAZON {
        check_quota(ctx)?;
    }
    if ctx.world().is_public_ip_taken(address) {
        return Err(in_use(address));
    }
    Ok((address, pool))
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
    if ctx.world().tables().address_transfers.contains_key(&address.id) {
        ctx.delete(RecordKey::AddressTransfer(address.id));
    }
    Ok(())
}
