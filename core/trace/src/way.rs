//! The way between the two halves: from place to place until an ENI or the outside takes the packet.
//!
//! ```text
//! guest ─ depart ─▶ Leaving ─▶ Before ─ arrive ─▶ guest
//!                     │  ▲       │
//!                     ▼  └─ NAT ─┘
//!          uplink ─ Outside ─▶ uplink
//! ```
//!
//! Promise: a way is finite, whatever the route tables say.

use crate::journey::{Journey, Stop};
use crate::neighborhood::router_mac;
use crate::stage::{egress_only_gateway, internet_gateway, network_acl, route, target};
use crate::{Component, Detail, DropReason, Read, Resource, Stage, StepAction, arrive, neighborhood};
use gp_model::{Direction, Eni, EniId, Mac, RouteTarget, Subnet, VpcId};
use std::convert::Infallible;
use std::net::IpAddr;

/// Eight routers with a gateway each; a longer way can only be a loop.
const PLACES_MAX: usize = 24;

/// Where a packet is between two decisions.
pub(crate) enum Place<'a> {
    /// At an ENI of the subnet, with everything said that the ENI has to say.
    Leaving {
        subnet: &'a Subnet,
        mac: Mac,
    },
    /// In front of the region's internet gateways, with public addresses.
    Outside,
    Before(Arrival<'a>),
}

/// At the ENI that takes the packet, or at the border of its subnet.
pub(crate) struct Arrival<'a> {
    pub receiver: &'a Eni,
    /// What the receiver sees as the sender's MAC address.
    pub src_mac: Mac,
    /// Does the packet come from another subnet, or from outside?
    pub crosses: bool,
}

impl<'a> Arrival<'a> {
    /// By way of the router, from `subnet`.
    pub(crate) fn routed(receiver: &'a Eni, from: Option<&Subnet>) -> Place<'a> {
        let crosses = from.is_none_or(|from| from.id != receiver.subnet);
        Place::Before(Self { receiver, src_mac: router_mac(receiver.subnet), crosses })
    }
}

pub(crate) fn walk<'a>(journey: &mut Journey<'a>, mut place: Place<'a>) -> Result<Infallible, Stop> {
    for _ in 0..PLACES_MAX {
        place = match place {
            Place::Leaving { subnet, mac } => leave(journey, subnet, mac)?,
            Place::Outside => internet_gateway::enter(journey)?,
            Place::Before(arrival) => arrive::arrive(journey, &arrival)?,
        };
    }
    Err(looped(journey, None))
}

pub(crate) fn looped(journey: &mut Journey<'_>, resource: Option<Resource>) -> Stop {
    journey.drop(Stage::Route, DropReason::RoutingLoop, resource, Detail::ComesBack)
}

/// Out of a subnet, or to a neighbour in it.
fn leave<'a>(journey: &mut Journey<'a>, subnet: &'a Subnet, mac: Mac) -> Result<Place<'a>, Stop> {
    if is_on_link(subnet, journey.tuple().dst) {
        journey.step(Stage::Route, StepAction::Exempt, None, Detail::WithinSubnet);
        let receiver = find_receiver(journey, subnet)?;
        return Ok(Place::Before(Arrival { receiver, src_mac: mac, crosses: false }));
    }
    // The list is asked before the route is judged, but whether the packet leaves the subnet the route says.
    let found = route::find(journey, subnet, journey.tuple().dst)?;
    if !stays_in(journey, subnet, found.target()) {
        journey.enter(Component::Subnet(subnet.id));
        network_acl::check(journey, subnet, Direction::Egress)?;
    }
    journey.enter(Component::Router(subnet.vpc));
    match route::check(journey, &found)? {
        RouteTarget::Local => {
            let receiver = find_receiver(journey, subnet)?;
            Ok(Arrival::routed(receiver, Some(subnet)))
        }
        RouteTarget::InternetGateway(id) => internet_gateway::leave(journey, id, subnet.vpc),
        RouteTarget::EgressOnlyInternetGateway(id) => egress_only_gateway::leave(journey, id, subnet.vpc),
        target @ (RouteTarget::NatGateway(_) | RouteTarget::NetworkInterface(_)) => {
            let receiver = eni_of(journey, subnet.vpc, target)?;
            Ok(Arrival::routed(receiver, Some(subnet)))
        }
    }
}

