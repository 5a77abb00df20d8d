//! Automatic public addresses: given to an instance's only ENI when it starts, taken away when it stops.
//!
//! Source: EC2 user guide, "EC2 instance IP addressing". An ENI has one if it wants one (its subnet's setting at the
//! launch, or the launch's own), is the only ENI of an instance that runs, and has no Elastic IP address. An ENI that
//! has one keeps it when a second one joins.

use super::pool;
use crate::Context;
use gp_ec2::ApiError;
use gp_model::{Change, Eni, EniId, Instance, World};
use std::sync::Arc;

/// Gives the ENI an automatic address, if it is due one.
///
/// # Errors
/// `InsufficientAddressCapacity`.
pub(crate) fn give(ctx: &mut Context<'_>, id: EniId) -> Result<(), ApiError> {
    let Some(eni) = ctx.world().eni(id).filter(|eni| is_due(ctx.world(), eni)).cloned() else { return Ok(()) };
    let public = pool::draw(ctx, eni.last_public_ipv4)?;
    ctx.edit(&*eni, |eni| eni.public_ipv4 = Some(public));
    Ok(())
}

/// Gives the ENI an automatic address once its Elastic IP address is gone. Where none is free it stays without: what
/// the caller asked for has happened all the same.
pub(crate) fn give_back(ctx: &mut Context<'_>, id: EniId) {
    // The one refusal is that none is free.
    let _none_free = give(ctx, id);
}

fn is_due(world: &World, eni: &Eni) -> bool {
    if !eni.associate_public_ip || eni.public_ipv4.is_some() || eni.primary_ipv4().is_none() {
        return false;
    }
    let Some(attachment) = eni.attachment.as_ref().filter(|a| (a.network_card_index, a.device_index) == (0, 0)) else {
        return false;
    };
    world.instance(attachment.instance).is_some_and(|instance| instance.state.wants_to_run())
        && world.enis_of_instance(attachment.instance).len() == 1
        && world.addresses_of_eni(eni.id).next().is_none()
}

/// The changes that take an instance's automatic addresses away.
pub(crate) fn released(world: &World, instance: &Instance) -> Vec<Change> {
    let enis = world.enis_of_instance(instance.id).into_iter().filter(|eni| eni.public_ipv4.is_some());
    let without = |eni: Arc<Eni>| {
        let mut eni = Arc::unwrap_or_clone(eni);
        eni.release_public_ipv4();
        Change::Put(eni.into())
    };
    enis.map(without).collect()
}
