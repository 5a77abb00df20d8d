//! Route: the subnet's table names the target of the longest prefix that holds the destination.
//!
//! Source: VPC user guide, "Route priority". Inside a subnet no table is asked.

use crate::journey::{Journey, Stop};
use crate::{Detail, DropReason, Read, Resource, Stage, StepAction, TraceError, neighborhood};
use gp_model::{PrefixListId, Route, RouteDestination, RouteTable, RouteTableId, RouteTarget, Subnet};
use ipnet::IpNet;
use std::net::IpAddr;

/// What a table says to an address, before it is judged.
pub(crate) struct Found {
    table: RouteTableId,
    best: Option<(IpNet, RouteTarget)>,
}

impl Found {
    pub(crate) fn target(&self) -> Option<RouteTarget> {
        self.best.map(|(_, target)| target)
    }
}

/// Asks the subnet's table.
pub(crate) fn find(journey: &mut Journey<'_>, subnet: &Subnet, address: IpAddr) -> Result<Found, TraceError> {
    // Which table it is, the subnet's own association says or else the VPC.
    journey.vpc(subnet.vpc)?;
    let world = journey.world;
    let table = world.route_table_of(subnet).ok_or(TraceError::Dangling(Read::Subnet(subnet.id)))?;
    Ok(find_in(journey, table, address))
}

/// Asks a table of a VPC that has been read.
pub(crate) fn find_in(journey: &mut Journey<'_>, table: &RouteTable, address: IpAddr) -> Found {
    journey.read(Read::RouteTable(table.id));
    let routes = journey.world.routes(table);
    Found { table: table.id, best: longest_match(journey, routes, address) }
}

pub(crate) fn check(journey: &mut Journey<'_>, found: &Found) -> Result<RouteTarget, Stop> {
    let tuple = journey.tuple();
    for address in [tuple.src, tuple.dst] {
        if neighborhood::is_link_local(address) {
            return Err(journey.drop(Stage::Route, DropReason::NoRoute, None, Detail::LinkLocal(address)));
        }
    }
    let resource = Some(Resource::RouteTable { id: found.table });
    match found.best {
        Some((block, target)) => {
            journey.step(Stage::Route, StepAction::Forward, resource, Detail::RouteTo(block));
            Ok(target)
        }
        None => Err(journey.drop(Stage::Route, DropReason::NoRoute, resource, Detail::NoRouteTo(tuple.dst))),
    }
}

/// The block that matches best, with its route's target. Of equal blocks the first wins, and a block that a route names
/// itself before one of a prefix list; local routes come before static ones.
fn longest_match(
    journey: &mut Journey<'_>,
    routes: impl Iterator<Item = Route>,
    address: IpAddr,
) -> Option<(IpNet, RouteTarget)> {
    let mut best: Option<((u8, bool), IpNet, RouteTarget)> = None;
    for route in routes {
        let (block, is_own) = match route.destination {
            RouteDestination::Block(block) => (Some(block).filter(|block| block.contains(&address)), true),
            RouteDestination::PrefixList(list) => (longest_of_list(journey, list, address), false),
        };
        let Some(block) = block else { continue };
        let rank = (block.prefix_len(), is_own);
        if best.is_none_or(|(other, ..)| rank > other) {
            best = Some((rank, block, route.target));
        }
    }
    best.map(|(_, block, target)| (block, target))
}

fn longest_of_list(journey: &mut Journey<'_>, list: PrefixListId, address: IpAddr) -> Option<IpNet> {
    journey.read(Read::PrefixList(list));
    journey.world.blocks_of_list(list)?.longest_match(address)
}
