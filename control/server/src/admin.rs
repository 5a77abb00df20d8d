//! What the machine's own operator may ask, across accounts. Only for a socket that nobody else can reach.

use crate::engine::Engine;
use crate::stand_in::{self, AttachRequest, Attached, DetachRequest, Detached};
use crate::{costs, dial};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use gp_ec2::ApiError;
use gp_model::{AccountId, EniId, Generation, Instance, InstanceId, Region, SubnetId, VpcId, World};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

pub(crate) fn router(engine: Arc<Engine>) -> Router {
    Router::new()
        .route("/instances", get(instances))
        .route("/status", get(status))
        .route("/attach", post(attach))
        .route("/detach", post(detach))
        .route("/costs", get(costs::list))
        .route("/nat-gateways/{id}/ports", post(dial::turn_nat_ports))
        .with_state(engine)
}

#[derive(Serialize)]
struct InstanceFacts {
    id: InstanceId,
    /// The `Name` tag.
    name: Option<String>,
    account: AccountId,
    region: Region,
    state: &'static str,
    /// Why it is in that state, where that is not plain.
    state_reason: Option<String>,
    instance_type: String,
    vpc: VpcId,
    subnet: SubnetId,
    /// Of all its ENIs; the primary one of the primary ENI is first.
    addresses: Vec<IpAddr>,
    enis: Vec<EniFacts>,
}

#[derive(Serialize)]
struct EniFacts {
    id: EniId,
    device_index: Option<u32>,
    addresses: Vec<IpAddr>,
}

/// Every instance that the API shows, terminated ones included.
async fn instances(State(engine): State<Arc<Engine>>) -> Json<Vec<InstanceFacts>> {
    let worlds = engine.store.snapshot().regions;
    let facts = worlds.values().flat_map(|world| world.tables().instances.values().map(|i| facts(world, i)));
    Json(facts.collect())
}

fn facts(world: &World, instance: &Instance) -> InstanceFacts {
    let enis = world.enis_of_instance(instance.id).into_iter().map(|eni| EniFacts {
        id: eni.id,
        device_index: eni.attachment.as_ref().map(|attachment| attachment.device_index),
        addresses: eni.addresses().collect(),
    });
    let enis: Vec<EniFacts> = enis.collect();
    InstanceFacts {
        id: instance.id,
        name: instance.tags.get("Name").cloned(),
        account: instance.owner,
        region: world.region.clone(),
        state: instance.state.name(),
        state_reason: instance.state_reason.as_ref().map(|reason| reason.message.clone()),
        instance_type: instance.instance_type.clone(),
        vpc: instance.vpc,
        subnet: instance.subnet,
        addresses: enis.iter().flat_map(|eni| eni.addresses.iter().copied()).collect(),
        enis,
    }
}

type Answer<T> = Result<Json<T>, (StatusCode, Json<serde_json::Value>)>;

fn refused(error: ApiError) -> (StatusCode, Json<serde_json::Value>) {
    (StatusCode::CONFLICT, Json(serde_json::json!({ "error": error.to_string() })))
}

async fn attach(State(engine): State<Arc<Engine>>, Json(request): Json<AttachRequest>) -> Answer<Attached> {
    stand_in::attach(&engine, request).await.map(Json).map_err(refused)
}

async fn detach(State(engine): State<Arc<Engine>>, Json(request): Json<DetachRequest>) -> Answer<Detached> {
    stand_in::detach(&engine, request).await.map(Json).map_err(refused)
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    /// The newest durable generation.
    generation: Generation,
    /// The one that the host obeys.
    applied: Option<Generation>,
    /// Why the store takes no more writes, if that has happened.
    store_failure: Option<String>,
    regions: BTreeMap<Region, Counts>,
    counters: serde_json::Value,
}

/// How many of each a region has.
#[derive(Serialize)]
struct Counts {
    accounts: usize,
    vpcs: usize,
    subnets: usize,
    security_groups: usize,
    enis: usize,
    /// By state.
    instances: BTreeMap<&'static str, usize>,
}

async fn status(State(engine): State<Arc<Engine>>) -> Json<Status> {
    let snapshot = engine.store.snapshot();
    Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        generation: snapshot.generation,
        applied: engine.applied(),
        store_failure: engine.store_failure().map(str::to_owned),
        regions: snapshot.regions.iter().map(|(region, world)| (region.clone(), counts(world))).collect(),
        counters: serde_json::json!(engine.counters),
    })
}

fn counts(world: &World) -> Counts {
    let tables = world.tables();
    let mut instances = BTreeMap::new();
    for instance in tables.instances.values() {
        *instances.entry(instance.state.name()).or_default() += 1;
    }
    Counts {
        accounts: tables.accounts.len(),
        vpcs: tables.vpcs.len(),
        subnets: tables.subnets.len(),
        security_groups: tables.security_groups.len(),
        enis: tables.enis.len(),
        instances,
    }
}
