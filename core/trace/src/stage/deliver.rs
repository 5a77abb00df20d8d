//! Deliver: the last step, to a guest that is there to receive.

use crate::journey::{Journey, Stop};
use crate::stage::target;
use crate::{Detail, DropReason, Resource, Stage, StepAction, Verdict};
use gp_model::{Eni, Mac};

/// Refuses if no running instance has the ENI.
pub(crate) fn check_attached(journey: &mut Journey<'_>, stage: Stage, eni: &Eni) -> Result<(), Stop> {
    let world = journey.world;
    match target::unreachable_guest(world, eni, &mut |read| journey.read(read)) {
        None => Ok(()),
        Some(detail) => {
            Err(journey.drop(stage, DropReason::EniNotAttached, Some(Resource::Eni { id: eni.id }), detail))
        }
    }
}

pub(crate) fn deliver(journey: &mut Journey<'_>, receiver: &Eni, src_mac: Mac) -> Stop {
    if let Err(stop) = check_attached(journey, Stage::Deliver, receiver) {
        return stop;
    }
    let dst_mac = receiver.mac;
    journey.step(Stage::Deliver, StepAction::Deliver, None, Detail::ToGuest { src_mac, dst_mac });
    Verdict::Deliver { eni: receiver.id, src_mac, dst_mac }.into()
}
