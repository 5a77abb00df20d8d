//! Who is calling, from the request's signature.

use crate::{Auth, Settings, chance};
use gp_actions::Caller;
use gp_ec2::ApiError;
use gp_ec2::sigv4::{self, Claim, RequestParts};
use gp_model::{AccountId, Region};

/// The caller, and the service that the signature names.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) caller: Caller,
    pub(crate) service: Option<String>,
}

/// Longest name of a region. AWS's longest has 14 characters.
const MAX_REGION: usize = 32;

/// Finds out who is calling; under [`Auth::Strict`] also proves it.
///
/// # Errors
/// AWS's refusals of signatures. A lenient server refuses only a region that can't be one.
pub(crate) fn identify(settings: &Settings, parts: &RequestParts<'_>) -> Result<Identity, ApiError> {
    match &settings.auth {
        // A signature that can't be read is as good as none: nothing depends on it.
        Auth::Lenient => match sigv4::claim(parts).ok().flatten() {
            Some(claim) => identity(account_of(claim.account()), region(&claim)?, Some(claim)),
            None => identity(AccountId::default(), settings.default_region.clone(), None),
        },
        Auth::Strict(keys) => {
            let claim = sigv4::claim(parts)?.ok_or_else(sigv4::missing_signature)?;
            let key = keys.get(&claim.access_key).ok_or_else(|| claim.unknown_key())?;
            let now_ms = i64::try_from(chance::now().0).unwrap_or(i64::MAX);
            sigv4::verify(parts, &claim, &key.secret, now_ms)?;
            identity(key.account, region(&claim)?, Some(claim))
        }
    }
}

fn identity(account: AccountId, region: Region, claim: Option<Claim>) -> Result<Identity, ApiError> {
    // The account's own id is its root user's.
    let caller = Caller { account, principal: account.to_string(), region };
    Ok(Identity { caller, service: claim.map(|claim| claim.service) })
}

fn account_of(account: &str) -> AccountId {
    account.parse().unwrap_or_default()
}

/// The scope's region. Any name will do, so that people can have regions of their own; but it becomes part of names
/// that the API prints and the store keeps, so it has a region's alphabet.
fn region(claim: &Claim) -> Result<Region, ApiError> {
    let name = claim.region.as_str();
    let fits = name.len() <= MAX_REGION && name.starts_with(|c: char| c.is_ascii_lowercase());
    if fits && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Ok(Region::new(name));
    }
    let shown: String = name.chars().take(MAX_REGION).collect();
    let message = format!("Credential should be scoped to a valid region, not '{shown}'.");
    Err(ApiError::client("SignatureDoesNotMatch", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KeyRing;

    fn identified(settings: &Settings, authorization: &str) -> Result<Identity, ApiError> {
        let headers = [("host", "localhost"), ("authorization", authorization)];
        let headers = if authorization.is_empty() { &headers[..1] } else { &headers[..] };
        identify(settings, &RequestParts { method: "POST", path: "/", query: "", headers, body: b"" })
    }

    fn signed(access_key: &str, region: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential={access_key}/20261121/{region}/ec2/aws4_request, \
             SignedHeaders=host, Signature=00"
        )
    }

    #[test]
    fn a_lenient_server_believes_any_signature_and_none() {
        let settings = Settings::default();
        for (authorization, account, region) in [
            (String::new(), "000000000000", "us-east-1"),
            ("Basic dTpw".to_owned(), "000000000000", "us-east-1"),
            (signed("test", "eu-central-1"), "000000000000", "eu-central-1"),
            (signed("111122223333", "my-rack-7"), "111122223333", "my-rack-7"),
        ] {
            let caller = identified(&settings, &authorization).unwrap().caller;
            assert_eq!((caller.account.to_string().as_str(), caller.region.as_str()), (account, region));
        }
    }

    #[test]
    fn a_region_with_another_alphabet_is_refused() {
        for region in ["EU-central-1", "-", "1", "a b", "a\u{e9}", &"a".repeat(33)] {
            let error = identified(&Settings::default(), &signed("test", region)).unwrap_err();
            assert_eq!(error.code, "SignatureDoesNotMatch", "{region}");
        }
    }

    #[test]
    fn a_strict_server_believes_only_its_keys() {
        let keys = KeyRing::parse("AKIDEXAMPLE secret").unwrap();
        let settings = Settings { auth: Auth::Strict(keys), ..Settings::default() };
        for (authorization, code) in [
            (String::new(), "MissingAuthenticationToken"),
            ("Basic dTpw".to_owned(), "IncompleteSignature"),
            (signed("OTHER", "us-east-1"), "AuthFailure"),
            (signed("AKIDEXAMPLE", "us-east-1"), "IncompleteSignature"),
        ] {
            assert_eq!(identified(&settings, &authorization).unwrap_err().code, code, "{authorization}");
        }
    }
}
