//! Requester-managed ENIs: the ones that a service makes in the user's subnets (NAT gateways, endpoints, load balancers).
//!
//! The one way by which services make, change and give back their ENIs. The user sees and tags them, but neither
//! detaches nor deletes them while the service holds them. Source: EC2 user guide, "Requester-managed network
//! interfaces"; the attachment as recorded: `ela-attach-…`, `InstanceOwnerId` a service's alias, no instance.

use super::address_request::Wanted;
use super::new_eni::{EniKind, Service};
use super::pool::Pool;
use super::{AddressFault, AddressLimits, AddressRequest, NewEni, NewEniError, elastic_ip};
use crate::{Context, lookup};
use gp_ec2::ApiError;
use gp_model::{
    Change, ConnectionTracking, Eni, EniId, InterfaceType, RecordKey, SecurityGroupId, Subnet, Tags, World,
};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// What a service asks for.
#[derive(Debug, Clone)]
pub(crate) struct ManagedEni {
    pub(crate) subnet: Arc<Subnet>,
    /// [`InterfaceType::Interface`] for services that use ordinary ones.
    pub(crate) interface_type: InterfaceType,
    pub(crate) description: String,
    /// An account number, or an alias such as `amazon-elb`.
    pub(crate) requester_id: String,
    /// Who owns the thing that it is attached to: `amazon-aws`, `amazon-elb`, …
    pub(crate) instance_owner: String,
    /// None where the service filters nothing (NAT gateways, transit gateways).
    pub(crate) groups: Vec<SecurityGroupId>,
    /// [`AddressRequest::default`] draws one IPv4 address.
    pub(crate) addresses: AddressRequest,
    pub(crate) source_dest_check: bool,
}

/// Makes an ENI that its service holds from the start. The account's quota of ENIs counts it.
///
/// # Errors
/// As [`NewEni::create`]; a service may have its own words for an [`AddressFault`].
pub(crate) fn create(ctx: &mut Context<'_>, managed: ManagedEni) -> Result<Eni, NewEniError> {
    let service = Service { requester: managed.requester_id, instance_owner: managed.instance_owner };
    let new = NewEni {
        subnet: managed.subnet,
        groups: managed.groups,
        description: managed.description,
        addresses: managed.addresses,
        connection_tracking: ConnectionTracking::default(),
        tags: Tags::new(),
        kind: EniKind {
            interface_type: managed.interface_type,
            source_dest_check: managed.source_dest_check,
            primary_ipv6: false,
            service: Some(service),
        },
    };
    new.create(ctx, AddressLimits::UNATTACHED)
}

/// The changes by which a service that is done with its ENI gives it back: it goes, and what Elastic IP addresses it has
/// are free again. None if it has gone already.
pub(crate) fn released(world: &World, id: EniId) -> Vec<Change> {
    let Some(eni) = world.eni(id).filter(|eni| eni.requester_managed) else { return Vec::new() };
    let mut changes = elastic_ip::freed_with(world, eni);
    changes.push(Change::Delete(RecordKey::Eni(id)));
    changes
}

/// Gives the ENI further IPv4 addresses, named or drawn, and answers with them in order.
///
/// # Errors
/// `InvalidNetworkInterfaceID.NotFound`; why an address can't be had.
pub(crate) fn add_addresses(
    ctx: &mut Context<'_>,
    id: EniId,
    wanted: &Wanted<Ipv4Addr>,
) -> Result<Vec<Ipv4Addr>, NewEniError> {
    let eni = managed(ctx, id)?;
    let subnet = ctx.world().subnet(eni.subnet).cloned();
    let subnet = subnet.ok_or_else(|| lookup::SUBNET.not_found(&[&eni.subnet.to_string()]))?;
    let added = take(ctx, &subnet, wanted)?;
    ctx.edit(&*eni, |eni| eni.private_ipv4.extend_from_slice(&added));
    Ok(added)
}

fn take(ctx: &mut Context<'_>, subnet: &Subnet, wanted: &Wanted<Ipv4Addr>) -> Result<Vec<Ipv4Addr>, AddressFault> {
    let world = ctx.world().clone();
    let mut bits = || ctx.bits();
    let mut pool = Pool::new(world, subnet, &mut bits);
    match wanted {
        Wanted::Unsaid => Ok(Vec::new()),
        Wanted::Count(count) => (0..*count).map(|_| pool.draw_v4()).collect(),
        Wanted::Listed(listed) => {
            listed.iter().try_for_each(|address| pool.take(IpAddr::V4(*address)))?;
            Ok(listed.clone())
        }
    }
}

/// The changes that take secondary IPv4 addresses from the ENI, and set free what Elastic IP addresses stand for them.
/// The primary one stays. None if the ENI has gone.
pub(crate) fn without_addresses(world: &World, id: EniId, addresses: &[Ipv4Addr]) -> Vec<Change> {
    let Some(eni) = world.eni(id).filter(|eni| eni.requester_managed) else { return Vec::new() };
    let primary = eni.primary_ipv4();
    let goes = |address: &Ipv4Addr| addresses.contains(address) && Some(*address) != primary;
    let mut changes = elastic_ip::freed(world, eni, goes);
    let mut after = (**eni).clone();
    after.private_ipv4.retain(|address| !goes(address));
    changes.push(Change::Put(after.into()));
    changes
}

fn managed(ctx: &Context<'_>, id: EniId) -> Result<Arc<Eni>, ApiError> {
    let eni = ctx.world().eni(id).filter(|eni| eni.requester_managed).cloned();
    eni.ok_or_else(|| lookup::ENI.not_found(&[&id.to_string()]))
}

// === What users may not do ===

/// Of the ENIs that services hold, those whose groups the user may set: where the service uses an ordinary one.
pub(super) fn may_set_groups(eni: &Eni) -> bool {
    !eni.requester_managed || (eni.interface_type == InterfaceType::Interface && !eni.groups.is_empty())
}

/// Tags apart, users change nothing of what a service manages.
///
/// # Errors
/// `AuthFailure`.
pub(crate) fn check_changeable(eni: &Eni) -> Result<(), ApiError> {
    if eni.requester_managed { Err(no_permission()) } else { Ok(()) }
}

pub(super) fn no_permission() -> ApiError {
    ApiError::client("AuthFailure", "You do not have permission to access the specified resource.")
}

/// # Errors
/// `OperationNotPermitted` for the id of a service's attachment.
pub(super) fn check_attachment_id(id: &str) -> Result<(), ApiError> {
    if !id.starts_with(gp_model::ServiceAttachmentId::PREFIX) {
        return Ok(());
    }
    let message = "You are not allowed to manage 'ela-attach' attachments.";
    Err(ApiError::client("OperationNotPermitted", message))
}
