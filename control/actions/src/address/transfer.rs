//! Elastic IP addresses that go to another account: Enable-, Accept-, Disable- and DescribeAddressTransfers.
//!
//! The owner offers, the other account accepts within seven days, or the offer is void. Until then nothing changes for
//! the owner. With the new owner the address has a new allocation id and tags of its own. The former owner sees an
//! accepted transfer for two weeks. Source: EC2 API reference, `DescribeAddressTransfers`; VPC user guide, "Transfer
//! Elastic IP addresses".

use super::allocate::check_quota;
use super::pool;
use crate::filter::Tagged;
use crate::network_interface::wire_time;
use crate::page::Query;
use crate::{Context, lookup};
use gp_ec2::{ApiError, shapes};
use gp_model::{AccountId, Address, AddressTransfer, AllocationId, RecordKey};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// How long an offer holds.
const OFFER_SECS: u64 = 7 * 24 * 3600;

impl Tagged for shapes::AddressTransfer {
    fn tags(&self) -> &[shapes::Tag] {
        &[]
    }
}

/// Offering again to the same account changes nothing.
///
/// # Errors
/// `InvalidAllocationID.NotFound`; `InvalidParameterValue` for what is no other account; `IncorrectState` while the
/// address is offered to another one.
pub(crate) fn enable(
    ctx: &mut Context<'_>,
    request: &shapes::EnableAddressTransferRequest,
) -> Result<shapes::EnableAddressTransferResult, ApiError> {
    let address = ctx.address(request.allocation_id.as_deref().unwrap_or_default())?;
    let given = request.transfer_account_id.as_deref().unwrap_or_default();
    let invalid = |why: &str| ApiError::invalid_value(given, "TransferAccountId", why);
    let to: AccountId = given.parse().map_err(|_| invalid("Expecting an account ID of 12 digits."))?;
    if to == address.owner {
        return Err(invalid("The address belongs to this account already."));
    }
    let transfer = match pending(ctx, address.id) {
        Some(transfer) if transfer.to == to => (*transfer).clone(),
        Some(transfer) => {
            let message = format!("The address {} is already offered to account {}.", address.id, transfer.to);
            return Err(ApiError::client("IncorrectState", message));
        }
        None => {
            let transfer = AddressTransfer {
                id: address.id,
                owner: address.owner,
                public_ip: address.public_ip,
                to,
                expires_at: ctx.now.plus_secs(OFFER_SECS),
                accepted_at: None,
            };
            ctx.put(transfer.clone());
            transfer
        }
    };
    Ok(shapes::EnableAddressTransferResult { address_transfer: Some(shape(&transfer)) })
}

/// # Errors
/// `InvalidAllocationID.NotFound`; `IncorrectState` where nothing is offered.
pub(crate) fn disable(
    ctx: &mut Context<'_>,
    request: &shapes::DisableAddressTransferRequest,
) -> Result<shapes::DisableAddressTransferResult, ApiError> {
    let address = ctx.address(request.allocation_id.as_deref().unwrap_or_default())?;
    let Some(transfer) = pending(ctx, address.id) else {
        let message = format!("The address {} is not offered to another account.", address.id);
        return Err(ApiError::client("IncorrectState", message));
    };
    ctx.delete(RecordKey::AddressTransfer(transfer.id));
    let mut shape = shape(&transfer);
    shape.address_transfer_status = Some("disabled".to_owned());
    Ok(shapes::DisableAddressTransferResult { address_transfer: Some(shape) })
}

