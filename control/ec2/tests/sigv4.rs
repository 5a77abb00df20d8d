//! Requests signed by botocore verify (`data/make_sigv4.py` made them), and only those.

use gp_ec2::ApiError;
use gp_ec2::sigv4::{RequestParts, claim, verify};
use serde_json::Value;

fn data() -> Value {
    serde_json::from_str(include_str!("data/sigv4.json")).expect("the test data is JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().expect("the test data has this text")
}

fn check(case: &Value, secret: &str, now_ms: i64) -> Result<(), ApiError> {
    let headers = case["headers"].as_array().expect("headers are a list");
    let headers: Vec<_> =
        headers.iter().map(|pair| (pair[0].as_str().expect("a name"), pair[1].as_str().expect("a value"))).collect();
    let parts = RequestParts {
        method: text(case, "method"),
        path: text(case, "path"),
        query: text(case, "query"),
        headers: &headers,
        body: text(case, "body").as_bytes(),
    };
    let claim = claim(&parts)?.expect("the request is signed");
    assert_eq!(claim.region, text(case, "region"));
    assert_eq!(claim.service, text(case, "service"));
    assert_eq!(claim.account(), "111122223333");
    assert_eq!(claim.presigned, case["expires"].is_i64());
    verify(&parts, &claim, secret, now_ms)
}

#[test]
fn what_botocore_signs_verifies() {
    let data = data();
    let now_ms = data["now_ms"].as_i64().expect("a number");
    for case in data["cases"].as_array().expect("a list") {
        assert_eq!(check(case, text(&data, "secret"), now_ms), Ok(()), "{}", case["name"]);
    }
}

#[test]
fn another_secret_does_not_verify() {
    let data = data();
    let now_ms = data["now_ms"].as_i64().expect("a number");
    for case in data["cases"].as_array().expect("a list") {
        let error = check(case, "another", now_ms).expect_err("the secret is another");
        let (code, status) =
            if text(case, "service") == "sts" { ("SignatureDoesNotMatch", 403) } else { ("AuthFailure", 401) };
        assert_eq!((error.code.as_ref(), error.status), (code, status));
    }
}

#[test]
fn a_presigned_request_lives_until_it_expires() {
    let data = data();
    let now_ms = data["now_ms"].as_i64().expect("a number");
    let cases = data["cases"].as_array().expect("a list");
    let presigned = cases.iter().find(|case| case["expires"].is_i64()).expect("one is presigned");
    let end_ms = now_ms + presigned["expires"].as_i64().expect("a number") * 1000;
    assert_eq!(check(presigned, text(&data, "secret"), end_ms), Ok(()));
    let late = check(presigned, text(&data, "secret"), end_ms + 1);
    assert_eq!(late.expect_err("it has expired").code, "RequestExpired");
    let mut endless = presigned.clone();
    endless["query"] = text(presigned, "query").replace("X-Amz-Expires=3600", "X-Amz-Expires=604801").into();
    let refused = check(&endless, text(&data, "secret"), now_ms);
    assert_eq!(refused.expect_err("a week is the most").code, "IncompleteSignature");
}
