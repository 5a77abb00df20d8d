//! The source half: from the guest, or from the outside, to where the way begins.

use crate::journey::{Journey, Stop};
use crate::stage::{deliver, local_service, security_group, source_check, uplink};
use crate::way::Place;
use crate::{Component, Detail, DropReason, Ingress, Read, Stage, TraceError};
use gp_model::{Direction, Eni, EniId};
use gp_wire::Packet;

pub(crate) fn depart<'a>(journey: &mut Journey<'a>) -> Result<Place<'a>, Stop> {
    match journey.ingress {
        Ingress::Eni(eni) => from_guest(journey, eni),
        Ingress::Uplink => {
            journey.enter(Component::Uplink);
            uplink::check(journey)?;
            check_ports_known(journey)?;
            Ok(Place::Outside)
        }
    }
}

fn from_guest<'a>(journey: &mut Journey<'a>, ingress: EniId) -> Result<Place<'a>, Stop> {
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
    Ok(Place::Leaving { subnet, mac: sender.mac })
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
