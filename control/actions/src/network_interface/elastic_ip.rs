//! What becomes of an Elastic IP address when the private address that it stands for goes, or moves to another ENI.
//! Source: EC2 API reference, "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses".

use crate::Context;
use gp_model::{Address, Change, Eni, EniId, World};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Ends what associations Elastic IP addresses have with the ENI's private addresses that `goes` names.
pub(super) fn free(ctx: &mut Context<'_>, eni: EniId, goes: impl Fn(&Ipv4Addr) -> bool) {
    let addresses: Vec<_> = ctx.world().addresses_of_eni(eni).cloned().collect();
    for address in addresses {
        if address.association.as_ref().is_some_and(|association| goes(&association.private_ip)) {
            ctx.edit(&*address, |address| {
                address.association = None;
                address.service_managed = None;
            });
        }
    }
}

/// The Elastic IP address follows its private address, under the association that it has.
pub(super) fn follow(ctx: &mut Context<'_>, private: Ipv4Addr, from: EniId, to: EniId) {
    let Some(address) = ctx.world().address_of_private(from, private).cloned() else { return };
    ctx.edit(&*address, |address| {
        if let Some(association) = address.association.as_mut() {
            association.eni = to;
        }
    });
}

/// The changes that set free all the Elastic IP addresses of an ENI that goes.
pub(crate) fn freed_with(world: &World, eni: &Eni) -> Vec<Change> {
    freed(world, eni, |_| true)
}

/// The changes that set free what Elastic IP addresses stand for the ENI's private addresses that `goes` names.
pub(super) fn freed(world: &World, eni: &Eni, goes: impl Fn(&Ipv4Addr) -> bool) -> Vec<Change> {
    let stands_for_one = |address: &&Arc<Address>| address.association.as_ref().is_some_and(|of| goes(&of.private_ip));
    let free = |address: &Arc<Address>| {
        Change::Put(Address { association: None, service_managed: None, ..(**address).clone() }.into())
    };
    world.addresses_of_eni(eni.id).filter(stands_for_one).map(free).collect()
}