/// The ENI by which a NAT gateway, or the route's ENI itself, takes packets.
pub(crate) fn eni_of<'a>(journey: &mut Journey<'a>, vpc: VpcId, target: RouteTarget) -> Result<&'a Eni, Stop> {
    let world = journey.world;
    let resource = match target {
        RouteTarget::NatGateway(id) => Some(Resource::NatGateway { id }),
        RouteTarget::NetworkInterface(id) => Some(Resource::Eni { id }),
        _ => None,
    };
    let detail = match target::blackhole(world, vpc, target, &mut |read| journey.read(read)) {
        Some(detail) => detail,
        None => match eni_id(journey, target).and_then(|id| world.eni(id)) {
            Some(eni) => {
                journey.read(Read::Eni(eni.id));
                return Ok(eni);
            }
            None => Detail::TargetGone,
        },
    };
    Err(journey.drop(Stage::Route, DropReason::Blackhole, resource, detail))
}

fn eni_id(journey: &Journey<'_>, target: RouteTarget) -> Option<EniId> {
    match target {
        RouteTarget::NatGateway(id) => journey.world.nat_gateway(id)?.eni,
        RouteTarget::NetworkInterface(id) => Some(id),
        _ => None,
    }
}

/// Is the route's target an ENI of the same subnet? Then no border is crossed.
fn stays_in(journey: &mut Journey<'_>, subnet: &Subnet, target: Option<RouteTarget>) -> bool {
    let Some(target) = target else { return false };
    if let RouteTarget::NatGateway(id) = target {
        journey.read(Read::NatGateway(id));
    }
    let Some(id) = eni_id(journey, target) else { return false };
    journey.read(Read::Eni(id));
    journey.world.eni(id).is_some_and(|eni| eni.subnet == subnet.id)
}

/// Link-local addresses of a subnet's ENIs are taken to be reachable on the link, under the same groups; AWS does not
/// document it. Nothing else can be on a subnet's link.
fn is_on_link(subnet: &Subnet, destination: IpAddr) -> bool {
    match destination {
        IpAddr::V6(a) if a.is_unicast_link_local() => true,
        _ => subnet.contains(destination),
    }
}

/// The ENI that holds the destination, as seen from a subnet.
fn find_receiver<'a>(journey: &mut Journey<'a>, subnet: &Subnet) -> Result<&'a Eni, Stop> {
    let destination = journey.tuple().dst;
    let holder = neighborhood::holder(journey.world, subnet, destination, &mut |read| journey.read(read));
    found(journey, subnet.vpc, holder)
}

/// The ENI that holds the destination in a VPC.
pub(crate) fn receiver_in<'a>(journey: &mut Journey<'a>, vpc: VpcId) -> Result<&'a Eni, Stop> {
    let destination = journey.tuple().dst;
    let holder = neighborhood::holder_in(journey.world, vpc, destination, &mut |read| journey.read(read));
    found(journey, vpc, holder)
}

fn found<'a>(journey: &mut Journey<'a>, vpc: VpcId, holder: Option<&'a Eni>) -> Result<&'a Eni, Stop> {
    let destination = journey.tuple().dst;
    if let Some(receiver) = holder {
        journey.read(Read::Eni(receiver.id));
        return Ok(receiver);
    }
    journey.read(Read::SubnetsOf(vpc));
    let reserving = journey.world.subnets_of_vpc(vpc).find(|other| other.is_reserved(destination));
    Err(match reserving {
        Some(other) => journey.drop(
            Stage::Route,
            DropReason::ReservedAddress,
            Some(Resource::Subnet { id: other.id }),
            Detail::Reserved(destination),
        ),
        None => journey.drop(
            Stage::Route,
            DropReason::NoSuchAddress,
            Some(Resource::Vpc { id: vpc }),
            Detail::NobodyHolds(destination),
        ),
    })
}
