//! Targets of routes: whether packets can take them, for the stages and for what the API calls `active` or `blackhole`.
//!
//! Source: VPC user guide, "Route tables": a route is a blackhole while its target is gone, detached or does not run.

use crate::{Detail, Read};
use gp_model::{Eni, EniId, InternetGatewayId, NatGatewayId, NatGatewayState, RouteTarget, VpcId, World};

/// Can packets take a route of the VPC to that target?
pub fn route_is_active(world: &World, vpc: VpcId, target: RouteTarget) -> bool {
    blackhole(world, vpc, target, &mut |_| ()).is_none()
}

/// Why packets die on a route of the VPC to that target; `None` if they don't.
pub(crate) fn blackhole(world: &World, vpc: VpcId, target: RouteTarget, read: &mut dyn FnMut(Read)) -> Option<Detail> {
    match target {
        RouteTarget::Local => None,
        RouteTarget::InternetGateway(id) => internet_gateway(world, vpc, id, read),
        RouteTarget::EgressOnlyInternetGateway(id) => {
            read(Read::GatewaysOf(vpc));
            let gateway = world.egress_only_internet_gateway(id).filter(|gateway| gateway.vpc == vpc);
            gateway.is_none().then_some(Detail::TargetGone)
        }
        RouteTarget::NatGateway(id) => nat_gateway(world, vpc, id, read),
        RouteTarget::NetworkInterface(id) => network_interface(world, vpc, id, read),
    }
}

fn internet_gateway(world: &World, vpc: VpcId, id: InternetGatewayId, read: &mut dyn FnMut(Read)) -> Option<Detail> {
    read(Read::InternetGateway(id));
    match world.internet_gateway(id) {
        None => Some(Detail::GatewayGone),
        Some(gateway) if gateway.attached_to != Some(vpc) => Some(Detail::GatewayDetached),
        Some(_) => None,
    }
}

fn nat_gateway(world: &World, vpc: VpcId, id: NatGatewayId, read: &mut dyn FnMut(Read)) -> Option<Detail> {
    read(Read::NatGateway(id));
    match world.nat_gateway(id).filter(|gateway| gateway.vpc == vpc).map(|gateway| gateway.state) {
        Some(NatGatewayState::Available) => None,
        Some(NatGatewayState::Pending | NatGatewayState::Failed | NatGatewayState::Deleting) => {
            Some(Detail::TargetNotAvailable)
        }
        Some(NatGatewayState::Deleted) | None => Some(Detail::TargetGone),
    }
}

fn network_interface(world: &World, vpc: VpcId, id: EniId, read: &mut dyn FnMut(Read)) -> Option<Detail> {
    read(Read::Eni(id));
    let Some(eni) = world.eni(id).filter(|eni| eni.vpc == vpc) else { return Some(Detail::TargetGone) };
    unreachable_guest(world, eni, read)
}

/// Why no guest is behind the ENI; `None` if there is one. A branch ENI is where its trunk is. A pending instance counts
/// as running: its guest may boot at any moment, and what comes too early is lost as on any link.
pub(crate) fn unreachable_guest(world: &World, eni: &Eni, read: &mut dyn FnMut(Read)) -> Option<Detail> {
    let trunk = world.trunk_of_branch(eni.id).and_then(|association| world.eni(association.trunk));
    if let Some(trunk) = trunk {
        read(Read::Eni(trunk.id));
    }
    let Some(attachment) = &trunk.map_or(eni, |trunk| trunk).attachment else { return Some(Detail::NotAttached) };
    read(Read::Instance(attachment.instance));
    match world.instance(attachment.instance) {
        None => Some(Detail::InstanceGone),
        Some(instance) if instance.state.wants_to_run() => None,
        Some(instance) => Some(Detail::InstanceState(instance.state)),
    }
}
