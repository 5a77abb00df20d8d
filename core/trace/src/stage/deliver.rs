//! Deliver: the last step, to a guest that is there to receive.

use crate::journey::{Journey, Stop};
use crate::{Detail, DropReason, Read, Resource, Stage, StepAction, Verdict};
use gp_model::{Eni, Mac};

/// Refuses if no running instance has the ENI. A pending one counts as running: its guest may boot at any moment, and
/// what comes too early is lost as on any link.
pub(crate) fn check_attached(journey: &mut Journey<'_>, stage: Stage, eni: &Eni) -> Result<(), Stop> {
    // A branch ENI is where its trunk is.
    let trunk =
        journey.world.trunk_of_branch(eni.id).and_then(|association| journey.world.eni(association.trunk)).cloned();
    if let Some(trunk) = &trunk {
        journey.read(Read::Eni(trunk.id));
    }
    let detail = match &trunk.as_deref().unwrap_or(eni).attachment {
        None => Detail::NotAttached,
        Some(attachment) => {
            journey.read(Read::Instance(attachment.instance));
            match journey.world.instance(attachment.instance) {
                None => Detail::InstanceGone,
                Some(instance) if instance.state.wants_to_run() => return Ok(()),
                Some(instance) => Detail::InstanceState(instance.state),
            }
        }
    };
    Err(journey.drop(stage, DropReason::EniNotAttached, Some(Resource::Eni { id: eni.id }), detail))
}

pub(crate) fn deliver(journey: &mut Journey<'_>, receiver: &Eni, src_mac: Mac) -> Stop {
    if let Err(stop) = check_attached(journey, Stage::Deliver, receiver) {
        return stop;
    }
    let dst_mac = receiver.mac;
    journey.step(Stage::Deliver, StepAction::Deliver, None, Detail::ToGuest { src_mac, dst_mac });
    Verdict::Deliver { eni: receiver.id, src_mac, dst_mac }.into()
}
