//! The ENIs of an instance that runs: plugged, changed and taken away while it does.

use crate::eni_plan::EniPlan;
use crate::error::{AgentError, chain};
use crate::guest::Guest;
use crate::plumbing::Plumbing;
use gp_model::{EniAttachmentId, EniId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tracing::{error, warn};

pub struct RunningInstance {
    pub boot: u32,
    pub guest: Arc<dyn Guest>,
    /// What is plugged.
    pub enis: BTreeMap<EniId, EniPlan>,
    /// What can't be plugged. It was reported and isn't tried again.
    refused: BTreeSet<EniAttachmentId>,
}

/// What came of making an instance's ENIs equal to their plans.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Something of what was plugged is not as it should be; it is to be tried again.
    pub is_behind: bool,
    /// New ENIs that the guest can't have, and why.
    pub unattached: Vec<(EniPlan, String)>,
}

impl RunningInstance {
    pub fn new(boot: u32, guest: Arc<dyn Guest>, enis: BTreeMap<EniId, EniPlan>) -> Self {
        Self { boot, guest, enis, refused: BTreeSet::new() }
    }

    /// Plugs, changes and unplugs what differs.
    pub fn ensure_enis(&mut self, plumbing: &Plumbing, plans: Vec<EniPlan>) -> Outcome {
        let mut outcome = Outcome::default();
        let wanted: BTreeSet<EniId> = plans.iter().map(|plan| plan.eni).collect();
        let gone: Vec<_> = self.enis.keys().filter(|eni| !wanted.contains(eni)).copied().collect();
        for eni in gone {
            self.take(plumbing, eni);
        }
        self.refused.retain(|id| plans.iter().any(|plan| plan.attachment == *id));
        for plan in plans {
            if self.enis.get(&plan.eni) == Some(&plan) || self.refused.contains(&plan.attachment) {
                continue;
            }
            match (self.ensure(plumbing, &plan), self.enis.contains_key(&plan.eni)) {
                (Ok(()), _) => drop(self.enis.insert(plan.eni, plan)),
                (Err(error), true) => {
                    error!(eni = %plan.eni, error = chain(&error), "the interface can't be made right");
                    outcome.is_behind = true;
                }
                (Err(error), false) => {
                    let reason = chain(&error);
                    warn!(eni = %plan.eni, instance = %plan.instance, reason, "the interface can't be attached");
                    // Half an interface is none: its packets might not meet the program.
                    drop(plumbing.unplug_from(plan.eni, plan.instance));
                    self.refused.insert(plan.attachment);
                    outcome.unattached.push((plan, reason));
                }
            }
        }
        outcome
    }

    fn ensure(&self, plumbing: &Plumbing, plan: &EniPlan) -> Result<(), AgentError> {
        let seat = self.guest.seat(plan)?;
        match self.enis.get(&plan.eni) {
            Some(current) if current.guest_name == plan.guest_name => {
                // A guest may have removed or renamed its own end; then it gets a new one.
                plumbing.change(current, plan, &seat).or_else(|_| plumbing.plug(plan, &seat))?;
                self.guest.changed(plan);
                Ok(())
            }
            _ => plumbing.plug(plan, &seat).and_then(|()| self.guest.plugged(plan)),
        }
    }

    fn take(&mut self, plumbing: &Plumbing, eni: EniId) {
        let Some(plan) = self.enis.remove(&eni) else { return };
        self.guest.unplugging(&plan);
        let removed = match self.guest.seat(&plan) {
            Ok(seat) => plumbing.hot_unplug(&plan, &seat),
            // A guest that has ended meanwhile holds nothing any more.
            Err(_) => plumbing.unplug_from(eni, plan.instance),
        };
        if let Err(error) = removed {
            error!(%eni, error = chain(&error), "the interface can't be removed");
        }
    }
}
