//! Subnet CIDR reservations: parts of a subnet that automatic assignment leaves alone, or keeps for prefixes.
//!
//! What they mean for automatic assignment is in `network_interface::pool`; addresses that a caller names are not
//! concerned, nor are those that were in use before. Source: VPC user guide, "Subnet CIDR reservations".

use crate::Context;
use crate::filter::{Filter, one};
use crate::page::Query;
use crate::tag_spec::tag_list;
use gp_ec2::{ApiError, shapes};
use gp_model::{
    RecordKey, Subnet, SubnetCidrReservation, SubnetCidrReservationId, SubnetCidrReservationKind, SubnetId, overlaps,
};
use ipnet::IpNet;

/// # Errors
/// `InvalidSubnetID.NotFound`; `InvalidParameterValue` for a block that is outside of the subnet, or that overlaps
/// another reservation.
pub(crate) fn create(
    ctx: &mut Context<'_>,
    request: &shapes::CreateSubnetCidrReservationRequest,
) -> Result<shapes::CreateSubnetCidrReservationResult, ApiError> {
    let tags = ctx.tags_for(&request.tag_specifications, "subnet-cidr-reservation")?;
    let subnet = ctx.subnet(request.subnet_id.as_deref().unwrap_or_default())?;
    let cidr = block(ctx, &subnet, request.cidr.as_deref().unwrap_or_default())?;
    let kind = match request.reservation_type.as_deref() {
        Some("prefix") => SubnetCidrReservationKind::Prefix,
        Some("explicit") => SubnetCidrReservationKind::Explicit,
        _ => return Err(ApiError::missing_parameter("reservationType")),
    };
    let reservation = SubnetCidrReservation {
        id: ctx.draw(SubnetCidrReservationId::from_bits),
        owner: ctx.account(),
        subnet: subnet.id,
        cidr,
        kind,
        description: request.description.clone(),
        tags,
    };
    ctx.put(reservation.clone());
    Ok(shapes::CreateSubnetCidrReservationResult { subnet_cidr_reservation: Some(shape(&reservation)) })
}

/// The block, if it can be reserved.
fn block(ctx: &Context<'_>, subnet: &Subnet, text: &str) -> Result<IpNet, ApiError> {
    let invalid = |message: String| ApiError::client("InvalidParameterValue", message);
    let given: IpNet =
        text.parse().map_err(|_| ApiError::invalid_value(text, "cidr", "This is not a valid CIDR block."))?;
    let cidr = given.trunc();
    if !subnet.blocks().any(|block| block.contains(&cidr)) {
        let blocks: Vec<_> = subnet.blocks().map(|block| block.to_string()).collect();
        let blocks = blocks.join(", ");
        return Err(invalid(format!("Reservation CIDR should be within subnet CIDR block ({blocks})")));
    }
    if ctx.world().reservations_of_subnet(subnet.id).any(|other| overlaps(&other.cidr, &cidr)) {
        return Err(invalid(format!("Reservation CIDR {cidr} has overlap with existing reserved CIDR block")));
    }
    Ok(cidr)
}

/// # Errors
/// `InvalidSubnetCidrReservationID.NotFound`.
pub(crate) fn delete(
    ctx: &mut Context<'_>,
    request: &shapes::DeleteSubnetCidrReservationRequest,
) -> Result<shapes::DeleteSubnetCidrReservationResult, ApiError> {
    let reservation = ctx.subnet_cidr_reservation(request.subnet_cidr_reservation_id.as_deref().unwrap_or_default())?;
    ctx.delete(RecordKey::SubnetCidrReservation(reservation.id));
    Ok(shapes::DeleteSubnetCidrReservationResult { deleted_subnet_cidr_reservation: Some(shape(&reservation)) })
}

/// Ends the subnet's reservations of which `goes` says so: they don't outlive what they are a part of.
pub(super) fn drop_of_subnet(ctx: &mut Context<'_>, subnet: SubnetId, goes: impl Fn(&IpNet) -> bool) {
    let all = ctx.world().reservations_of_subnet(subnet);
    let ids: Vec<_> = all.filter(|reservation| goes(&reservation.cidr)).map(|reservation| reservation.id).collect();
    for id in ids {
        ctx.delete(RecordKey::SubnetCidrReservation(id));
    }
}

const FILTERS: &[Filter<shapes::SubnetCidrReservation>] = &[
    ("reservationType", |reservation| one(&reservation.reservation_type)),
    ("subnet-id", |reservation| one(&reservation.subnet_id)),
];

/// # Errors
/// `InvalidSubnetID.NotFound`, and those of [`Context::list`].
pub(crate) fn get(
    ctx: &Context<'_>,
    request: &shapes::GetSubnetCidrReservationsRequest,
) -> Result<shapes::GetSubnetCidrReservationsResult, ApiError> {
    let subnet = ctx.subnet(request.subnet_id.as_deref().unwrap_or_default())?;
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (false, "subnetId"),
    };
    let key = |shape: &shapes::SubnetCidrReservation| shape.subnet_cidr_reservation_id.clone().unwrap_or_default();
    let shapes = ctx.world().reservations_of_subnet(subnet.id).map(|reservation| shape(reservation));
    let (listed, next_token) = ctx.list(shapes, query, FILTERS, key)?;
    let is_ipv6 = |shape: &shapes::SubnetCidrReservation| shape.cidr.as_deref().is_some_and(|cidr| cidr.contains(':'));
    let (ipv6, ipv4) = listed.into_iter().partition(is_ipv6);
    Ok(shapes::GetSubnetCidrReservationsResult {
        subnet_ipv4_cidr_reservations: ipv4,
        subnet_ipv6_cidr_reservations: ipv6,
        next_token,
    })
}

fn shape(reservation: &SubnetCidrReservation) -> shapes::SubnetCidrReservation {
    let kind = match reservation.kind {
        SubnetCidrReservationKind::Prefix => "prefix",
        SubnetCidrReservationKind::Explicit => "explicit",
    };
    shapes::SubnetCidrReservation {
        subnet_cidr_reservation_id: Some(reservation.id.to_string()),
        subnet_id: Some(reservation.subnet.to_string()),
        cidr: Some(reservation.cidr.to_string()),
        reservation_type: Some(kind.to_owned()),
        owner_id: Some(reservation.owner.to_string()),
        description: reservation.description.clone(),
        tags: tag_list(&reservation.tags),
    }
}
