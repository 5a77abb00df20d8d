//! The timer that takes away what has outlived its time: terminated instances, old client tokens.

use crate::chance;
use crate::engine::Engine;
use std::sync::Arc;
use std::time::Duration;

/// What expires does so after an hour or more, so this is often enough.
const INTERVAL: Duration = Duration::from_secs(30);

pub(crate) async fn run(engine: Arc<Engine>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = chance::now();
        for (region, world) in &engine.store.snapshot().regions {
            // Looked at without the lock first: nearly always there is nothing to do.
            if gp_actions::plan_expiry(world, now).is_empty() {
                continue;
            }
            let expired = engine.change(region, |world, _chance| Ok((gp_actions::plan_expiry(world, now), ())));
            if let Err(error) = expired.await {
                tracing::error!(%region, %error, "what has expired could not be taken away");
            }
        }
    }
}
