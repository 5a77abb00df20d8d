//! Whether a request is signed with the secret of the key that it claims.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{ALGORITHM, Claim, RequestParts, TERMINATOR, canonical};
use crate::ApiError;
use crate::timestamp::Timestamp;

/// How far the clock of a signer may be off.
const MAX_SKEW_MS: i64 = 5 * 60 * 1000;
/// Longest life of a presigned request: seven days.
const MAX_EXPIRES_S: i64 = 7 * 24 * 60 * 60;

/// Verifies that `parts` is signed as `claim` says, with `secret`, and is fresh at `now_ms` (milliseconds since the
/// epoch): signed within five minutes of now, or presigned and not expired.
///
/// # Errors
/// `RequestExpired` if it is stale or from the future; `IncompleteSignature` if its date is missing or unreadable;
/// `AuthFailure` (EC2) or `SignatureDoesNotMatch` (STS) if the signature is another.
pub fn verify(parts: &RequestParts<'_>, claim: &Claim, secret: &str, now_ms: i64) -> Result<(), ApiError> {
    let time = signing_time(parts, claim)?;
    let stamp = basic_format(time);
    if !stamp.starts_with(&claim.date) {
        return Err(mismatch(claim));
    }
    check_fresh(parts, claim, time, now_ms)?;
    let Some(request) = canonical::request(parts, claim, &hex(&Sha256::digest(parts.body))) else {
        return Err(mismatch(claim));
    };
    let hash = hex(&Sha256::digest(request.as_bytes()));
    let to_sign = format!("{ALGORITHM}\n{stamp}\n{}\n{hash}", claim.scope());
    let signature = hex(&sign(&signing_key(claim, secret), to_sign.as_bytes()));
    if signature.as_bytes().ct_eq(claim.signature.as_bytes()).into() { Ok(()) } else { Err(mismatch(claim)) }
}

fn mismatch(claim: &Claim) -> ApiError {
    match claim.service.as_str() {
        "sts" => ApiError::client(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        ),
        _ => ApiError::auth_failure(),
    }
}

/// When the request says it was signed.
fn signing_time(parts: &RequestParts<'_>, claim: &Claim) -> Result<Timestamp, ApiError> {
    let incomplete = |message: &str| ApiError::client("IncompleteSignature", message);
    if claim.presigned {
        let date = parts.query_value("X-Amz-Date").and_then(|date| date.parse().ok());
        return date.ok_or_else(|| incomplete("AWS query-string parameters must include a valid 'X-Amz-Date'."));
    }
    let amz_date = parts.header("x-amz-date").map(|date| date.trim().parse().ok());
    let time = amz_date.unwrap_or_else(|| parts.header("date").and_then(http_date));
    time.ok_or_else(|| {
        incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    })
}

fn http_date(date: &str) -> Option<Timestamp> {
    let moment = jiff::fmt::rfc2822::parse(date.trim()).ok()?;
    Some(Timestamp::from_millis(moment.timestamp().as_millisecond()))
}

/// `20261121T082617Z`, the form that is signed.
fn basic_format(time: Timestamp) -> String {
    let text = time.to_string();
    let seconds = text.split('.').next().unwrap_or_default();
    seconds.chars().filter(|c| !matches!(c, '-' | ':')).chain(['Z']).collect()
}

fn check_fresh(parts: &RequestParts<'_>, claim: &Claim, time: Timestamp, now_ms: i64) -> Result<(), ApiError> {
    let life_ms = if claim.presigned { expires_ms(parts)? } else { MAX_SKEW_MS };
    let age_ms = now_ms.saturating_sub(time.as_millis());
    if (-MAX_SKEW_MS..=life_ms).contains(&age_ms) {
        return Ok(());
    }
    let now = Timestamp::from_millis(now_ms);
    let message = format!("Request has expired. Timestamp date is {time}. Current date is {now}.");
    Err(ApiError::client("RequestExpired", message))
}

fn expires_ms(parts: &RequestParts<'_>) -> Result<i64, ApiError> {
    let seconds = parts.query_value("X-Amz-Expires").and_then(|seconds| seconds.parse::<i64>().ok());
    let seconds = seconds.filter(|seconds| (1..=MAX_EXPIRES_S).contains(seconds));
    seconds.map(|seconds| seconds * 1000).ok_or_else(|| {
        let message = format!("X-Amz-Expires must be a number of seconds from 1 to {MAX_EXPIRES_S}.");
        ApiError::client("IncompleteSignature", message)
    })
}

