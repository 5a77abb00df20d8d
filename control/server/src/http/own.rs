//! Groundplane's own paths: health, and emptying an account.

use super::{api, body, mark, status};
use crate::Auth;
use crate::engine::Engine;
use crate::reset::{self, Reset};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gp_ec2::ApiError;
use serde_json::json;
use std::sync::Arc;

/// `GET /_groundplane/health`: 200 and `ready`, or 503 and why not.
pub(super) async fn health(State(engine): State<Arc<Engine>>) -> Response {
    let failure = engine.store_failure();
    let (code, status) = match failure {
        None => (StatusCode::OK, "ready"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
    };
    let facts = json!({
        "status": status,
        "reason": failure,
        "version": env!("CARGO_PKG_VERSION"),
        "generation": engine.store.snapshot().generation,
        "applied": engine.applied(),
    });
    (code, Json(facts)).into_response()
}

/// `POST /_groundplane/reset`: empties the caller's account in every region. When it answers, the host has let go.
pub(super) async fn reset(State(engine): State<Arc<Engine>>, request: Request) -> Response {
    match try_reset(&engine, request).await {
        Ok(done) => {
            tracing::info!(?done, "reset");
            let mut response = Json(&done).into_response();
            mark(&mut response, done.not_yet_applied);
            response
        }
        Err(error) => (status(&error), Json(json!({"code": error.code, "message": error.message}))).into_response(),
    }
}

async fn try_reset(engine: &Engine, request: Request) -> Result<Reset, ApiError> {
    if matches!(engine.settings.auth, Auth::Strict(_)) {
        return Err(ApiError::client("AccessDenied", "An account can't be reset where signatures are verified."));
    }
    let (parts, body) = request.into_parts();
    let body = body::read(body, &engine.settings.limits).await?;
    let caller = api::identify(engine, &parts, &body)?.caller;
    reset::reset(engine, caller.account).await
}
