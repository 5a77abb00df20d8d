//! Emptying an account: its instances end on the host first, then everything it has goes, in every region.

use crate::engine::Engine;
use gp_ec2::ApiError;
use gp_model::{AccountId, Change, Generation, Instance, InstanceState, Record, Region, World};
use serde::Serialize;
use tokio::time::timeout;

/// What a reset did.
#[derive(Debug, Serialize)]
pub(crate) struct Reset {
    account: AccountId,
    /// Records that are gone.
    removed: usize,
    regions: Vec<Region>,
    #[serde(skip)]
    pub(crate) not_yet_applied: Option<Generation>,
}

/// Empties an account in every region. When it returns, the host has applied it.
///
/// # Errors
/// `Unavailable` if an instance does not end within [`crate::Limits::reset_wait`]; then the account keeps what it
/// has, so that nothing runs that the API does not show, and the call can be repeated.
pub(crate) async fn reset(engine: &Engine, account: AccountId) -> Result<Reset, ApiError> {
    let regions: Vec<Region> = engine.store.head().regions.keys().cloned().collect();
    for region in &regions {
        engine.change(region, |world, _chance| Ok((end_instances(world, account), ()))).await?;
    }
    instances_ended(engine, account).await?;
    let mut done = Reset { account, removed: 0, regions: Vec::new(), not_yet_applied: None };
    let mut last = Generation(0);
    for region in regions {
        let removing = engine.change(&region, |world, _chance| {
            if living(world, account).next().is_some() {
                return Err(ApiError::unavailable("Instances were started during the reset. Try again."));
            }
            let changes = gp_actions::plan_reset(world, account);
            let count = changes.len();
            Ok((changes, count))
        });
        let (generation, removed) = removing.await?;
        last = last.max(generation);
        if removed > 0 {
            done.removed += removed;
            done.regions.push(region);
        }
    }
    done.not_yet_applied = engine.obeyed(last).await.err();
    Ok(done)
}

/// The account's instances that a host may still hold.
fn living(world: &World, account: AccountId) -> impl Iterator<Item = &Instance> {
    let own = world.tables().instances.values().map(|instance| &**instance);
    own.filter(move |instance| instance.owner == account && instance.state != InstanceState::Terminated)
}

/// Asks the host to end them. Not by `TerminateInstances`: protection against it is no protection against a reset.
fn end_instances(world: &World, account: AccountId) -> Vec<Change> {
    let to_end = living(world, account).filter(|instance| instance.state != InstanceState::ShuttingDown);
    to_end.map(|i| Change::Put(Record::from(Instance { state: InstanceState::ShuttingDown, ..i.clone() }))).collect()
}

async fn instances_ended(engine: &Engine, account: AccountId) -> Result<(), ApiError> {
    let mut watch = engine.store.watch();
    let ended = watch.wait_for(|s| s.regions.values().all(|world| living(world, account).next().is_none()));
    match timeout(engine.settings.limits.reset_wait, ended).await {
        Ok(Ok(_)) => Ok(()),
        _ => Err(ApiError::unavailable("The account's instances have not ended in time. Try again.")),
    }
}
