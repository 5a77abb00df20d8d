//! Which ENIs a listing has to look at: those that an index gives for one of its filters, else all.
//!
//! Whatever comes from here is judged by the filters all the same, so it may be too many and never too few.

use crate::Context;
use gp_ec2::filter::Pattern;
use gp_ec2::shapes::Filter;
use gp_model::{AccountId, Eni, EniId, World};
use std::collections::BTreeSet;
use std::hint::black_box;
use std::iter::Peekable;
use std::net::IpAddr;
use std::sync::Arc;

/// ENIs that are touched before the first of them is shown. They lie apart in memory: where they are shown, one by one, each
/// would be waited for, and here the processor fetches many at once. With each looked up in the table it gave 1.15
/// times as many pages of 100,000 ENIs.
const AT_ONCE: usize = 16;

type Enis<'w> = Box<dyn Iterator<Item = &'w Arc<Eni>> + 'w>;

/// The caller's ENIs that may fit the filters and whose ids come after this one, in order.
pub(super) fn candidates<'w>(ctx: &'w Context<'_>, filters: &[Filter], after: Option<EniId>) -> Enis<'w> {
    let (world, owner) = (ctx.world(), ctx.account());
    let indexed = filters.iter().filter_map(|filter| by_filter(world, filter, after)).min_by_key(|(rank, _)| *rank);
    match indexed {
        Some((_, enis)) => Box::new(own(owner, enis)),
        None => Box::new(own(owner, world.enis_of_owner_after(owner, after))),
    }
}

/// Those of these ENIs that are the owner's.
fn own<'w>(owner: AccountId, mut enis: impl Iterator<Item = &'w Arc<Eni>> + 'w) -> impl Iterator<Item = &'w Arc<Eni>> {
    let portions = std::iter::from_fn(move || {
        let portion: Vec<&Arc<Eni>> = enis.by_ref().take(AT_ONCE).collect();
        portion.iter().for_each(|eni| touch(eni));
        (!portion.is_empty()).then_some(portion)
    });
    portions.flatten().filter(move |eni| eni.owner == owner)
}

/// Reads a little of each part of an ENI, of whatever lies apart within it, to have it near when it is shown.
fn touch(eni: &Eni) {
    let held =
        (eni.attachment.is_some(), eni.groups.first().copied(), eni.private_ipv4.first().copied(), eni.created_at);
    let more = (eni.requester.as_ref().map(|name| name.len()), eni.ipv6.first().copied(), eni.public_ipv4);
    black_box((held, more));
}

/// The ENIs that a filter leaves, if an index knows them. The lower the rank, the fewer they are as a rule.
fn by_filter<'w>(world: &'w World, filter: &Filter, after: Option<EniId>) -> Option<(u8, Enis<'w>)> {
    // A wildcard may fit anything.
    let values: Vec<String> = filter.values.iter().map(|value| Pattern::new(value).literal()).collect::<Option<_>>()?;
    let values = values.iter().map(String::as_str);
    let few = |ids: BTreeSet<EniId>| -> Enis<'w> {
        Box::new(ids.into_iter().filter(move |id| after < Some(*id)).filter_map(|id| world.eni(id)))
    };
    Some(match filter.name.as_deref()? {
        "network-interface-id" => (0, few(values.filter_map(|id| id.parse().ok()).collect())),
        "private-ip-address" | "addresses.private-ip-address" | "ipv6-addresses.ipv6-address" => {
            (1, few(values.flat_map(|address| holders(world, address)).collect()))
        }
        "attachment.instance-id" => {
            let of = |id: &str| id.parse().map(|id| world.enis_of_instance(id)).unwrap_or_default();
            (2, few(values.flat_map(of).map(|eni| eni.id).collect()))
        }
        "group-id" => {
            let groups = values.filter_map(|id| id.parse().ok());
            (3, merged(groups.map(|id| -> Enis<'w> { Box::new(world.enis_of_group_after(id, after)) })))
        }
        "subnet-id" => {
            let subnets = values.filter_map(|id| id.parse().ok());
            (3, merged(subnets.map(|id| -> Enis<'w> { Box::new(world.enis_of_subnet_after(id, after)) })))
        }
        "vpc-id" => {
            let vpcs = values.filter_map(|id| id.parse().ok());
            let subnets = vpcs.flat_map(|id| world.subnets_of_vpc(id));
            (4, merged(subnets.map(|subnet| -> Enis<'w> { Box::new(world.enis_of_subnet_after(subnet.id, after)) })))
        }
        _ => return None,
    })
}

/// Who holds this address, in whichever VPC.
fn holders(world: &World, address: &str) -> Vec<EniId> {
    let Ok(address) = address.parse::<IpAddr>() else { return Vec::new() };
    world.tables().vpcs.keys().filter_map(|vpc| world.eni_at(*vpc, address)).map(|eni| eni.id).collect()
}

/// Ordered lists as one, each ENI once.
fn merged<'w>(lists: impl Iterator<Item = Enis<'w>>) -> Enis<'w> {
    let mut lists: Vec<Peekable<Enis<'w>>> = lists.map(Iterator::peekable).collect();
    if lists.len() == 1 {
        return Box::new(lists.remove(0));
    }
    Box::new(std::iter::from_fn(move || {
        let least = lists.iter_mut().filter_map(|list| list.peek().copied()).min_by_key(|eni| eni.id)?;
        for list in &mut lists {
            list.next_if(|eni| eni.id == least.id);
        }
        Some(least)
    }))
}
