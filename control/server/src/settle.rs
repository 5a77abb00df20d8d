//! What changes by itself once the host has obeyed: NAT gateways that are `pending` or `deleting`.
//!
//! Nothing is kept beside the store: after a restart the task finds what it has to do in the worlds.

use crate::chance;
use crate::engine::Engine;
use gp_model::{NatGatewayId, Region};
use gp_store::Snapshot;
use std::sync::Arc;

pub(crate) async fn run(engine: Arc<Engine>) {
    let mut store = engine.store.watch();
    loop {
        let snapshot = store.borrow_and_update().clone();
        for (region, gateways) in passing(&snapshot) {
            if !engine.reaches_host(snapshot.generation).await {
                return;
            }
            settle(&engine, &region, &gateways).await;
        }
        // What could not be stored is tried again with the next change.
        if store.changed().await.is_err() {
            return;
        }
    }
}

fn passing(snapshot: &Snapshot) -> Vec<(Region, Vec<NatGatewayId>)> {
    let all = snapshot.regions.iter().map(|(region, world)| (region, world.passing_nat_gateways().collect::<Vec<_>>()));
    all.filter(|(_, gateways)| !gateways.is_empty()).map(|(region, gateways)| (region.clone(), gateways)).collect()
}

async fn settle(engine: &Engine, region: &Region, gateways: &[NatGatewayId]) {
    let now = chance::now();
    let settled = engine.change(region, |world, _chance| Ok((gp_actions::plan_settled(world, gateways, now), ())));
    if let Err(error) = settled.await {
        tracing::error!(%region, %error, "NAT gateways stay as they are");
    }
}
