//! CreateNetworkInterface and DeleteNetworkInterface.

use super::elastic_ip;
use super::{AddressLimits, AddressRequest, EniKind, NewEni, WireAddresses, connection_tracking, resolve_groups, view};
use crate::context::refuse_unsupported;
use crate::{Context, lookup, trunk};
use gp_ec2::ApiError;
use gp_ec2::shapes::{CreateNetworkInterfaceRequest, CreateNetworkInterfaceResult, DeleteNetworkInterfaceRequest};
use gp_model::{Eni, InterfaceType, RecordKey};

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 255;

/// # Errors
/// `InvalidSubnetID.NotFound`, `InvalidGroup.NotFound`, `InvalidIPAddress.InUse`,
/// `InsufficientFreeAddressesInSubnet`, `PrivateIpAddressLimitExceeded`, … (see the parts).
pub(crate) fn create(
    ctx: &mut Context<'_>,
    request: &CreateNetworkInterfaceRequest,
) -> Result<CreateNetworkInterfaceResult, ApiError> {
    let tags = ctx.tags_for(&request.tag_specifications, "network-interface")?;
    if let Some(created) = ctx.replayed()? {
        let eni = ctx.enis(&created)?.into_iter().next();
        let eni = eni.ok_or_else(|| lookup::ENI.not_found(&["eni-"]))?;
        return Ok(reply(ctx, request, &eni, None));
    }
    let interface_type = interface_type(request.interface_type.as_deref())?;
    refuse_unsupported(&[("Operator", request.operator.is_some())])?;
    let addresses = AddressRequest::parse(wire_addresses(request))?;
    let tracking = connection_tracking(request.connection_tracking_specification.as_ref())?;
    let description = request.description.clone().unwrap_or_default();
    check_description(&description)?;
    let subnet = ctx.subnet(request.subnet_id.as_deref().unwrap_or_default())?;
    let groups = resolve_groups(ctx, &request.groups, &subnet)?;
    let kind =
        EniKind { interface_type, primary_ipv6: request.enable_primary_ipv6 == Some(true), ..EniKind::default() };
    let eni = NewEni { subnet, groups, description, addresses, connection_tracking: tracking, tags, kind };
    let eni = eni.create(ctx, AddressLimits::UNATTACHED)?;
    ctx.remember([eni.id]);
    Ok(reply(ctx, request, &eni, Some("pending")))
}

/// The types that a caller may ask for.
fn interface_type(name: Option<&str>) -> Result<InterfaceType, ApiError> {
    let Some(name) = name else { return Ok(InterfaceType::Interface) };
    let may_be_asked =
        |kind: &InterfaceType| matches!(kind, InterfaceType::Interface | InterfaceType::Trunk | InterfaceType::Branch);
    let kind = InterfaceType::from_name(name).filter(may_be_asked);
    refuse_unsupported(&[("InterfaceType", kind.is_none())])?;
    Ok(kind.unwrap_or(InterfaceType::Interface))
}

fn wire_addresses(request: &CreateNetworkInterfaceRequest) -> WireAddresses<'_> {
    WireAddresses {
        private_ip_address: request.private_ip_address.as_deref(),
        private_ip_addresses: &request.private_ip_addresses,
        secondary_count: request.secondary_private_ip_address_count,
        ipv4_prefixes: &request.ipv4_prefixes,
        ipv4_prefix_count: request.ipv4_prefix_count,
        ipv6_addresses: &request.ipv6_addresses,
        ipv6_address_count: request.ipv6_address_count,
        ipv6_prefixes: &request.ipv6_prefixes,
        ipv6_prefix_count: request.ipv6_prefix_count,
    }
}

/// AWS answers a creation with the status `pending`; the ENI is there all the same.
fn reply(
    ctx: &Context<'_>,
    request: &CreateNetworkInterfaceRequest,
    eni: &Eni,
    status: Option<&str>,
) -> CreateNetworkInterfaceResult {
    let mut shape = view::network_interface(ctx, eni);
    if let Some(status) = status {
        shape.status = Some(status.to_owned());
    }
    CreateNetworkInterfaceResult { network_interface: Some(shape), client_token: request.client_token.clone() }
}

/// # Errors
/// `InvalidParameterValue` for one that is too long.
pub(super) fn check_description(description: &str) -> Result<(), ApiError> {
    if description.chars().count() <= MAX_DESCRIPTION {
        return Ok(());
    }
    let why = format!("A description has at most {MAX_DESCRIPTION} characters.");
    Err(ApiError::invalid_value(description, "Description", why))
}

/// # Errors
/// `InvalidNetworkInterfaceID.NotFound`; `InvalidParameterValue` while it is attached, or a branch or trunk in use.
pub(crate) fn delete(ctx: &mut Context<'_>, request: &DeleteNetworkInterfaceRequest) -> Result<(), ApiError> {
    let eni = ctx.eni(request.network_interface_id.as_deref().unwrap_or_default())?;
    let held = eni.attachment.is_some() || eni.service_attachment.is_some();
    if held || trunk::is_associated(ctx.world(), eni.id) {
        let message = format!("Network interface '{}' is currently in use.", eni.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    elastic_ip::free(ctx, eni.id, |_| true);
    ctx.delete(RecordKey::Eni(eni.id));
    Ok(())
}
