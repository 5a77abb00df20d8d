//! [`ApiError`]: a refusal in AWS's words, with its code, message and HTTP status.
//!
//! Codes and wording: EC2 API reference, "Error codes for the Amazon EC2 API". The status follows from the code.

use std::borrow::Cow;
use std::fmt::Display;

/// A refused or failed request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// AWS's error code, such as `InvalidVpcID.NotFound`.
    pub code: Cow<'static, str>,
    /// The text for people.
    pub message: String,
    /// HTTP status.
    pub status: u16,
}

impl ApiError {
    /// A refusal that is the caller's to mend. The status follows from the code; 400 unless AWS has another.
    pub fn client(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> ApiError {
        let code = code.into();
        let status = status_of(&code);
        ApiError { code, message: message.into(), status }
    }

    /// A failure of ours.
    pub fn internal(message: impl Into<String>) -> ApiError {
        ApiError::client("InternalError", message)
    }

    /// The service is there but cannot answer now; the caller may retry.
    pub fn unavailable(message: impl Into<String>) -> ApiError {
        ApiError::client("Unavailable", message)
    }

    /// `DryRun` was set and the request would have been carried out.
    pub fn dry_run() -> ApiError {
        ApiError::client("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    }

    /// A required parameter is absent. `parameter` is the name on the wire (`VpcId`).
    pub fn missing_parameter(parameter: impl Display) -> ApiError {
        let parameter = lower_camel(&parameter.to_string());
        ApiError::client("MissingParameter", format!("The request must contain the parameter {parameter}"))
    }

    /// A parameter that the action does not have.
    pub fn unknown_parameter(parameter: impl Display) -> ApiError {
        ApiError::client("UnknownParameter", format!("The parameter {parameter} is not recognized"))
    }

    /// A value outside what its parameter allows. `parameter` is the name on the wire; `why` is a sentence or empty.
    pub fn invalid_value(value: impl Display, parameter: impl Display, why: impl Display) -> ApiError {
        let (value, parameter) = (shortened(&value.to_string()), lower_camel(&parameter.to_string()));
        let message = format!("Value ({value}) for parameter {parameter} is invalid. {why}");
        ApiError::client("InvalidParameterValue", message.trim_end())
    }

    /// Something that EC2 has and Groundplane has not.
    pub fn unsupported(message: impl Into<String>) -> ApiError {
        ApiError::client("UnsupportedOperation", message)
    }

    /// The caller could not be told from an impostor.
    pub fn auth_failure() -> ApiError {
        ApiError::client("AuthFailure", "AWS was not able to validate the provided access credentials")
    }

    /// Whether the fault is ours rather than the caller's.
    pub fn is_server_fault(&self) -> bool {
        self.status >= 500
    }
}

/// The HTTP status that AWS answers `code` with.
fn status_of(code: &str) -> u16 {
    match code {
        "DryRunOperation" => 412,
        "AuthFailure" | "OptInRequired" => 401,
        "UnauthorizedOperation"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "InvalidClientTokenId"
        | "PendingVerification"
        | "AccessDenied"
        | "Blocked" => 403,
        "InternalError" | "InternalFailure" | "InsufficientInstanceCapacity" => 500,
        "RequestLimitExceeded" | "Unavailable" | "ServiceUnavailable" => 503,
        _ => 400,
    }
}

/// `VpcId` -> `vpcId`: how AWS's messages write parameter names.
fn lower_camel(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_ascii_lowercase().to_string() + chars.as_str()).unwrap_or_default()
}

/// A caller's text as it may stand in a message: all of it, unless it is longer than any good value.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 512;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_follows_from_the_code() {
        assert_eq!(ApiError::dry_run().status, 412);
        assert_eq!(ApiError::auth_failure().status, 401);
        assert_eq!(ApiError::client("InvalidVpcID.NotFound", "x").status, 400);
        assert_eq!(ApiError::client("RequestLimitExceeded", "x").status, 503);
        assert!(ApiError::internal("x").is_server_fault() && !ApiError::dry_run().is_server_fault());
    }

    #[test]
    fn messages_name_parameters_as_aws_does() {
        assert_eq!(ApiError::missing_parameter("VpcId").message, "The request must contain the parameter vpcId");
        assert_eq!(ApiError::missing_parameter("").message, "The request must contain the parameter ");
        assert_eq!(ApiError::invalid_value("x", "Size", "").message, "Value (x) for parameter size is invalid.");
    }
}
