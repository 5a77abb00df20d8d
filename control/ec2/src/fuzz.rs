//! Entries for fuzzers: plain functions over bytes that must never panic.

use crate::sigv4::{self, RequestParts};

/// Parses and decodes a form, whatever it is.
pub fn fuzz_decode(bytes: &[u8]) {
    if let Err(error) = crate::decode_form(bytes) {
        crate::encode_error(&error, "fuzz");
    }
}

/// Reads and verifies the signature of a request made of `bytes`: its lines are a query string, an Authorization
/// header, an X-Amz-Date header and a body.
pub fn fuzz_sigv4(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(4, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (query, authorization, date, body) = (line(), line(), line(), line());
    let headers = [("host", "localhost"), ("authorization", authorization), ("x-amz-date", date)];
    let parts = RequestParts { method: "POST", path: query, query, headers: &headers, body: body.as_bytes() };
    if let Ok(Some(claim)) = sigv4::claim(&parts) {
        // Only a panic matters here.
        let _ = sigv4::verify(&parts, &claim, "secret", 0);
    }
}
