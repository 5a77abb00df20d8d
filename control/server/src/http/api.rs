//! The API's endpoint: one request to one document, and one line in the log.

use super::{body, mark, not_allowed, status, xml};
use crate::caller::{self, Identity};
use crate::chance;
use crate::engine::{Answer, Engine};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use gp_ec2::sigv4::RequestParts;
use gp_ec2::{ApiError, Params, Service, encode_error_for, encode_reply, meta};
use std::sync::Arc;
use std::time::Instant;
use tokio::time::timeout;

/// What the log says of a request, as far as it became known.
struct Known {
    action: String,
    account: String,
    region: String,
    service: Service,
}

pub(super) async fn answer(State(engine): State<Arc<Engine>>, request: Request) -> Response {
    let started = Instant::now();
    let id = chance::request_id();
    let unknown = || "-".to_owned();
    let mut known = Known { action: unknown(), account: unknown(), region: unknown(), service: Service::Ec2 };
    let handled = timeout(engine.settings.limits.request_wait, handle(&engine, request, &mut known)).await;
    let outcome = handled.unwrap_or_else(|_elapsed| {
        Err(ApiError::unavailable("The request took too long. What it asked for may have been done or not."))
    });
    let response = respond(&outcome, known.service, &id);
    count(&engine, response.status());
    let code = outcome.as_ref().err().map_or("ok", |error| &error.code);
    let ms = started.elapsed().as_secs_f64() * 1e3;
    let Known { action, account, region, .. } = known;
    tracing::info!(%action, %account, %region, code, ms = format_args!("{ms:.1}"), %id, "request");
    if let Err(error) = &outcome {
        tracing::debug!(%id, message = ?error.message, "refused");
    }
    response
}

fn respond(outcome: &Result<Answer, ApiError>, service: Service, id: &str) -> Response {
    match outcome {
        Ok(answer) => {
            let mut response = xml(StatusCode::OK, id, encode_reply(&answer.reply, id));
            mark(&mut response, answer.not_yet_applied);
            response
        }
        Err(error) => xml(status(error), id, encode_error_for(service, error, id)),
    }
}

fn count(engine: &Engine, status: StatusCode) {
    engine.counters.requests.add_one();
    if status.is_server_error() {
        engine.counters.failed.add_one();
    } else if status.is_client_error() {
        engine.counters.refused.add_one();
    }
}

async fn handle(engine: &Engine, request: Request, known: &mut Known) -> Result<Answer, ApiError> {
    let (parts, body) = request.into_parts();
    if !matches!(parts.method, Method::GET | Method::POST) {
        return Err(not_allowed());
    }
    let body = body::read(body, &engine.settings.limits).await?;
    let identity = identify(engine, &parts, &body);
    let params = Params::parse(&form(&parts, &body)?)?;
    known.action = params.action().map_or("-", in_the_list).to_owned();
    // Known before anything is refused, so that a refusal has the form of the service that was asked.
    let scope = identity.as_ref().ok().and_then(|identity| identity.service.clone());
    known.service = Service::of(&params, scope.as_deref());
    let Identity { caller, .. } = identity?;
    known.account = caller.account.to_string();
    known.region = caller.region.to_string();
    let request = gp_ec2::decode(params)?;
    engine.call(&caller, &request).await
}

/// Who is calling. Headers that aren't text are none that a signature could cover.
pub(super) fn identify(engine: &Engine, parts: &Parts, body: &[u8]) -> Result<Identity, ApiError> {
    let text = |value: &'_ axum::http::HeaderValue| std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned);
    let headers: Vec<(String, String)> =
        parts.headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let parts = RequestParts {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &headers,
        body,
    };
    caller::identify(&engine.settings, &parts)
}

/// The request's form: the query string's and the body's, as EC2 reads both.
fn form(parts: &Parts, body: &[u8]) -> Result<Vec<u8>, ApiError> {
    let mut form = parts.uri.query().unwrap_or_default().as_bytes().to_vec();
    if !body.is_empty() {
        check_content_type(&parts.headers)?;
        form.push(b'&');
        form.extend_from_slice(body);
    }
    Ok(form)
}

/// A form without a type is taken for one; with another type it isn't one.
fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    if essence.trim_ascii().eq_ignore_ascii_case(FORM) {
        return Ok(());
    }
    let message = "The body must be a form: Content-Type application/x-www-form-urlencoded.";
    Err(ApiError { status: 415, ..ApiError::client("UnsupportedMediaType", message) })
}

/// An action's name for the log: only names that exist, so that nobody writes the log but the server.
fn in_the_list(action: &str) -> &str {
    let known = meta::meta(action).is_some() || meta::is_ec2_action(action);
    if known { action } else { "(unknown)" }
}
