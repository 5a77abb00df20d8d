//! The dials that the machine's operator may turn: what AWS fixes and a test wants otherwise.

use crate::engine::Engine;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use gp_actions::{DialError, plan_nat_ports};
use gp_ec2::ApiError;
use gp_model::{Generation, NatGatewayId, World};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Deserialize)]
pub(crate) struct NatPorts {
    /// Connections per address and destination; absent for AWS's.
    ports: Option<u32>,
}

#[derive(Serialize)]
pub(crate) struct Dialled {
    nat_gateway: NatGatewayId,
    ports: Option<u32>,
    /// The generation that the host has not applied yet, though the wait for it is over.
    not_yet_applied: Option<Generation>,
}

type Refusal = (StatusCode, Json<serde_json::Value>);

fn refused(status: StatusCode, sentence: impl std::fmt::Display) -> Refusal {
    (status, Json(serde_json::json!({ "error": sentence.to_string() })))
}

/// Holds a NAT gateway of any region to that many connections per address and destination.
pub(crate) async fn turn_nat_ports(
    State(engine): State<Arc<Engine>>,
    Path(id): Path<String>,
    Json(NatPorts { ports }): Json<NatPorts>,
) -> Result<Json<Dialled>, Refusal> {
    let nat_gateway: NatGatewayId = id.parse().map_err(|error| refused(StatusCode::BAD_REQUEST, error))?;
    match nat_ports(&engine, nat_gateway, ports).await {
        Ok(not_yet_applied) => Ok(Json(Dialled { nat_gateway, ports, not_yet_applied })),
        Err(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Err(refused(status, error.message))
        }
    }
}

/// The generation that the host has not applied yet, if the wait for it was too long.
async fn nat_ports(engine: &Engine, id: NatGatewayId, ports: Option<u32>) -> Result<Option<Generation>, ApiError> {
    let head = engine.store.head();
    let region = head.regions.iter().find(|(_, world)| world.nat_gateway(id).is_some()).map(|(region, _)| region);
    // A region without it refuses in the same words as one from which it has just gone.
    let region = region.cloned().unwrap_or_else(|| engine.settings.default_region.clone());
    let refuse = |error: DialError| ApiError::client("InvalidParameterValue", error.to_string());
    let plan = |world: &World| plan_nat_ports(world, id, ports).map_err(refuse);
    let (generation, ()) = engine.change(&region, |world, _chance| Ok((plan(world)?, ()))).await?;
    Ok(engine.obeyed(generation).await.err())
}
