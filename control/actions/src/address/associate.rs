//! AssociateAddress and DisassociateAddress.

use super::automatic;
use crate::{Context, lookup};
use gp_ec2::ApiError;
use gp_ec2::shapes::{AssociateAddressRequest, AssociateAddressResult, DisassociateAddressRequest};
use gp_model::{Address, AddressAssociation, AddressAssociationId, Eni, Instance, InstanceState, World};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// One that stands for another private address moves, unless the caller forbids it; what stood for this private
/// address is set free. Repeating the call changes nothing.
///
/// # Errors
/// The look-ups' `….NotFound`; `Resource.AlreadyAssociated`; `Gateway.NotAttached` where the VPC has no internet
/// gateway; `InvalidInstanceID` for an instance with several ENIs or in a passing state; `AuthFailure` for what a
/// service holds; `InvalidParameterValue`, `InvalidParameterCombination`, `MissingParameter`.
pub(crate) fn associate(
    ctx: &mut Context<'_>,
    request: &AssociateAddressRequest,
) -> Result<AssociateAddressResult, ApiError> {
    let address = named(ctx, request.allocation_id.as_deref(), request.public_ip.as_deref())?;
    let eni = target(ctx, request)?;
    if eni.requester_managed {
        return Err(no_permission());
    }
    let private = private_address(&eni, request.private_ip_address.as_deref())?;
    let before = address.association.clone();
    if let Some(current) = &before {
        if (current.eni, current.private_ip) == (eni.id, private) {
            return Ok(AssociateAddressResult { association_id: Some(current.id.to_string()) });
        }
        check_movable(ctx, &address, current, request.allow_reassociation)?;
    }
    check_gateway(ctx, &eni)?;
    if let Some(other) = ctx.world().address_of_private(eni.id, private).cloned() {
        ctx.edit(&*other, |other| other.association = None);
    }
    if eni.primary_ipv4() == Some(private) {
        ctx.edit(&*eni, Eni::release_public_ipv4);
    }
    let id = stand_for(ctx, &address, &eni, private);
    if let Some(before) = before {
        // The ENI that lost it goes on as after a disassociation.
        automatic::give_back(ctx, before.eni);
    }
    Ok(AssociateAddressResult { association_id: Some(id.to_string()) })
}

/// Lets the address stand for a private one that nothing else stands for.
pub(crate) fn stand_for(
    ctx: &mut Context<'_>,
    address: &Address,
    eni: &Eni,
    private_ip: Ipv4Addr,
) -> AddressAssociationId {
    let id = ctx.draw(AddressAssociationId::from_bits);
    let association = AddressAssociation { id, eni: eni.id, private_ip };
    ctx.edit(address, |address| address.association = Some(association));
    id
}

/// The caller's address by its allocation's id, or by itself.
fn named(ctx: &Context<'_>, id: Option<&str>, public_ip: Option<&str>) -> Result<Arc<Address>, ApiError> {
    match (id, public_ip) {
        (Some(id), None) => ctx.address(id),
        (None, Some(text)) => {
            let address = text.parse().ok().and_then(|public| ctx.world().address_with_public_ip(public));
            let own = address.filter(|address| address.owner == ctx.account());
            own.cloned().ok_or_else(|| super::describe::no_such_public_ip(text))
        }
        (None, None) => {
            let message = "Either public IP or allocation id must be specified";
            Err(ApiError::client("MissingParameter", message))
        }
        (Some(_), Some(_)) => {
            let message = "You may specify public IP or allocation id, but not both in the same call";
            Err(ApiError::client("InvalidParameterCombination", message))
        }
    }
}

fn target(ctx: &Context<'_>, request: &AssociateAddressRequest) -> Result<Arc<Eni>, ApiError> {
    match (request.instance_id.as_deref(), request.network_interface_id.as_deref()) {
        (None, Some(id)) => ctx.eni(id),
        (Some(id), None) => only_eni(ctx, &*ctx.instance(id)?),
        (None, None) => {
            let message = "Either instance ID or network interface id must be specified";
            Err(ApiError::client("MissingParameter", message))
        }
        (Some(id), Some(eni)) => {
            // Clients that name both mean the instance's own interface.
            let (instance, eni) = (ctx.instance(id)?, ctx.eni(eni)?);
            if eni.attachment.as_ref().is_some_and(|attachment| attachment.instance == instance.id) {
                return Ok(eni);
            }
            let message = "You may specify an instance ID or a network interface ID of that instance, but not both";
            Err(ApiError::client("InvalidParameterCombination", message))
        }
    }
}

