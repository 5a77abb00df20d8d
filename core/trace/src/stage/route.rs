//! Route: the subnet's table names the target of the longest prefix that holds the destination.
//!
//! Source: VPC user guide, "Route priority". Inside a subnet no table is asked.

use crate::journey::{Journey, Stop};
use crate::{Detail, DropReason, Read, Resource, Stage, StepAction, TraceError, neighborhood};
use gp_model::{Route, RouteTarget, Subnet};
use std::net::IpAddr;

pub(crate) fn check(journey: &mut Journey<'_>, subnet: &Subnet) -> Result<RouteTarget, Stop> {
    let tuple = journey.tuple();
    for address in [tuple.src, tuple.dst] {
        if neighborhood::is_link_local(address) {
            return Err(journey.drop(Stage::Route, DropReason::NoRoute, None, Detail::LinkLocal(address)));
        }
    }
    // Which table it is, the subnet's own association says or else the VPC; both have been read.
    let world = journey.world;
    let table = world.route_table_of(subnet).ok_or(TraceError::Dangling(Read::Subnet(subnet.id)))?;
    journey.read(Read::RouteTable(table.id));
    let resource = Some(Resource::RouteTable { id: table.id });
    match longest_match(&world.routes(table), tuple.dst) {
        Some(route) => {
            journey.step(Stage::Route, StepAction::Forward, resource, Detail::RouteTo(route.destination));
            Ok(route.target)
        }
        None => Err(journey.drop(Stage::Route, DropReason::NoRoute, resource, Detail::NoRouteTo(tuple.dst))),
    }
}

/// Of equal prefixes the first wins: local routes come before static ones.
fn longest_match(routes: &[Route], address: IpAddr) -> Option<&Route> {
    let matching = routes.iter().filter(|route| route.destination.contains(&address));
    matching.reduce(
        |best, route| {
            if route.destination.prefix_len() > best.destination.prefix_len() { route } else { best }
        },
    )
}
