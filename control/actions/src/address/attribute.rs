//! Describe-, Modify- and ResetAddressAttribute: the name that the reverse look-up of an address gives.

use crate::Context;
use crate::filter::Tagged;
use crate::page::Query;
use gp_ec2::{ApiError, shapes};
use gp_model::Address;

/// Longest domain name, in characters (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 253;
/// Longest label.
const MAX_LABEL: usize = 63;

impl Tagged for shapes::AddressAttribute {
    fn tags(&self) -> &[shapes::Tag] {
        &[]
    }
}

/// # Errors
/// `InvalidAllocationID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe_attribute(
    ctx: &Context<'_>,
    request: &shapes::DescribeAddressesAttributeRequest,
) -> Result<shapes::DescribeAddressesAttributeResult, ApiError> {
    let addresses = ctx.addresses(&request.allocation_ids)?;
    let query = Query {
        filters: &[],
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.allocation_ids.is_empty(), "allocationIds"),
    };
    let key = |address: &shapes::AddressAttribute| address.allocation_id.clone().unwrap_or_default();
    let shapes = addresses.iter().map(|address| shape(address));
    let (addresses, next_token) = ctx.list(shapes, query, &[], key)?;
    Ok(shapes::DescribeAddressesAttributeResult { addresses, next_token })
}

fn shape(address: &Address) -> shapes::AddressAttribute {
    shapes::AddressAttribute {
        public_ip: Some(address.public_ip.to_string()),
        allocation_id: Some(address.id.to_string()),
        ptr_record: address.domain_name.clone(),
        ..Default::default()
    }
}

/// The name takes effect with the call; AWS answers with it as an update under way.
///
/// # Errors
/// `InvalidAllocationID.NotFound`, `MissingParameter`, `InvalidParameterValue` for what is no domain name.
pub(crate) fn modify_attribute(
    ctx: &mut Context<'_>,
    request: &shapes::ModifyAddressAttributeRequest,
) -> Result<shapes::ModifyAddressAttributeResult, ApiError> {
    let address = ctx.address(request.allocation_id.as_deref().unwrap_or_default())?;
    let given = request.domain_name.as_deref().ok_or_else(|| ApiError::missing_parameter("DomainName"))?;
    let name = absolute(given)?;
    let before = shape(&address);
    ctx.edit(&*address, |address| address.domain_name = Some(name.clone()));
    Ok(shapes::ModifyAddressAttributeResult { address: Some(updating(before, Some(name))) })
}

/// # Errors
/// `InvalidAllocationID.NotFound`.
pub(crate) fn reset_attribute(
    ctx: &mut Context<'_>,
    request: &shapes::ResetAddressAttributeRequest,
) -> Result<shapes::ResetAddressAttributeResult, ApiError> {
    let address = ctx.address(request.allocation_id.as_deref().unwrap_or_default())?;
    let before = shape(&address);
    ctx.edit(&*address, |address| address.domain_name = None);
    Ok(shapes::ResetAddressAttributeResult { address: Some(updating(before, None)) })
}

fn updating(before: shapes::AddressAttribute, name: Option<String>) -> shapes::AddressAttribute {
    let update = shapes::PtrUpdateStatus { value: name, status: Some("PENDING".to_owned()), reason: None };
    shapes::AddressAttribute { ptr_record_update: Some(update), ..before }
}

/// The name with its final dot.
fn absolute(given: &str) -> Result<String, ApiError> {
    let name = given.strip_suffix('.').unwrap_or(given);
    let is_label = |label: &str| {
        let hyphen = label.starts_with('-') || label.ends_with('-');
        let letters = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        !label.is_empty() && label.len() <= MAX_LABEL && letters && !hyphen
    };
    if name.len() > MAX_NAME || !name.split('.').all(is_label) || !name.contains('.') {
        return Err(ApiError::invalid_value(given, "DomainName", "Expecting a fully qualified domain name."));
    }
    Ok(format!("{name}."))
}
