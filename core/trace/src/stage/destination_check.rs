//! Destination check: what a guest may receive. With the check off, the ENI also takes packets to others (routers).
//!
//! Source: EC2 user guide, "Source/destination checking".

use crate::journey::{Journey, Stop};
use crate::{Detail, DropReason, Resource, Stage, StepAction};
use gp_model::Eni;
use std::net::IpAddr;

pub(crate) fn check(journey: &mut Journey<'_>, receiver: &Eni) -> Result<(), Stop> {
    let destination = journey.tuple().dst;
    let detail = if receiver.holds(destination) || destination == IpAddr::V6(receiver.mac.link_local()) {
        Detail::OwnDestination
    } else if !receiver.source_dest_check {
        Detail::DestinationNotChecked
    } else {
        return Err(journey.drop(
            Stage::DestinationCheck,
            DropReason::DestinationCheck,
            Some(Resource::Eni { id: receiver.id }),
            Detail::ForeignDestination(destination),
        ));
    };
    journey.step(Stage::DestinationCheck, StepAction::Pass, None, detail);
    Ok(())
}
