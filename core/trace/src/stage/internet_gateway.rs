//! Internet gateway: exchanges private and public addresses, one to one.
//!
//! Source: VPC user guide, "Internet gateways": what leaves from an ENI without a public address dies here. No ENI has
//! one yet, so the stage always ends the journey.

use crate::journey::{Journey, Stop};
use crate::{Component, Detail, DropReason, Read, Resource, Stage};
use gp_model::{InternetGatewayId, VpcId};

pub(crate) fn leave(journey: &mut Journey<'_>, id: InternetGatewayId, vpc: VpcId) -> Stop {
    journey.enter(Component::InternetGateway(id));
    journey.read(Read::InternetGateway(id));
    let (reason, detail) = match journey.world.internet_gateway(id) {
        None => (DropReason::Blackhole, Detail::GatewayGone),
        Some(gateway) if gateway.attached_to != Some(vpc) => (DropReason::Blackhole, Detail::GatewayDetached),
        Some(_) => (DropReason::NoPublicAddress, Detail::NoPublicAddress(journey.tuple().src)),
    };
    journey.drop(Stage::InternetGateway, reason, Some(Resource::InternetGateway { id }), detail)
}
