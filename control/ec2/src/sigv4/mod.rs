//! AWS Signature Version 4, the server's side: who a request claims to be, and whether that is true.
//!
//! [`claim`] reads the claim from the `Authorization` header or, for a presigned request, from the query string;
//! it is all that a server needs which trusts its callers. [`verify`] checks it against the secret.
//! Pure: the clock and the secret come in as arguments.
//!
//! Source: IAM User Guide, "Create a signed AWS API request" and "Signature Version 4 request signing".

mod canonical;
mod verify;

pub use verify::verify;

use crate::ApiError;
use crate::params::unescape;

/// The region of a request that names none.
pub const DEFAULT_REGION: &str = "us-east-1";

/// The account of an access key that names none.
pub const DEFAULT_ACCOUNT: &str = "000000000000";

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";

/// The parts of an HTTP request that a signature covers.
#[derive(Debug, Clone, Copy)]
pub struct RequestParts<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// The path as it came, percent escapes and all, without the query.
    pub path: &'a str,
    /// The query string as it came, without the `?`; empty if there is none.
    pub query: &'a str,
    /// All headers in the order they came. Names may be in any case. `host` must be among them.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

impl<'a> RequestParts<'a> {
    /// The value of the first header called `name`.
    fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The decoded value of the first query parameter called `name`.
    fn query_value(&self, name: &str) -> Option<String> {
        let mut pieces = self.query.split('&').map(|piece| piece.split_once('=').unwrap_or((piece, "")));
        let (_, value) = pieces.find(|(n, _)| *n == name)?;
        unescape(value.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok())
    }
}

/// What a signed request says of itself. Nothing in it is proven before [`verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The access key that it says it is signed with.
    pub access_key: String,
    /// Day of the credential scope, `YYYYMMDD`.
    pub date: String,
    /// Region of the credential scope.
    pub region: String,
    /// Service of the credential scope, `ec2` or `sts`.
    pub service: String,
    /// Names of the headers that the signature covers, in lower case.
    pub signed_headers: Vec<String>,
    /// Whether the signature stands in the query string.
    pub presigned: bool,
    signature: String,
}

impl Claim {
    /// The account that the access key stands for.
    pub fn account(&self) -> &str {
        account_of(&self.access_key)
    }

    /// The refusal for an access key that nobody configured, in the words of the claim's service.
    pub fn unknown_key(&self) -> ApiError {
        match self.service.as_str() {
            "sts" => ApiError::client("InvalidClientTokenId", "The security token included in the request is invalid."),
            _ => ApiError::auth_failure(),
        }
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/{TERMINATOR}", self.date, self.region, self.service)
    }
}

/// The account that an access key stands for: a key of exactly twelve digits is its account, every other key
/// belongs to [`DEFAULT_ACCOUNT`].
pub fn account_of(access_key: &str) -> &str {
    let names_account = access_key.len() == 12 && access_key.bytes().all(|b| b.is_ascii_digit());
    if names_account { access_key } else { DEFAULT_ACCOUNT }
}

/// The refusal for a request without a signature, where one is needed.
pub fn missing_signature() -> ApiError {
    ApiError::client("MissingAuthenticationToken", "Request is missing Authentication Token")
}

/// Reads the claim of a request; `None` if it is not signed at all.
///
/// # Errors
/// `IncompleteSignature` if there is a signature that cannot be read.
pub fn claim(parts: &RequestParts<'_>) -> Result<Option<Claim>, ApiError> {
    match parts.header("authorization") {
        Some(header) => from_header(header).map(Some),
        None if parts.query_value("X-Amz-Algorithm").is_some() => from_query(parts).map(Some),
        None => Ok(None),
    }
}

fn from_header(header: &str) -> Result<Claim, ApiError> {
    let (algorithm, fields) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    check_algorithm(algorithm)?;
    let field = |name: &str| {
        let mut fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
        let value = fields.find(|(n, _)| *n == name).map(|(_, value)| value);
        value.ok_or_else(|| incomplete(format!("Authorization header requires '{name}' parameter.")))
    };
    new_claim(field("Credential")?, field("SignedHeaders")?, field("Signature")?, false)
}