fn only_eni(ctx: &Context<'_>, instance: &Instance) -> Result<Arc<Eni>, ApiError> {
    if !matches!(instance.state, InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped) {
        let message = format!(
            "The {} instance '{}' is not in a valid state for this operation.",
            instance.state.name(),
            instance.id
        );
        return Err(ApiError::client("InvalidInstanceID", message));
    }
    match ctx.world().enis_of_instance(instance.id).as_slice() {
        [eni] => Ok(eni.clone()),
        _ => {
            let message = format!(
                "There are multiple interfaces attached to instance '{}'. Please specify an interface ID for the \
                 operation instead.",
                instance.id
            );
            Err(ApiError::client("InvalidInstanceID", message))
        }
    }
}

/// The private address that is meant: one that the ENI holds, also by a prefix; else its primary one.
fn private_address(eni: &Eni, given: Option<&str>) -> Result<Ipv4Addr, ApiError> {
    let Some(text) = given else {
        return eni.primary_ipv4().ok_or_else(|| {
            let message = format!("The network interface {} has no private IPv4 address.", eni.id);
            ApiError::client("InvalidParameterValue", message)
        });
    };
    let parsed = text.parse().ok().filter(|address| eni.holds(IpAddr::V4(*address)));
    parsed.ok_or_else(|| {
        let why = format!("It is not assigned to network interface {}.", eni.id);
        ApiError::invalid_value(text, "PrivateIpAddress", why)
    })
}

fn check_movable(
    ctx: &Context<'_>,
    address: &Address,
    current: &AddressAssociation,
    allowed: Option<bool>,
) -> Result<(), ApiError> {
    if allowed == Some(false) || held_by_service(ctx.world(), address) {
        return Err(already_associated(address, current));
    }
    Ok(())
}

fn already_associated(address: &Address, current: &AddressAssociation) -> ApiError {
    let message = format!("resource {} is already associated with associate-id {}", address.id, current.id);
    ApiError::client("Resource.AlreadyAssociated", message)
}

fn check_gateway(ctx: &Context<'_>, eni: &Eni) -> Result<(), ApiError> {
    if ctx.world().gateway_of_vpc(eni.vpc).is_some() {
        return Ok(());
    }
    let message = format!("Network {} is not attached to any internet gateway", eni.vpc);
    Err(ApiError::client("Gateway.NotAttached", message))
}

/// Does a service need the address? Then only the service's own actions take it away.
pub(crate) fn held_by_service(world: &World, address: &Address) -> bool {
    let eni = address.association.as_ref().and_then(|association| world.eni(association.eni));
    eni.is_some_and(|eni| eni.requester_managed)
}

pub(super) fn no_permission() -> ApiError {
    ApiError::client("AuthFailure", "You do not have permission to access the specified resource.")
}

/// The ENI gets an automatic address again where it is due one.
///
/// # Errors
/// `InvalidAssociationID.NotFound`, `InvalidAddress.NotFound`; `AuthFailure` where a service has the address;
/// `InvalidParameterValue` where nothing is to be ended by its public address.
pub(crate) fn disassociate(ctx: &mut Context<'_>, request: &DisassociateAddressRequest) -> Result<(), ApiError> {
    let address = match (request.association_id.as_deref(), request.public_ip.as_deref()) {
        (Some(id), None) => of_association(ctx, id)?,
        (id, public_ip) => named(ctx, id, public_ip)?,
    };
    let Some(association) = address.association.clone() else {
        let message = format!("resource {} is not associated", address.public_ip);
        return Err(ApiError::client("InvalidParameterValue", message));
    };
    if held_by_service(ctx.world(), &address) {
        return Err(no_permission());
    }
    ctx.edit(&*address, |address| address.association = None);
    automatic::give_back(ctx, association.eni);
    Ok(())
}

fn of_association(ctx: &Context<'_>, text: &str) -> Result<Arc<Address>, ApiError> {
    let words = lookup::ASSOCIATION;
    let id: AddressAssociationId = words.parse(text)?;
    let mut own = ctx.world().tables().addresses.values().filter(|address| address.owner == ctx.account());
    let found = own.find(|address| address.association.as_ref().is_some_and(|association| association.id == id));
    found.cloned().ok_or_else(|| words.not_found(&[text]))
}