/// # Errors
/// `InvalidAddress.NotFound` for what is not offered to the caller; `AddressLimitExceeded`;
/// `InvalidTransfer.AddressAssociated` and `InvalidTransfer.AddressCustomPtrSet` while its owner uses it.
pub(crate) fn accept(
    ctx: &mut Context<'_>,
    request: &shapes::AcceptAddressTransferRequest,
) -> Result<shapes::AcceptAddressTransferResult, ApiError> {
    let tags = ctx.tags_for(&request.tag_specifications, "elastic-ip")?;
    let text = request.address.as_deref().unwrap_or_default();
    let no_such = || super::describe::no_such_public_ip(text);
    let public: Ipv4Addr = text.parse().map_err(|_| no_such())?;
    let address = ctx.world().address_with_public_ip(public).cloned().ok_or_else(no_such)?;
    let offer = pending(ctx, address.id).filter(|transfer| transfer.to == ctx.account()).ok_or_else(no_such)?;
    if pool::counts(&address) {
        check_quota(ctx)?;
    }
    check_unused(&address)?;
    let accepted_at = Some(ctx.now);
    let id = ctx.draw(AllocationId::from_bits);
    ctx.delete(RecordKey::Address(address.id));
    ctx.put(Address { id, owner: ctx.account(), tags, ..(*address).clone() });
    let accepted = ctx.edit(&*offer, |transfer| transfer.accepted_at = accepted_at);
    let shape = shapes::AddressTransfer { allocation_id: Some(id.to_string()), ..shape(&accepted) };
    Ok(shapes::AcceptAddressTransferResult { address_transfer: Some(shape) })
}

fn check_unused(address: &Address) -> Result<(), ApiError> {
    let refuse = |code: &'static str, why: &str| {
        let message = format!("The Elastic IP address {} can't be accepted: its owner {why}.", address.public_ip);
        Err(ApiError::client(code, message))
    };
    if address.association.is_some() {
        return refuse("InvalidTransfer.AddressAssociated", "must disassociate it first");
    }
    if address.domain_name.is_some() {
        return refuse("InvalidTransfer.AddressCustomPtrSet", "must remove its reverse DNS record first");
    }
    Ok(())
}

/// # Errors
/// `InvalidAllocationID.NotFound` for what is neither the caller's nor was transferred by the caller; those of
/// [`Context::list`].
pub(crate) fn describe_transfers(
    ctx: &Context<'_>,
    request: &shapes::DescribeAddressTransfersRequest,
) -> Result<shapes::DescribeAddressTransfersResult, ApiError> {
    let is_shown = |transfer: &&Arc<AddressTransfer>| transfer.owner == ctx.account() && is_current(ctx, transfer);
    let shown: Vec<_> = ctx.world().tables().address_transfers.values().filter(is_shown).collect();
    let mut asked: Vec<AllocationId> = Vec::with_capacity(request.allocation_ids.len());
    for text in &request.allocation_ids {
        let id = lookup::ADDRESS.parse(text)?;
        if shown.iter().all(|transfer| transfer.id != id) {
            ctx.address(text)?;
        }
        asked.push(id);
    }
    let query = Query {
        filters: &[],
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!asked.is_empty(), "allocationIds"),
    };
    let key = |transfer: &shapes::AddressTransfer| transfer.allocation_id.clone().unwrap_or_default();
    let wanted = shown.into_iter().filter(|transfer| asked.is_empty() || asked.contains(&transfer.id));
    let (address_transfers, next_token) = ctx.list(wanted.map(|transfer| shape(transfer)), query, &[], key)?;
    Ok(shapes::DescribeAddressTransfersResult { address_transfers, next_token })
}

/// The offer of an address, if it is neither accepted nor void.
fn pending(ctx: &Context<'_>, id: AllocationId) -> Option<Arc<AddressTransfer>> {
    let transfer = ctx.world().tables().address_transfers.get(&id)?;
    (transfer.accepted_at.is_none() && is_current(ctx, transfer)).then(|| transfer.clone())
}

/// Has it not outlived its time?
fn is_current(ctx: &Context<'_>, transfer: &AddressTransfer) -> bool {
    transfer.gone_at() > ctx.now
}

fn shape(transfer: &AddressTransfer) -> shapes::AddressTransfer {
    let status = if transfer.accepted_at.is_some() { "accepted" } else { "pending" };
    shapes::AddressTransfer {
        public_ip: Some(transfer.public_ip.to_string()),
        allocation_id: Some(transfer.id.to_string()),
        transfer_account_id: Some(transfer.to.to_string()),
        transfer_offer_expiration_timestamp: Some(wire_time(transfer.expires_at)),
        transfer_offer_accepted_timestamp: transfer.accepted_at.map(wire_time),
        address_transfer_status: Some(status.to_owned()),
    }
}