fn signing_key(claim: &Claim, secret: &str) -> [u8; 32] {
    let steps = [&claim.date, &claim.region, &claim.service, TERMINATOR];
    let first = sign(format!("AWS4{secret}").as_bytes(), steps[0].as_bytes());
    steps[1..].iter().fold(first, |key, step| sign(&key, step.as_bytes()))
}

fn sign(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::claim;
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    /// 2015-08-30T12:36:00Z, the time of AWS's published examples.
    const THEN_MS: i64 = 1_440_938_160_000;

    /// `get-vanilla` of AWS's Signature Version 4 test suite.
    const VANILLA: [(&str, &str); 3] = [
        ("Host", "example.amazonaws.com"),
        ("X-Amz-Date", "20150830T123600Z"),
        (
            "Authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
    ];

    /// The `ListUsers` request of the IAM User Guide.
    const LIST_USERS: [(&str, &str); 4] = [
        ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("host", "iam.amazonaws.com"),
        ("x-amz-date", "20150830T123600Z"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        ),
    ];

    fn check(query: &str, headers: &[(&str, &str)], body: &[u8], now_ms: i64) -> Result<(), ApiError> {
        let parts = RequestParts { method: "GET", path: "/", query, headers, body };
        let claim = claim(&parts)?.expect("the request is signed");
        verify(&parts, &claim, SECRET, now_ms)
    }

    #[test]
    fn the_published_examples_verify() {
        assert_eq!(check("", &VANILLA, b"", THEN_MS), Ok(()));
        assert_eq!(check("Action=ListUsers&Version=2010-05-08", &LIST_USERS, b"", THEN_MS), Ok(()));
    }

    #[test]
    fn every_change_to_what_is_signed_is_noticed() {
        let code = |result: Result<(), ApiError>| result.expect_err("the request was changed").code.into_owned();
        assert_eq!(code(check("a=b", &VANILLA, b"", THEN_MS)), "AuthFailure");
        assert_eq!(code(check("", &VANILLA, b"x", THEN_MS)), "AuthFailure");
        let mut moved = VANILLA;
        moved[0].1 = "elsewhere";
        assert_eq!(code(check("", &moved, b"", THEN_MS)), "AuthFailure");
        assert_eq!(code(check("", &VANILLA[1..], b"", THEN_MS)), "AuthFailure");
        let next_day = [VANILLA[0], ("X-Amz-Date", "20150831T000000Z"), VANILLA[2]];
        assert_eq!(code(check("", &next_day, b"", THEN_MS)), "AuthFailure");
        let unsigned_host = VANILLA[2].1.replace("host;", "");
        assert_eq!(code(check("", &[VANILLA[1], (VANILLA[2].0, &unsigned_host)], b"", THEN_MS)), "AuthFailure");
    }

    #[test]
    fn a_clock_may_be_off_by_five_minutes() {
        for off_ms in [-MAX_SKEW_MS, MAX_SKEW_MS] {
            assert_eq!(check("", &VANILLA, b"", THEN_MS + off_ms), Ok(()));
            let more = check("", &VANILLA, b"", THEN_MS + off_ms + off_ms.signum());
            assert_eq!(more.expect_err("it is too far off").code, "RequestExpired");
        }
        assert!(check("", &VANILLA, b"", i64::MIN).is_err() && check("", &VANILLA, b"", i64::MAX).is_err());
    }

    #[test]
    fn a_request_without_a_date_is_incomplete() {
        let undated = check("", &[VANILLA[0], VANILLA[2]], b"", THEN_MS);
        assert_eq!(undated.expect_err("it has no date").code, "IncompleteSignature");
        let garbled = check("", &[VANILLA[0], ("x-amz-date", "now"), VANILLA[2]], b"", THEN_MS);
        assert_eq!(garbled.expect_err("its date is no date").code, "IncompleteSignature");
    }

    #[test]
    fn the_date_may_stand_in_the_date_header() {
        let dated = [VANILLA[0], ("Date", "Sun, 30 Aug 2015 12:36:00 GMT"), VANILLA[2]];
        let result = check("", &dated, b"", THEN_MS);
        // The date is read; the signature covers the other header, so it does not match.
        assert_eq!(result.expect_err("a signed header is absent").code, "AuthFailure");
    }
}
