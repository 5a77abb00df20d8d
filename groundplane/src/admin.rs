//! The admin socket: what the machine's operator may ask of server and agent. Only root can reach it.

use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use gp_agent::Agent;
use serde::Deserialize;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tokio::net::UnixListener;

/// Binds the socket, replacing one that a dead process left.
///
/// # Errors
/// The path can't be bound.
pub fn listen(socket: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The agent's side of the socket; the server brings `/status` and `/instances`.
pub fn agent_router(agent: Arc<Agent>) -> Router {
    Router::new()
        .route("/host", get(host))
        .route("/counters", get(all_counters))
        .route("/counters/{eni}", get(counters))
        .route("/why", post(why))
        .route("/instances/{id}/console", get(console))
        .with_state(agent)
}

type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

fn refused(status: StatusCode, sentence: impl std::fmt::Display) -> (StatusCode, Json<Value>) {
    (status, Json(json!({ "error": sentence.to_string() })))
}

/// Questions walk tables of the kernel and read files. What else is this thread's to serve, calls of the API among it, goes
/// on in another one meanwhile.
fn ask<T>(question: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(question)
}

async fn host(State(agent): State<Arc<Agent>>) -> Json<Value> {
    Json(ask(|| agent.status()))
}

async fn all_counters(State(agent): State<Arc<Agent>>) -> Json<Vec<Value>> {
    Json(ask(|| agent.all_counters()))
}

async fn counters(
    State(agent): State<Arc<Agent>>,
    UrlPath(wanted): UrlPath<String>,
) -> Result<Json<Vec<Value>>, (StatusCode, Json<Value>)> {
    ask(|| agent.counters(&wanted)).map(Json).map_err(|error| refused(StatusCode::NOT_FOUND, error))
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Question {
    Probe {
        from: String,
        to: String,
        service: String,
    },
    /// An Ethernet frame, byte by byte.
    Frame {
        from: String,
        frame: Vec<u8>,
    },
}

async fn why(State(agent): State<Arc<Agent>>, Json(question): Json<Question>) -> Answer {
    let answer = ask(|| match question {
        Question::Probe { from, to, service } => agent.why(&from, &to, &service),
        Question::Frame { from, frame } => agent.why_frame(&from, &frame),
    });
    Ok(Json(answer.map_err(|error| refused(StatusCode::NOT_FOUND, error))?))
}

async fn console(State(agent): State<Arc<Agent>>, UrlPath(id): UrlPath<String>) -> Answer {
    let output = ask(|| agent.console(&id)).map_err(|error| refused(StatusCode::NOT_FOUND, error))?;
    Ok(Json(json!({ "output": String::from_utf8_lossy(&output) })))
}
