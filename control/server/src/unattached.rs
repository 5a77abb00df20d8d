//! ENIs that a host could not give to a running instance, until whoever asked for the attachment has been told.

use gp_compile::HostReport;
use gp_model::EniAttachmentId;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Reports kept. Only those are left over whose caller has gone away.
const REPORTS_MAX: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Unattached(Mutex<BTreeMap<EniAttachmentId, HostReport>>);

impl Unattached {
    /// Keeps a report of this kind; others are none of its business.
    pub(crate) fn note(&self, report: &HostReport) {
        let HostReport::Unattached { attachment, .. } = report else { return };
        let mut kept = self.lock();
        if kept.len() >= REPORTS_MAX {
            kept.pop_first();
        }
        kept.insert(*attachment, report.clone());
    }

    /// What the host said about this attachment, once.
    pub(crate) fn take(&self, attachment: EniAttachmentId) -> Option<HostReport> {
        self.lock().remove(&attachment)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<EniAttachmentId, HostReport>> {
        // Each change of the map is one step, so a panic leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
