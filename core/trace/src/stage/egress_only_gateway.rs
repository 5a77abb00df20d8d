//! Egress-only internet gateway: IPv6 connections out that are opened from inside, and nothing else.
//!
//! Source: VPC user guide, "Egress-only internet gateways"; EC2 user guide, "Automatically tracked connections". By which
//! gateway an unsolicited packet comes in where a VPC has both kinds is not documented: here by the one that the
//! receiver's subnet would answer through.

use crate::journey::{Journey, Stop};
use crate::stage::{internet_gateway, route, target};
use crate::way::Place;
use crate::{
    Component, Connection, Detail, DropReason, Effect, Read, Resource, Stage, StepAction, Tracker, neighborhood,
};
use gp_model::{Direction, EgressOnlyInternetGateway, EgressOnlyInternetGatewayId, RouteTarget, VpcId};
use std::net::IpAddr;

pub(crate) fn leave<'a>(
    journey: &mut Journey<'a>,
    id: EgressOnlyInternetGatewayId,
    vpc: VpcId,
) -> Result<Place<'a>, Stop> {
    let stage = Stage::EgressOnlyGateway;
    journey.enter(Component::EgressOnlyInternetGateway(id));
    let resource = Resource::EgressOnlyInternetGateway { id };
    let target = RouteTarget::EgressOnlyInternetGateway(id);
    if let Some(detail) = target::blackhole(journey.world, vpc, target, &mut |read| journey.read(read)) {
        return Err(journey.drop(stage, DropReason::Blackhole, Some(resource), detail));
    }
    let source = journey.tuple().src;
    if source.is_ipv4() || !journey.vpc(vpc)?.contains(source) {
        let detail = Detail::NoPublicAddress(source);
        return Err(journey.drop(stage, DropReason::NoPublicAddress, Some(resource), detail));
    }
    journey.limit_mtu(stage, internet_gateway::INTERNET_MTU, resource)?;
    internet_gateway::check_destination(journey, stage, resource)?;
    if !is_tracked(journey, id, resource) {
        let tracker = Tracker::EgressOnlyInternetGateway(id);
        let connection = Connection { tuple: journey.tuple(), opened_by: Direction::Egress, translated: None };
        journey.effect(Effect::OpenConnection { tracker, connection });
        journey.step(stage, StepAction::Forward, Some(resource), Detail::OpenedFromInside);
    }
    journey.track_sender();
    internet_gateway::to_outside(journey)
}

/// May what comes in from outside pass? `false` leaves the packet to the VPC's internet gateway.
pub(crate) fn enter(
    journey: &mut Journey<'_>,
    gateway: &EgressOnlyInternetGateway,
    address: IpAddr,
) -> Result<bool, Stop> {
    let resource = Resource::EgressOnlyInternetGateway { id: gateway.id };
    if is_tracked(journey, gateway.id, resource) {
        journey.limit_mtu(Stage::EgressOnlyGateway, internet_gateway::INTERNET_MTU, resource)?;
        return Ok(true);
    }
    if answers_through(journey, gateway, address)? { Err(refuse(journey, gateway)) } else { Ok(false) }
}

pub(crate) fn refuse(journey: &mut Journey<'_>, gateway: &EgressOnlyInternetGateway) -> Stop {
    journey.enter(Component::EgressOnlyInternetGateway(gateway.id));
    let resource = Some(Resource::EgressOnlyInternetGateway { id: gateway.id });
    let (reason, detail) = (DropReason::EgressOnly, Detail::NotOpenedFromInside);
    journey.drop(Stage::EgressOnlyGateway, reason, resource, detail)
}

fn is_tracked(journey: &mut Journey<'_>, id: EgressOnlyInternetGatewayId, resource: Resource) -> bool {
    let tracker = Tracker::EgressOnlyInternetGateway(id);
    let detail = match journey.find_connection(tracker) {
        Some(Connection { opened_by, .. }) => Detail::ConnectionTracked { opened_by },
        None => match journey.find_related(tracker) {
            Some((related, _)) => Detail::RelatedTo(related),
            None => return false,
        },
    };
    if journey.place() != Some(Component::EgressOnlyInternetGateway(id)) {
        journey.enter(Component::EgressOnlyInternetGateway(id));
    }
    journey.step(Stage::EgressOnlyGateway, StepAction::Tracked, Some(resource), detail);
    true
}

/// Would the holder's subnet answer through this gateway?
fn answers_through(
    journey: &mut Journey<'_>,
    gateway: &EgressOnlyInternetGateway,
    address: IpAddr,
) -> Result<bool, Stop> {
    let holder = neighborhood::holder_in(journey.world, gateway.vpc, address, &mut |read| journey.read(read));
    let Some(holder) = holder else { return Ok(false) };
    journey.read(Read::Eni(holder.id));
    let subnet = journey.subnet(holder.subnet)?;
    let found = route::find(journey, subnet, journey.tuple().src)?;
    Ok(found.target() == Some(RouteTarget::EgressOnlyInternetGateway(gateway.id)))
}
