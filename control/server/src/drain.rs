//! The timer of NAT gateways' draining addresses: one whose time is over is taken away, with the connections by it.
//!
//! Nothing is kept beside the store: after a restart the task finds the deadlines in the worlds. An address that no
//! connection uses any more goes earlier, by its host's report.

use crate::chance;
use crate::engine::Engine;
use gp_model::Timestamp;
use gp_store::Snapshot;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Between looks at the wall clock, which may be set.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Before what could not be stored is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(1);

pub(crate) async fn run(engine: Arc<Engine>) {
    let mut store = engine.store.watch();
    loop {
        let snapshot = store.borrow_and_update().clone();
        let wait = match first_end(&snapshot) {
            Some(end) if end <= chance::now() => {
                if end_due(&engine, &snapshot).await {
                    Duration::ZERO
                } else {
                    RETRY_WAIT
                }
            }
            Some(end) => Duration::from_millis(end.ms_since(chance::now())).min(LONGEST_WAIT),
            None => LONGEST_WAIT,
        };
        // A wait that is over is as good as a change.
        if let Ok(Err(_store_is_gone)) = timeout(wait, store.changed()).await {
            return;
        }
    }
}

fn first_end(snapshot: &Snapshot) -> Option<Timestamp> {
    let ends = snapshot.regions.values().filter_map(|world| Some(world.draining_nat_gateways().next()?.0));
    ends.min()
}

/// Says whether all that is due has gone.
async fn end_due(engine: &Engine, snapshot: &Snapshot) -> bool {
    let now = chance::now();
    let mut all = true;
    for (region, world) in &snapshot.regions {
        if gp_actions::plan_drained(world, now).is_empty() {
            continue;
        }
        let drained = engine.change(region, |world, _chance| Ok((gp_actions::plan_drained(world, now), ())));
        if let Err(error) = drained.await {
            tracing::error!(%region, %error, "NAT gateways keep addresses that have drained");
            all = false;
        }
    }
    all
}
