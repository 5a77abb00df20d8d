//! DescribeAddresses.

use crate::Context;
use crate::filter::{Filter, one};
use crate::page::Query;
use crate::tag_spec::tag_list;
use gp_ec2::{ApiError, shapes};
use gp_model::Address;
use std::net::Ipv4Addr;

const FILTERS: &[Filter<shapes::Address>] = &[
    ("allocation-id", |a| one(&a.allocation_id)),
    ("association-id", |a| one(&a.association_id)),
    ("domain", |a| one(&a.domain)),
    ("instance-id", |a| one(&a.instance_id)),
    ("network-border-group", |a| one(&a.network_border_group)),
    ("network-interface-id", |a| one(&a.network_interface_id)),
    ("network-interface-owner-id", |a| one(&a.network_interface_owner_id)),
    ("private-ip-address", |a| one(&a.private_ip_address)),
    ("public-ip", |a| one(&a.public_ip)),
];

/// # Errors
/// `InvalidAllocationID.NotFound`, `InvalidAddress.NotFound`, `InvalidParameterValue` for an unknown filter.
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeAddressesRequest,
) -> Result<shapes::DescribeAddressesResult, ApiError> {
    let mut addresses = ctx.addresses(&request.allocation_ids)?;
    if !request.public_ips.is_empty() {
        let public = |address: &Address| address.public_ip.to_string();
        let missing = |text: &&String| !addresses.iter().any(|address| public(address) == **text);
        if let Some(text) = request.public_ips.iter().find(missing) {
            return Err(no_such_public_ip(text));
        }
        addresses.retain(|address| request.public_ips.contains(&public(address)));
    }
    let query = Query {
        filters: &request.filters,
        max_results: None,
        next_token: &None,
        ids: (!request.allocation_ids.is_empty(), "allocationIds"),
    };
    let key = |address: &shapes::Address| address.allocation_id.clone().unwrap_or_default();
    let shapes = addresses.iter().map(|address| shape(ctx, address));
    let (addresses, _one_page) = ctx.list(shapes, query, FILTERS, key)?;
    Ok(shapes::DescribeAddressesResult { addresses })
}

pub(super) fn no_such_public_ip(text: &str) -> ApiError {
    // AWS tells what is no address at all from one that the caller has not.
    match text.parse::<Ipv4Addr>() {
        Ok(_) => ApiError::client("InvalidAddress.NotFound", format!("Address '{text}' not found.")),
        Err(_) => ApiError::invalid_value(text, "PublicIp", "Invalid IPv4 address."),
    }
}

fn shape(ctx: &Context<'_>, address: &Address) -> shapes::Address {
    let eni = address.association.as_ref().and_then(|association| ctx.world().eni(association.eni));
    let instance = eni.and_then(|eni| eni.attachment.as_ref()).map(|attachment| attachment.instance.to_string());
    shapes::Address {
        allocation_id: Some(address.id.to_string()),
        association_id: address.association.as_ref().map(|association| association.id.to_string()),
        domain: Some("vpc".to_owned()),
        instance_id: instance,
        network_interface_id: eni.map(|eni| eni.id.to_string()),
        network_interface_owner_id: eni.map(|eni| eni.owner.to_string()),
        private_ip_address: address.association.as_ref().map(|association| association.private_ip.to_string()),
        tags: tag_list(&address.tags),
        public_ipv4_pool: Some(address.pool.clone()),
        network_border_group: Some(address.network_border_group.clone()),
        service_managed: address.service_managed.clone(),
        public_ip: Some(address.public_ip.to_string()),
        ..Default::default()
    }
}
