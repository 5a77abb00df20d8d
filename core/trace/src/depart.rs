//! The source half: from the guest to the ENI that is to receive.

use crate::journey::{Journey, Stop};
use crate::stage::{deliver, internet_gateway, local_service, network_acl, route, security_group, source_check};
use crate::{Component, Detail, DropReason, Read, Resource, Stage, StepAction, TraceError, neighborhood};
use gp_model::{Direction, Eni, EniId, Mac, RouteTarget, Subnet};
use gp_wire::Packet;
use std::net::IpAddr;

/// A packet that has left its sender's half.
pub(crate) struct Departed<'a> {
    pub sender: EniId,
    pub receiver: &'a Eni,
    /// Set if the packet never left its subnet: then the receiver sees its sender's MAC address.
    pub within_subnet: Option<Mac>,
}

pub(crate) fn depart<'a>(journey: &mut Journey<'a>, ingress: EniId) -> Result<Departed<'a>, Stop> {
    journey.enter(Component::Eni(ingress));
    journey.read(Read::Eni(ingress));
    let world = journey.world;
    let sender: &Eni = world.eni(ingress).ok_or(TraceError::UnknownEni(ingress))?;
    let subnet = journey.subnet(sender.subnet)?;

    deliver::check_attached(journey, Stage::SourceCheck, sender)?;
    source_check::check(journey, sender)?;
    local_service::check(journey, sender, subnet)?;
    check_ports_known(journey)?;
    security_group::check(journey, sender, subnet, Direction::Egress)?;

    let destination = journey.tuple().dst;
    if is_on_link(subnet, destination) {
        journey.step(Stage::Route, StepAction::Exempt, None, Detail::WithinSubnet);
        let receiver = find_receiver(journey, subnet)?;
        return Ok(Departed { sender: sender.id, receiver, within_subnet: Some(sender.mac) });
    }
    journey.enter(Component::Subnet(subnet.id));
    network_acl::check(journey, subnet, Direction::Egress)?;
    journey.enter(Component::Router(subnet.vpc));
    journey.vpc(subnet.vpc)?;
    match route::check(journey, subnet)? {
        RouteTarget::Local => {
            let receiver = find_receiver(journey, subnet)?;
            Ok(Departed { sender: sender.id, receiver, within_subnet: None })
        }
        RouteTarget::InternetGateway(id) => Err(internet_gateway::leave(journey, id, subnet.vpc)),
        RouteTarget::EgressOnlyInternetGateway(_) | RouteTarget::NatGateway(_) | RouteTarget::NetworkInterface(_) => {
            Err(journey.drop(Stage::Route, DropReason::Blackhole, None, Detail::GatewayGone))
        }
    }
}

/// A fragment behind the first one can be judged only with the ports of the first.
fn check_ports_known(journey: &mut Journey<'_>) -> Result<(), Stop> {
    let Packet::Ip(packet) = journey.packet else { return Ok(()) };
    if packet.fragment.is_some() {
        journey.depends_on_more_than_the_tuple();
    }
    let tuple = packet.tuple;
    let has_ports = tuple.is_icmp() || matches!(tuple.protocol, gp_wire::protocol::TCP | gp_wire::protocol::UDP);
    if packet.is_later_fragment() && has_ports && (tuple.src_port, tuple.dst_port) == (0, 0) {
        let (reason, detail) = (DropReason::FragmentWithoutFirst, Detail::FirstFragmentMissing);
        return Err(journey.drop(Stage::LocalService, reason, None, detail));
    }
    Ok(())
}

/// Link-local addresses of a subnet's ENIs are taken to be reachable on the link, under the same groups; AWS does not
/// document it. Nothing else can be on a subnet's link.
fn is_on_link(subnet: &Subnet, destination: IpAddr) -> bool {
    match destination {
        IpAddr::V6(a) if a.is_unicast_link_local() => true,
        _ => subnet.contains(destination),
    }
}

/// The ENI that holds the destination inside the VPC.
fn find_receiver<'a>(journey: &mut Journey<'a>, subnet: &Subnet) -> Result<&'a Eni, Stop> {
    let destination = journey.tuple().dst;
    let holder = neighborhood::holder(journey.world, subnet, destination, &mut |read| journey.read(read));
    if let Some(receiver) = holder {
        journey.read(Read::Eni(receiver.id));
        return Ok(receiver);
    }
    journey.read(Read::SubnetsOf(subnet.vpc));
    let reserving = journey.world.subnets_of_vpc(subnet.vpc).find(|other| other.is_reserved(destination));
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
            Some(Resource::Vpc { id: subnet.vpc }),
            Detail::NobodyHolds(destination),
        ),
    })
}
