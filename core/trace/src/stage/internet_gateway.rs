//! Internet gateway: exchanges private and public addresses, one to one, and leaves IPv6 as it is.
//!
//! Source: VPC user guide, "Internet gateways" and "Gateway route tables"; Reachability Analyzer explanation codes
//! (`IGW_*`): what leaves without a public address, or for a private one, dies here, and so does what comes in for a
//! public address behind which there is nobody. A public address of this region is reached by going out and in again;
//! the source is then the sender's public address (not documented, observed).

use crate::journey::{Journey, Stop};
use crate::stage::{egress_only_gateway, route, target, uplink};
use crate::way::{self, Arrival, Place};
use crate::{Component, Detail, DropReason, Read, Resource, Stage, StepAction, Verdict, neighborhood};
use gp_model::{Eni, InternetGateway, InternetGatewayId, RouteTarget, VpcId};
use gp_wire::FiveTuple;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Largest IP packet, in bytes, that a gateway to the internet takes (EC2 user guide, "Network MTU").
pub(crate) const INTERNET_MTU: u16 = 1500;

/// Out of a VPC.
pub(crate) fn leave<'a>(journey: &mut Journey<'a>, id: InternetGatewayId, vpc: VpcId) -> Result<Place<'a>, Stop> {
    journey.enter(Component::InternetGateway(id));
    let resource = Resource::InternetGateway { id };
    let target = RouteTarget::InternetGateway(id);
    if let Some(detail) = target::blackhole(journey.world, vpc, target, &mut |read| journey.read(read)) {
        return Err(journey.drop(Stage::InternetGateway, DropReason::Blackhole, Some(resource), detail));
    }
    let source = journey.tuple().src;
    let public = match source {
        IpAddr::V4(private) => public_of(journey, vpc, private).map(IpAddr::V4),
        IpAddr::V6(_) => journey.vpc(vpc)?.contains(source).then_some(source),
    };
    let Some(public) = public else {
        let detail = Detail::NoPublicAddress(source);
        return Err(journey.drop(Stage::InternetGateway, DropReason::NoPublicAddress, Some(resource), detail));
    };
    journey.limit_mtu(Stage::InternetGateway, INTERNET_MTU, resource)?;
    check_destination(journey, Stage::InternetGateway, resource)?;
    let detail = if public == source { Detail::AddressesStay } else { Detail::SourceIsNow(public) };
    journey.step(Stage::InternetGateway, StepAction::Forward, Some(resource), detail);
    let related = match journey.related() {
        Some(FiveTuple { dst: IpAddr::V4(private), .. }) => public_of(journey, vpc, private),
        _ => None,
    };
    journey.change(|tuple| tuple.src = public, |quoted| quoted.dst = related.map_or(quoted.dst, IpAddr::V4));
    to_outside(journey)
}

/// The public address that stands for a private one of the VPC.
fn public_of(journey: &mut Journey<'_>, vpc: VpcId, private: Ipv4Addr) -> Option<Ipv4Addr> {
    let eni = neighborhood::holder_in(journey.world, vpc, private.into(), &mut |read| journey.read(read))?;
    journey.read(Read::Eni(eni.id));
    journey.read(Read::PublicAddressesOf(eni.id));
    journey.world.public_of_private(eni, private)
}

/// Refuses what the internet could not take either.
pub(crate) fn check_destination(journey: &mut Journey<'_>, stage: Stage, resource: Resource) -> Result<(), Stop> {
    let destination = journey.tuple().dst;
    if uplink::is_private(destination) {
        let detail = Detail::NotOfTheInternet(destination);
        return Err(journey.drop(stage, DropReason::PrivateDestination, Some(resource), detail));
    }
    Ok(())
}

/// With public addresses: in again where the destination is of this region, else out of it.
pub(crate) fn to_outside<'a>(journey: &mut Journey<'a>) -> Result<Place<'a>, Stop> {
    let destination = journey.tuple().dst;
    if uplink::is_held(journey, destination) {
        return Ok(Place::Outside);
    }
    if let IpAddr::V4(public) = destination
        && journey.world.address_with_public_ip(public).is_some()
    {
        return Err(nobody(journey, destination));
    }
    journey.enter(Component::Uplink);
    journey.step(Stage::Uplink, StepAction::Deliver, None, Detail::ToOutside);
    Err(Verdict::Uplink.into())
}

