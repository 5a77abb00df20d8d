//! From [`Params`] to a [`Request`]: which service, which action, decoded.

use crate::decode::Node;
use crate::error::shortened;
use crate::{Action, ApiError, Params, meta};

/// STS's only API version.
const STS_VERSION: &str = "2011-06-15";

/// The services that share the endpoint. They differ in the form of replies and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// EC2, `ec2` protocol.
    Ec2,
    /// STS, `query` protocol.
    Sts,
}

impl Service {
    /// The service that a request is for, known before the request is decoded. `scope` is the service in the
    /// signature's credential scope, if there is one.
    pub fn of(params: &Params, scope: Option<&str>) -> Service {
        let action = params.action().and_then(meta::meta);
        if let Some(action) = action {
            return action.service;
        }
        if scope == Some("sts") || params.version() == Some(STS_VERSION) { Service::Sts } else { Service::Ec2 }
    }
}

/// A decoded request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What is asked for.
    pub action: Action,
    /// The API version that the client named.
    pub version: Option<String>,
    /// Whether `DryRun` was set to true.
    pub dry_run: bool,
    /// `ClientToken`, where the action has one and the client gave one that is not empty.
    pub client_token: Option<String>,
}

/// Parses and decodes a form. See [`Params::parse`] and [`decode`].
///
/// # Errors
/// As those two.
pub fn decode_form(form: &[u8]) -> Result<Request, ApiError> {
    decode(Params::parse(form)?)
}

/// Decodes a request's parameters.
///
/// # Errors
/// `MissingAction` and `InvalidAction`; `UnsupportedOperation` for an action that EC2 has but this crate has no
/// shapes for; `UnknownParameter`, `MissingParameter`, `InvalidParameterValue` and `InvalidQueryParameter` as AWS
/// for the parameters.
pub fn decode(params: Params) -> Result<Request, ApiError> {
    let name = params.action().filter(|name| !name.is_empty()).map(str::to_owned);
    let Some(name) = name else {
        return Err(ApiError::client("MissingAction", "The request is missing an action or a required parameter."));
    };
    let version = params.version().map(str::to_owned);
    let entries = params.into_entries()?;
    let root = Node::root(&entries);
    let value_of = |name: &str| root.child(name).and_then(|node| node.text().ok());
    let dry_run = value_of("DryRun") == Some("true");
    let token = value_of("ClientToken").filter(|token| !token.is_empty());
    let has_token = meta::meta(&name).is_some_and(|action| action.client_token);
    let client_token = token.filter(|_| has_token).map(str::to_owned);
    let action = Action::decode(&name, root)?.ok_or_else(|| not_implemented(&name))?;
    Ok(Request { action, version, dry_run, client_token })
}

fn not_implemented(name: &str) -> ApiError {
    if meta::is_ec2_action(name) {
        return ApiError::unsupported(format!("The action {name} is not implemented by Groundplane."));
    }
    let message = format!("The action {} is not valid for this web service.", shortened(name));
    ApiError::client("InvalidAction", message)
}
