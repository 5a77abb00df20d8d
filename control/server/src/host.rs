//! To the host and back: views out, reports in.

use crate::chance;
use crate::engine::Engine;
use gp_compile::{HostReport, HostView};
use gp_model::{Generation, Region};
use gp_store::Snapshot;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Most outcomes in one turn: bounds the transaction that they make.
const MAX_OUTCOMES: usize = 256;

/// Shows the host what is durable, and nothing else: packets never obey a change that a crash could undo.
pub(crate) async fn publish_views(mut store: watch::Receiver<Snapshot>, view: watch::Sender<HostView>) {
    while store.changed().await.is_ok() {
        store.mark_unchanged();
        publish(&store, &view);
    }
}

pub(crate) fn publish(store: &watch::Receiver<Snapshot>, view: &watch::Sender<HostView>) {
    let Snapshot { generation, regions } = store.borrow().clone();
    view.send_replace(HostView { generation, regions });
}

/// Where reports go. What is applied is known at once and never waits behind an outcome that is being stored: the
/// thread that tells wakes those who wait for it, and nobody is between them.
pub(crate) struct Reports {
    pub(crate) engine: Arc<Engine>,
    pub(crate) applied: watch::Sender<Option<Generation>>,
    /// Unbounded, but for each instance there are as many as it has boots, and for an attachment or an address that drains
    /// there is one.
    pub(crate) outcomes: mpsc::UnboundedSender<HostReport>,
}

impl Reports {
    /// Never blocks.
    pub(crate) fn take(&self, report: HostReport) {
        match report {
            HostReport::Applied { generation } => drop(self.applied.send_if_modified(|known| {
                let is_newer = known.is_none_or(|known| generation > known);
                if is_newer {
                    *known = Some(generation);
                }
                is_newer
            })),
            outcome => {
                // Before the generation is known as applied, so that whoever waits for that finds it.
                self.engine.unattached.note(&outcome);
                // Nobody takes it once the server has ended.
                let _ = self.outcomes.send(outcome);
            }
        }
    }
}

/// Stores what became of instances, attachments and addresses: outcomes that have gathered make one transaction per
/// region.
pub(crate) async fn keep_outcomes(engine: Arc<Engine>, mut outcomes: mpsc::UnboundedReceiver<HostReport>) {
    let mut gathered = Vec::new();
    while outcomes.recv_many(&mut gathered, MAX_OUTCOMES).await > 0 {
        let mut by_region: BTreeMap<Region, Vec<HostReport>> = BTreeMap::new();
        for report in gathered.drain(..) {
            engine.counters.outcomes.add_one();
            if let Some(region) = report.region() {
                by_region.entry(region.clone()).or_default().push(report);
            }
        }
        for (region, reports) in by_region {
            keep(&engine, &region, &reports).await;
        }
    }
}

async fn keep(engine: &Engine, region: &Region, reports: &[HostReport]) {
    let now = chance::now();
    let kept = engine.change(region, |world, _chance| {
        let mut world = world.clone();
        let mut changes = Vec::new();
        for report in reports {
            // Each on the world that the ones before it leave: two may be about one instance.
            let planned = gp_actions::plan_report(&world, report, now);
            planned.iter().for_each(|change| world.apply(change.clone()));
            changes.extend(planned);
        }
        Ok((changes, ()))
    });
    if let Err(error) = kept.await {
        tracing::error!(%region, %error, ?reports, "what the host reported could not be stored");
    }
}
