//! The destination half: from the border of the receiver's subnet to its guest, or through the gateway that the receiver
//! belongs to.

use crate::journey::{Journey, Stop};
use crate::stage::{deliver, destination_check, nat_gateway, network_acl, security_group};
use crate::way::{Arrival, Place};
use crate::{Component, Detail, Ingress, Stage, StepAction};
use gp_model::Direction;

pub(crate) fn arrive<'a>(journey: &mut Journey<'a>, arrival: &Arrival<'a>) -> Result<Place<'a>, Stop> {
    let Arrival { receiver, src_mac, crosses } = *arrival;
    let subnet = journey.subnet(receiver.subnet)?;
    if crosses {
        journey.enter(Component::Subnet(subnet.id));
        network_acl::check(journey, subnet, Direction::Ingress)?;
    }
    if let Some(gateway) = journey.world.nat_gateway_of_eni(receiver.id) {
        return nat_gateway::pass(journey, gateway, receiver, subnet);
    }
    journey.enter(Component::Eni(receiver.id));
    destination_check::check(journey, receiver)?;
    if journey.ingress == Ingress::Eni(receiver.id) && journey.tuple() == journey.packet.tuple() {
        // Leaving has opened the connection that would let the packet in again.
        journey.step(Stage::SecurityGroupIn, StepAction::Exempt, None, Detail::OwnPacket);
    } else {
        security_group::check(journey, receiver, subnet, Direction::Ingress)?;
    }
    // The router's hop is not visible to guests: only the MAC address changes, the TTL stays.
    Err(deliver::deliver(journey, receiver, src_mac))
}
