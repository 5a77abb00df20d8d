//! HTTP: what each path means, and the form of every answer.
//!
//! `/` is the API, by GET and POST. `/_groundplane/…` is Groundplane's own and speaks JSON. Nothing else is there.

mod api;
mod body;
mod own;

use crate::chance;
use crate::engine::Engine;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use gp_ec2::{ApiError, Service, encode_error_for};
use gp_model::Generation;
use std::sync::Arc;

/// Header of an answer to a change that the host has not applied yet: the generation to wait for.
pub const NOT_YET_APPLIED: &str = "x-groundplane-not-yet-applied";
const REQUEST_ID: &str = "x-amzn-requestid";
const XML: &str = "text/xml;charset=UTF-8";

pub(crate) fn router(engine: Arc<Engine>) -> Router {
    let own = Router::new()
        .route("/_groundplane/health", get(own::health))
        .route("/_groundplane/reset", post(own::reset))
        .method_not_allowed_fallback(wrong_method);
    let api = Router::new().route("/", any(api::answer)).fallback(nothing_there);
    own.merge(api).layer(middleware::from_fn(refuse_web_pages)).with_state(engine)
}

/// A web page that a user of this machine visits can send forms here, and a lenient server would obey. Browsers mark
/// such requests, and none of AWS's clients does.
async fn refuse_web_pages(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let from_page = headers.contains_key(header::ORIGIN) || matches!(site, Some(b"cross-site" | b"same-site"));
    if from_page {
        return refusal(ApiError::client("AccessDenied", "Requests that a web page makes are not answered."));
    }
    next.run(request).await
}

async fn nothing_there() -> Response {
    let message = "There is nothing at this path; the API is at /.";
    refusal(ApiError { status: 404, ..ApiError::client("NotFound", message) })
}

async fn wrong_method() -> Response {
    refusal(not_allowed())
}

fn not_allowed() -> ApiError {
    ApiError { status: 405, ..ApiError::client("MethodNotAllowed", "The method is not allowed for this path.") }
}

/// An answer outside the API's own log and counters.
fn refusal(error: ApiError) -> Response {
    let id = chance::request_id();
    xml(status(&error), &id, encode_error_for(Service::Ec2, &error, &id))
}

/// An answer as EC2 gives it.
fn xml(status: StatusCode, request_id: &str, document: String) -> Response {
    let mut response = (status, document).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(XML));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    headers.insert(header::SERVER, HeaderValue::from_static("AmazonEC2"));
    insert(headers, REQUEST_ID, request_id);
    response
}

fn status(error: &ApiError) -> StatusCode {
    StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Marks an answer that the host does not obey yet.
fn mark(response: &mut Response, not_yet_applied: Option<Generation>) {
    if let Some(generation) = not_yet_applied {
        insert(response.headers_mut(), NOT_YET_APPLIED, &generation.0.to_string());
    }
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