fn nobody(journey: &mut Journey<'_>, address: IpAddr) -> Stop {
    let (reason, detail) = (DropReason::NoSuchPublicAddress, Detail::NobodyBehind(address));
    journey.drop(Stage::InternetGateway, reason, None, detail)
}

/// Into the VPC of the packet's destination, by its internet gateway or its egress-only one.
pub(crate) fn enter<'a>(journey: &mut Journey<'a>) -> Result<Place<'a>, Stop> {
    match journey.tuple().dst {
        IpAddr::V4(public) => match uplink::behind(journey, public) {
            Some((eni, private)) => enter_ipv4(journey, eni, private),
            None => Err(nobody(journey, public.into())),
        },
        IpAddr::V6(address) => {
            journey.read(Read::Ipv6Blocks);
            match journey.world.vpc_of_ipv6(address) {
                Some(vpc) => enter_ipv6(journey, vpc, address),
                None => Err(nobody(journey, address.into())),
            }
        }
    }
}

fn enter_ipv4<'a>(journey: &mut Journey<'a>, eni: &'a Eni, private: Ipv4Addr) -> Result<Place<'a>, Stop> {
    let gateway = gateway_of(journey, eni.vpc)?;
    let resource = Resource::InternetGateway { id: gateway.id };
    journey.limit_mtu(Stage::InternetGateway, INTERNET_MTU, resource)?;
    let detail = Detail::DestinationIsNow(private.into());
    journey.step(Stage::InternetGateway, StepAction::Forward, Some(resource), detail);
    // An error goes to whom the quoted packet came from.
    journey.change(|tuple| tuple.dst = private.into(), |quoted| quoted.src = private.into());
    by_edge_table(journey, gateway, eni.vpc)
}

fn enter_ipv6<'a>(journey: &mut Journey<'a>, vpc: VpcId, address: Ipv6Addr) -> Result<Place<'a>, Stop> {
    journey.read(Read::GatewaysOf(vpc));
    let world = journey.world;
    if let Some(gateway) = world.egress_only_gateway_of_vpc(vpc) {
        if egress_only_gateway::enter(journey, gateway, address.into())? {
            let receiver = way::receiver_in(journey, vpc)?;
            return Ok(Arrival::routed(receiver, None));
        }
        if world.gateway_of_vpc(vpc).is_none() {
            return Err(egress_only_gateway::refuse(journey, gateway));
        }
    }
    let gateway = gateway_of(journey, vpc)?;
    let resource = Resource::InternetGateway { id: gateway.id };
    journey.limit_mtu(Stage::InternetGateway, INTERNET_MTU, resource)?;
    journey.step(Stage::InternetGateway, StepAction::Forward, Some(resource), Detail::AddressesStay);
    by_edge_table(journey, gateway, vpc)
}

fn gateway_of<'a>(journey: &mut Journey<'a>, vpc: VpcId) -> Result<&'a InternetGateway, Stop> {
    journey.read(Read::GatewaysOf(vpc));
    let Some(gateway) = journey.world.gateway_of_vpc(vpc) else {
        let resource = Some(Resource::Vpc { id: vpc });
        return Err(journey.drop(Stage::InternetGateway, DropReason::NoInternetGateway, resource, Detail::NoGateway));
    };
    journey.enter(Component::InternetGateway(gateway.id));
    Ok(gateway)
}

/// Where what comes in goes: to an appliance if the gateway's own table says so, else to its destination.
fn by_edge_table<'a>(journey: &mut Journey<'a>, gateway: &InternetGateway, vpc: VpcId) -> Result<Place<'a>, Stop> {
    // Which table it is, `GatewaysOf` stands for.
    let target = match journey.world.route_table_of_gateway(gateway.id) {
        None => RouteTarget::Local,
        Some(table) => {
            journey.vpc(vpc)?;
            let found = route::find_in(journey, table, journey.tuple().dst);
            route::check(journey, &found)?
        }
    };
    let receiver = match target {
        RouteTarget::Local => way::receiver_in(journey, vpc)?,
        target => way::eni_of(journey, vpc, target)?,
    };
    Ok(Arrival::routed(receiver, None))
}
