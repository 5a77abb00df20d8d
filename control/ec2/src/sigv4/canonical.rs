//! The canonical request: the one spelling of a request that signer and verifier both compute.

use super::{Claim, RequestParts};
use crate::params::unescape;

/// The canonical form of `parts` as far as `claim` covers it; `None` if it cannot have been signed so: a signed
/// header is absent, `host` is not signed, or the query has a bad escape.
pub(super) fn request(parts: &RequestParts<'_>, claim: &Claim, body_hash: &str) -> Option<String> {
    if !claim.signed_headers.iter().any(|name| name == "host") {
        return None;
    }
    let mut headers = String::new();
    for name in &claim.signed_headers {
        headers.extend([name.as_str(), ":", &header(parts, name)?, "\n"]);
    }
    let (method, path, query) = (parts.method, path(parts.path), query(parts.query, claim.presigned)?);
    let signed = claim.signed_headers.join(";");
    Some(format!("{method}\n{path}\n{query}\n{headers}\n{signed}\n{body_hash}"))
}

/// All values of a header, each without surrounding space and with single spaces inside.
fn header(parts: &RequestParts<'_>, name: &str) -> Option<String> {
    let same_name = parts.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
    let values: Vec<String> =
        same_name.map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    if values.is_empty() { None } else { Some(values.join(",")) }
}

/// The path without empty and dot segments, escaped once more than it came (only S3 does not do that).
fn path(raw: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in raw.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let mut out = String::from("/");
    for (i, segment) in segments.iter().enumerate() {
        if i > 0 {
            out.push('/');
        }
        escape(&mut out, segment.as_bytes());
    }
    if raw.ends_with('/') && !segments.is_empty() {
        out.push('/');
    }
    out
}

/// The query's names and values in canonical escapes, sorted. A presigned query is signed without its signature.
fn query(raw: &str, presigned: bool) -> Option<String> {
    let mut pairs = Vec::new();
    for piece in raw.split('&').filter(|piece| !piece.is_empty()) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        if presigned && name == "X-Amz-Signature" {
            continue;
        }
        let (mut out_name, mut out_value) = (String::new(), String::new());
        escape(&mut out_name, &unescape(name.as_bytes())?);
        escape(&mut out_value, &unescape(value.as_bytes())?);
        pairs.push((out_name, out_value));
    }
    pairs.sort();
    Some(pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
}

/// RFC 3986 escapes: everything but unreserved characters, in upper-case hexadecimal.
fn escape(out: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_and_escaped_once_more() {
        for (raw, want) in [("", "/"), ("/", "/"), ("//a/./b/../c/", "/a/c/"), ("/..", "/"), ("/a%20b", "/a%2520b")] {
            assert_eq!(path(raw), want, "{raw}");
        }
    }

    #[test]
    fn queries_are_sorted_and_escaped_canonically() {
        let got = query("b=2&a=x+y&a=%7e%2a&&c", false);
        assert_eq!(got.as_deref(), Some("a=x%20y&a=~%2A&b=2&c="));
        assert_eq!(query("a=1&X-Amz-Signature=f", true).as_deref(), Some("a=1"));
        assert_eq!(query("a=%zz", false), None);
    }
}
