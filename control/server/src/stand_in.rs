//! Giving an ENI to a guest that Groundplane didn't start, and taking it back, as the machine's operator asks for it.

use crate::chance::{self, Randomness};
use crate::engine::Engine;
use gp_actions::StandIn;
use gp_ec2::ApiError;
use gp_model::{EniId, ExternalGuest, ExternalNetns, Instance, InstanceId, InstanceState, Mac, Region, World};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::time::timeout;

/// `{"eni": …, "netns": {"path": …, "ifname": …, "is_configured": …}, "instance_type": …}`, or `"tap": NAME`.
#[derive(Debug, Deserialize)]
pub(crate) struct AttachRequest {
    eni: String,
    #[serde(flatten)]
    guest: ExternalGuest,
    instance_type: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DetachRequest {
    eni: String,
}

/// What the guest has to know.
#[derive(Debug, Serialize)]
pub(crate) struct Attached {
    instance: InstanceId,
    eni: EniId,
    region: Region,
    mac: Mac,
    addresses: Vec<IpAddr>,
    /// The interface in the namespace, or the TAP.
    ifname: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Detached {
    instance: InstanceId,
    eni: EniId,
}

/// Attaches, and waits until the host has done it.
///
/// # Errors
/// The plan's, or the host's reason why not.
pub(crate) async fn attach(engine: &Engine, request: AttachRequest) -> Result<Attached, ApiError> {
    let AttachRequest { eni, guest, instance_type } = request;
    let eni = parse_id(&eni)?;
    let region = region_of(engine, eni)?;
    let wanted = StandIn { eni, guest, instance_type };
    let plan = |world: &World, chance: &mut Randomness| {
        gp_actions::plan_stand_in(world, &wanted, chance::now(), chance, &engine.settings.planner)
    };
    let (_, id) = engine.change(&region, plan).await?;
    let instance = wait_until(engine, &region, id, |state| state != InstanceState::Pending).await?;
    if instance.state != InstanceState::Running {
        let reason = instance.state_reason.as_ref().map_or("it ended at once", |reason| &reason.message);
        let reason = reason.trim_start_matches("Server.InternalError: ");
        return Err(ApiError::client("IncorrectState", reason));
    }
    let world = engine.store.snapshot().world(&region);
    let eni = world.eni(eni).ok_or_else(|| not_found(eni))?;
    let ifname = match &wanted.guest {
        ExternalGuest::Netns(ExternalNetns { ifname: Some(name), .. }) | ExternalGuest::Tap(name) => name.clone(),
        ExternalGuest::Netns(_) => "eth0".to_owned(),
    };
    Ok(Attached { instance: id, eni: eni.id, region, mac: eni.mac, addresses: eni.addresses().collect(), ifname })
}

/// Ends the stand-in, and waits until the host has taken the ENI back.
///
/// # Errors
/// The plan's; `Unavailable` if the host is too slow.
pub(crate) async fn detach(engine: &Engine, request: DetachRequest) -> Result<Detached, ApiError> {
    let eni = parse_id(&request.eni)?;
    let region = region_of(engine, eni)?;
    let plan = |world: &World, _chance: &mut Randomness| gp_actions::plan_take_back(world, eni, chance::now());
    let (_, instance) = engine.change(&region, plan).await?;
    wait_until(engine, &region, instance, |state| state == InstanceState::Terminated).await?;
    Ok(Detached { instance, eni })
}

fn parse_id(text: &str) -> Result<EniId, ApiError> {
    text.parse().map_err(|error: gp_model::ParseIdError| {
        ApiError::client("InvalidNetworkInterfaceId.Malformed", error.to_string())
    })
}

fn region_of(engine: &Engine, eni: EniId) -> Result<Region, ApiError> {
    let regions = engine.store.head().regions;
    let holds = regions.values().find(|world| world.eni(eni).is_some());
    holds.map(|world| world.region.clone()).ok_or_else(|| not_found(eni))
}

fn not_found(eni: EniId) -> ApiError {
    ApiError::client("InvalidNetworkInterfaceID.NotFound", format!("The networkInterface ID '{eni}' does not exist"))
}

async fn wait_until(
    engine: &Engine,
    region: &Region,
    id: InstanceId,
    is_done: impl Fn(InstanceState) -> bool,
) -> Result<Arc<Instance>, ApiError> {
    let mut watch = engine.store.watch();
    let done = watch.wait_for(|snapshot| snapshot.world(region).instance(id).is_none_or(|i| is_done(i.state)));
    let late = || ApiError::unavailable("The host has not done it in time.");
    let snapshot = timeout(engine.settings.limits.reset_wait, done).await.map_err(|_| late())?.map_err(|_| late())?;
    snapshot.world(region).instance(id).cloned().ok_or_else(|| ApiError::internal("the instance is gone"))
}