fn from_query(parts: &RequestParts<'_>) -> Result<Claim, ApiError> {
    let field = |name: &str| {
        let value = parts.query_value(name);
        value.ok_or_else(|| incomplete(format!("AWS query-string parameters must include '{name}'.")))
    };
    check_algorithm(&field("X-Amz-Algorithm")?)?;
    let (credential, signed) = (field("X-Amz-Credential")?, field("X-Amz-SignedHeaders")?);
    new_claim(&credential, &signed, &field("X-Amz-Signature")?, true)
}

fn check_algorithm(algorithm: &str) -> Result<(), ApiError> {
    if algorithm == ALGORITHM {
        return Ok(());
    }
    Err(incomplete(format!("Unsupported AWS 'algorithm': '{algorithm}'.")))
}

fn new_claim(credential: &str, signed: &str, signature: &str, presigned: bool) -> Result<Claim, ApiError> {
    // The key is what is left of the four parts of the scope, so a key may contain a slash.
    let parts: Vec<&str> = credential.rsplitn(5, '/').collect();
    let [TERMINATOR, service, region, date, access_key] = parts[..] else {
        let need =
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request";
        return Err(incomplete(format!("{need}, got '{credential}'.")));
    };
    if [service, region, date, access_key].contains(&"") {
        return Err(incomplete(format!("Credential has an empty element: '{credential}'.")));
    }
    Ok(Claim {
        access_key: access_key.to_owned(),
        date: date.to_owned(),
        region: region.to_owned(),
        service: service.to_owned(),
        signed_headers: signed.split(';').map(str::to_ascii_lowercase).collect(),
        presigned,
        signature: signature.to_owned(),
    })
}

fn incomplete(message: String) -> ApiError {
    ApiError::client("IncompleteSignature", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts<'a>(query: &'a str, headers: &'a [(&'a str, &'a str)]) -> RequestParts<'a> {
        RequestParts { method: "POST", path: "/", query, headers, body: b"" }
    }

    fn with_header(value: &str) -> Result<Option<Claim>, ApiError> {
        claim(&parts("", &[("Authorization", value)]))
    }

    #[test]
    fn the_scope_is_read_from_the_header() {
        let header = "AWS4-HMAC-SHA256 Credential=123456789012/20261121/eu-central-1/ec2/aws4_request, \
                      SignedHeaders=content-type;host;x-amz-date, Signature=00ff";
        let claim = with_header(header).expect("the header is good").expect("it is signed");
        assert_eq!((claim.region.as_str(), claim.service.as_str()), ("eu-central-1", "ec2"));
        assert_eq!((claim.access_key.as_str(), claim.account()), ("123456789012", "123456789012"));
        assert_eq!(claim.signed_headers, ["content-type", "host", "x-amz-date"]);
        assert!(!claim.presigned);
        let tight = header.replace(", ", ",");
        assert_eq!(with_header(&tight), Ok(Some(claim)));
    }

    #[test]
    fn the_scope_is_read_from_a_presigned_query() {
        let query = "Action=DescribeVpcs&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20261121%2F\
                     us-west-2%2Fec2%2Faws4_request&X-Amz-SignedHeaders=host&X-Amz-Signature=00ff";
        let claim = claim(&parts(query, &[])).expect("the query is good").expect("it is signed");
        assert_eq!((claim.region.as_str(), claim.account(), claim.presigned), ("us-west-2", DEFAULT_ACCOUNT, true));
    }

    #[test]
    fn an_unsigned_request_claims_nothing() {
        assert_eq!(claim(&parts("Action=DescribeVpcs", &[("host", "localhost")])), Ok(None));
    }

    #[test]
    fn a_signature_that_cannot_be_read_is_incomplete() {
        for header in [
            "",
            "Basic dXNlcjpwYXNz",
            "AWS4-HMAC-SHA256",
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request",
            "AWS4-HMAC-SHA256 Credential=a/b/c/aws4_request, SignedHeaders=host, Signature=0",
            "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=0",
            "AWS4-HMAC-SHA256 Credential=a/b//d/aws4_request, SignedHeaders=host, Signature=0",
        ] {
            assert_eq!(with_header(header).expect_err(header).code, "IncompleteSignature", "{header}");
        }
    }

    #[test]
    fn only_twelve_digits_name_an_account() {
        assert_eq!(account_of("111122223333"), "111122223333");
        for key in ["", "11112222333", "1111222233334", "11112222333x", "AKIAIOSFODNN7EXAMPLE", "١١١١٢٢"] {
            assert_eq!(account_of(key), DEFAULT_ACCOUNT);
        }
    }
}
