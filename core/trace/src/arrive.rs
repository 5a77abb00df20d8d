//! The destination half: from the border of the receiver's subnet to its guest.

use crate::depart::Departed;
use crate::journey::{Journey, Stop};
use crate::neighborhood::router_mac;
use crate::stage::{deliver, destination_check, network_acl, security_group};
use crate::{Component, Detail, Stage, StepAction};
use gp_model::Direction;

pub(crate) fn arrive(journey: &mut Journey<'_>, departed: &Departed<'_>) -> Result<Stop, Stop> {
    let Departed { sender, receiver, within_subnet } = *departed;
    let subnet = journey.subnet(receiver.subnet)?;
    if within_subnet.is_none() {
        journey.enter(Component::Subnet(subnet.id));
        network_acl::check(journey, subnet, Direction::Ingress)?;
    }
    journey.enter(Component::Eni(receiver.id));
    destination_check::check(journey, receiver)?;
    if receiver.id == sender {
        // Leaving has opened the connection that would let the packet in again.
        journey.step(Stage::SecurityGroupIn, StepAction::Exempt, None, Detail::OwnPacket);
    } else {
        security_group::check(journey, receiver, subnet, Direction::Ingress)?;
    }
    // The router's hop is not visible to guests: only the MAC address changes, the TTL stays.
    let src_mac = within_subnet.unwrap_or_else(|| router_mac(subnet.id));
    Ok(deliver::deliver(journey, receiver, src_mac))
}
