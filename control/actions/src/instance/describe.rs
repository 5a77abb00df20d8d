//! DescribeInstances.

use super::filters::{Described, FILTERS};
use super::view;
use crate::Context;
use crate::page::Query;
use gp_ec2::ApiError;
use gp_ec2::shapes::{DescribeInstancesRequest, DescribeInstancesResult, Reservation};
use gp_model::Instance;

/// # Errors
/// `InvalidInstanceID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &DescribeInstancesRequest,
) -> Result<DescribeInstancesResult, ApiError> {
    let instances = ctx.instances(&request.instance_ids)?;
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.instance_ids.is_empty(), "instancesSet"),
    };
    let described = instances.iter().map(|instance| described(ctx, instance));
    let (listed, next_token) = ctx.list(described, query, FILTERS, Described::key)?;
    Ok(DescribeInstancesResult { reservations: reservations(listed), next_token })
}

pub(super) fn described(ctx: &Context<'_>, instance: &Instance) -> Described {
    let enis = ctx.world().enis_of_instance(instance.id);
    let elastic = enis.iter().flat_map(|eni| ctx.world().addresses_of_eni(eni.id)).cloned().collect();
    Described {
        reservation: instance.reservation.to_string(),
        owner: instance.owner.to_string(),
        instance: view::instance(ctx, instance),
        enis,
        elastic,
    }
}

/// Instances of one launch stand together; they come in that order.
pub(super) fn reservations(described: Vec<Described>) -> Vec<Reservation> {
    let mut reservations: Vec<Reservation> = Vec::new();
    for Described { reservation, owner, instance, .. } in described {
        match reservations.last_mut().filter(|last| last.reservation_id.as_ref() == Some(&reservation)) {
            Some(last) => last.instances.push(instance),
            None => reservations.push(Reservation {
                reservation_id: Some(reservation),
                owner_id: Some(owner),
                instances: vec![instance],
                ..Default::default()
            }),
        }
    }
    reservations
}
