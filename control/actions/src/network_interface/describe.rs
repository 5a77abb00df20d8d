//! DescribeNetworkInterfaces and its filters.

use super::candidates::candidates;
use super::view;
use crate::Context;
use crate::filter::{Filter, Tagged, each, one};
use crate::page::Query;
use gp_ec2::ApiError;
use gp_ec2::shapes::{DescribeNetworkInterfacesRequest, DescribeNetworkInterfacesResult, NetworkInterface, Tag};
use gp_model::Eni;

impl Tagged for NetworkInterface {
    fn tags(&self) -> &[Tag] {
        &self.tag_set
    }
}

/// A filter on a member of the attachment.
macro_rules! attachment {
    ($member:ident) => {
        |eni| one(&eni.attachment.as_ref().and_then(|attachment| attachment.$member.clone()))
    };
}

/// A filter on a member of the primary address's association.
macro_rules! association {
    ($member:ident) => {
        |eni| one(&eni.association.as_ref().and_then(|association| association.$member.clone()))
    };
}

/// A filter on a member of each address's association.
macro_rules! address_association {
    ($member:ident) => {
        |eni| each(&eni.private_ip_addresses, |address| address.association.as_ref()?.$member.clone())
    };
}

const ATTACHMENT_ID: &str = "attachment.attachment-id";

const FILTERS: &[Filter<NetworkInterface>] = &[
    ("addresses.primary", |eni| each(&eni.private_ip_addresses, |address| address.primary)),
    ("addresses.private-ip-address", |eni| private_addresses(eni)),
    ("addresses.association.owner-id", address_association!(ip_owner_id)),
    ("addresses.association.public-ip", address_association!(public_ip)),
    ("association.allocation-id", association!(allocation_id)),
    ("association.association-id", association!(association_id)),
    ("association.ip-owner-id", association!(ip_owner_id)),
    ("association.public-dns-name", association!(public_dns_name)),
    ("association.public-ip", association!(public_ip)),
    ("attachment.attach-time", attachment!(attach_time)),
    (ATTACHMENT_ID, attachment!(attachment_id)),
    ("attachment.delete-on-termination", attachment!(delete_on_termination)),
    ("attachment.device-index", attachment!(device_index)),
    ("attachment.instance-id", attachment!(instance_id)),
    ("attachment.instance-owner-id", attachment!(instance_owner_id)),
    ("attachment.network-card-index", attachment!(network_card_index)),
    ("attachment.status", attachment!(status)),
    ("availability-zone", |eni| one(&eni.availability_zone)),
    ("availability-zone-id", |eni| one(&eni.availability_zone_id)),
    ("description", |eni| one(&eni.description)),
    ("group-id", |eni| each(&eni.groups, |group| group.group_id.clone())),
    ("group-name", |eni| each(&eni.groups, |group| group.group_name.clone())),
    ("interface-type", |eni| interface_types(eni)),
    ("ipv6-addresses.ipv6-address", |eni| each(&eni.ipv6_addresses, |address| address.ipv6_address.clone())),
    ("mac-address", |eni| one(&eni.mac_address)),
    ("network-interface-id", |eni| one(&eni.network_interface_id)),
    ("operator.managed", |eni| one(&eni.operator.as_ref().and_then(|operator| operator.managed))),
    ("owner-id", |eni| one(&eni.owner_id)),
    ("private-dns-name", |eni| one(&eni.private_dns_name)),
    ("private-ip-address", |eni| private_addresses(eni)),
    ("requester-id", |eni| one(&eni.requester_id)),
    ("requester-managed", |eni| one(&eni.requester_managed)),
    ("source-dest-check", |eni| one(&eni.source_dest_check)),
    ("status", |eni| one(&eni.status)),
    ("subnet-id", |eni| one(&eni.subnet_id)),
    ("vpc-id", |eni| one(&eni.vpc_id)),
];

/// The API's model says `natGateway` where its documentation and its answers say `nat_gateway`.
fn interface_types(eni: &NetworkInterface) -> Vec<String> {
    let mut names = one(&eni.interface_type);
    if names.iter().any(|name| name == "nat_gateway") {
        names.push("natGateway".to_owned());
    }
    names
}

fn private_addresses(eni: &NetworkInterface) -> Vec<String> {
    each(&eni.private_ip_addresses, |address| address.private_ip_address.clone())
}

/// Whoever filters by an attachment's id waits for its end: an attachment that has just ended is found, as `detached`,
/// for a short while. Terraform takes anything else for a failure that it must wait out.
///
/// # Errors
/// `InvalidNetworkInterfaceID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &DescribeNetworkInterfacesRequest,
) -> Result<DescribeNetworkInterfacesResult, ApiError> {
    let ids = &request.network_interface_ids;
    let named = if ids.is_empty() { Vec::new() } else { ctx.enis(ids)? };
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!ids.is_empty(), "networkInterfaceIdSet"),
    };
    let waiting = request.filters.iter().any(|filter| filter.name.as_deref() == Some(ATTACHMENT_ID));
    let shape = move |eni: &Eni| {
        let mut shape = view::network_interface(ctx, eni);
        if waiting {
            shape.attachment = shape.attachment.or_else(|| view::detached_shape(ctx, eni));
        }
        shape
    };
    let key = |eni: &NetworkInterface| eni.network_interface_id.clone().unwrap_or_default();
    let (network_interfaces, next_token) =
        ctx.list_in_order(query, FILTERS, key, |after| -> Box<dyn Iterator<Item = NetworkInterface>> {
            if ids.is_empty() {
                return Box::new(candidates(ctx, &request.filters, after).map(move |eni| shape(eni)));
            }
            Box::new(named.into_iter().filter(move |eni| after < Some(eni.id)).map(move |eni| shape(&eni)))
        })?;
    Ok(DescribeNetworkInterfacesResult { network_interfaces, next_token })
}
