//! Key pairs: made, imported, listed, deleted.

mod material;

use crate::Context;
use crate::filter::{Filter, Tagged, one};
use crate::network_interface::wire_time;
use crate::page::Query;
use crate::tag_spec::tag_list;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gp_ec2::ApiError;
use gp_ec2::shapes::{
    CreateKeyPairRequest, DeleteKeyPairRequest, DeleteKeyPairResult, DescribeKeyPairsRequest, DescribeKeyPairsResult,
    ImportKeyPairRequest, ImportKeyPairResult, KeyPair as KeyPairShape, KeyPairInfo, Tag,
};
use gp_model::{KeyPair, KeyPairId, RecordKey, Tags};
use material::{KeyType, PublicHalf};
use std::sync::Arc;

/// Longest name, in characters.
const MAX_NAME: usize = 255;

/// # Errors
/// `InvalidKeyPair.Duplicate`, `InvalidParameterValue` for a name, `KeyPairLimitExceeded`, `UnsupportedOperation` for
/// PuTTY's format.
pub(crate) fn create(ctx: &mut Context<'_>, request: &CreateKeyPairRequest) -> Result<KeyPairShape, ApiError> {
    let tags = ctx.tags_for(&request.tag_specifications, "key-pair")?;
    let name = request.key_name.as_deref().unwrap_or_default();
    check_name(ctx, name)?;
    if request.key_format.as_deref() == Some("ppk") {
        return Err(ApiError::unsupported("The key format ppk is not supported by Groundplane."));
    }
    let key_type = match request.key_type.as_deref() {
        Some("ed25519") => KeyType::Ed25519,
        _ => KeyType::Rsa,
    };
    let mut seed = [0; 32];
    seed[..16].copy_from_slice(&ctx.bits().to_be_bytes());
    seed[16..].copy_from_slice(&ctx.bits().to_be_bytes());
    let (public, private) = material::generate(key_type, seed).map_err(ApiError::internal)?;
    let key_pair = keep(ctx, name, public, tags);
    Ok(KeyPairShape {
        key_pair_id: Some(key_pair.id.to_string()),
        tags: tag_list(&key_pair.tags),
        key_name: Some(key_pair.name),
        key_fingerprint: Some(key_pair.fingerprint),
        key_material: Some(private),
    })
}

/// # Errors
/// `InvalidKeyPair.Duplicate`, `InvalidParameterValue` for a name, `InvalidKey.Format`, `KeyPairLimitExceeded`.
pub(crate) fn import(ctx: &mut Context<'_>, request: &ImportKeyPairRequest) -> Result<ImportKeyPairResult, ApiError> {
    let tags = ctx.tags_for(&request.tag_specifications, "key-pair")?;
    let name = request.key_name.as_deref().unwrap_or_default();
    check_name(ctx, name)?;
    let given = request.public_key_material.as_deref().unwrap_or_default();
    let invalid = |message: String| ApiError::client("InvalidKey.Format", message);
    let raw = STANDARD.decode(given).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = raw.ok_or_else(|| invalid("Key is not in valid OpenSSH public key format".to_owned()))?;
    let public = material::import(&text).map_err(|error| invalid(error.to_string()))?;
    let key_pair = keep(ctx, name, public, tags);
    Ok(ImportKeyPairResult {
        key_fingerprint: Some(key_pair.fingerprint),
        key_name: Some(key_pair.name),
        key_pair_id: Some(key_pair.id.to_string()),
        tags: tag_list(&key_pair.tags),
    })
}

fn keep(ctx: &mut Context<'_>, name: &str, public: PublicHalf, tags: Tags) -> KeyPair {
    let key_pair = KeyPair {
        id: ctx.draw(KeyPairId::from_bits),
        owner: ctx.account(),
        name: name.to_owned(),
        key_type: public.key_type.name().to_owned(),
        fingerprint: public.fingerprint,
        public_key: public.openssh,
        created_at: ctx.now,
        tags,
    };
    ctx.put(key_pair.clone());
    key_pair
}

/// May a new pair have that name?
fn check_name(ctx: &Context<'_>, name: &str) -> Result<(), ApiError> {
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME || !name.is_ascii() || name.trim() != name {
        let why = format!("Expecting 1 to {MAX_NAME} ASCII characters without spaces around them.");
        return Err(ApiError::invalid_value(name, "KeyName", why));
    }
    if named(ctx, name).is_some() {
        let message = format!("The keypair '{name}' already exists.");
        return Err(ApiError::client("InvalidKeyPair.Duplicate", message));
    }
    let own = ctx.world().tables().key_pairs.values().filter(|pair| pair.owner == ctx.account());
    if own.count() >= ctx.settings.quotas.key_pairs {
        return Err(ApiError::client("KeyPairLimitExceeded", "The maximum number of key pairs has been reached."));
    }
    Ok(())
}

fn named(ctx: &Context<'_>, name: &str) -> Option<Arc<KeyPair>> {
    let own = |pair: &&Arc<KeyPair>| pair.owner == ctx.account() && pair.name == name;
    ctx.world().tables().key_pairs.values().find(own).cloned()
}

fn not_found(names: &[&str]) -> ApiError {
    let message = match names {
        [name] => format!("The key pair '{name}' does not exist"),
        names => format!("The key pairs '{}' do not exist", names.join(", ")),
    };
    ApiError::client("InvalidKeyPair.NotFound", message)
}

/// # Errors
/// `InvalidKeyPair.NotFound` where the caller has no pair of that name.
pub(crate) fn check_exists(ctx: &Context<'_>, name: &str) -> Result<(), ApiError> {
    named(ctx, name).map(drop).ok_or_else(|| not_found(&[name]))
}

impl Tagged for KeyPairInfo {
    fn tags(&self) -> &[Tag] {
        &self.tags
    }
}

const FILTERS: &[Filter<KeyPairInfo>] = &[
    ("fingerprint", |pair| one(&pair.key_fingerprint)),
    ("key-name", |pair| one(&pair.key_name)),
    ("key-pair-id", |pair| one(&pair.key_pair_id)),
];

/// # Errors
/// `InvalidKeyPair.NotFound` for a name or an id, and those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &DescribeKeyPairsRequest,
) -> Result<DescribeKeyPairsResult, ApiError> {
    let names: Vec<&str> = request.key_names.iter().map(String::as_str).collect();
    let missing: Vec<&str> = names.iter().copied().filter(|name| named(ctx, name).is_none()).collect();
    if !missing.is_empty() {
        return Err(not_found(&missing));
    }
    let mut pairs = ctx.key_pairs(&request.key_pair_ids)?;
    pairs.retain(|pair| names.is_empty() || names.contains(&pair.name.as_str()));
    let query = Query { filters: &request.filters, max_results: None, next_token: &None, ids: (false, "") };
    let with_key = request.include_public_key == Some(true);
    let key = |pair: &KeyPairInfo| pair.key_name.clone().unwrap_or_default();
    let (key_pairs, _) = ctx.list(pairs.iter().map(|pair| shape(pair, with_key)), query, FILTERS, key)?;
    Ok(DescribeKeyPairsResult { key_pairs })
}

fn shape(pair: &KeyPair, with_key: bool) -> KeyPairInfo {
    KeyPairInfo {
        key_pair_id: Some(pair.id.to_string()),
        key_type: Some(pair.key_type.clone()),
        tags: tag_list(&pair.tags),
        public_key: with_key.then(|| format!("{} {}\n", pair.public_key, pair.name)),
        create_time: Some(wire_time(pair.created_at)),
        key_name: Some(pair.name.clone()),
        key_fingerprint: Some(pair.fingerprint.clone()),
    }
}

/// Deletes by name or by id. A pair that isn't there is deleted already.
///
/// # Errors
/// `MissingParameter` where the request names none; `InvalidKeyPairId.Malformed`.
pub(crate) fn delete(ctx: &mut Context<'_>, request: &DeleteKeyPairRequest) -> Result<DeleteKeyPairResult, ApiError> {
    let found = match (request.key_name.as_deref(), request.key_pair_id.as_deref()) {
        (None, None) => return Err(ApiError::missing_parameter("KeyName")),
        (_, Some(id)) => match ctx.key_pair(id) {
            Err(error) if error.code == "InvalidKeyPair.NotFound" => None,
            found => Some(found?),
        },
        (Some(name), None) => named(ctx, name),
    };
    if let Some(pair) = &found {
        ctx.delete(RecordKey::KeyPair(pair.id));
    }
    let key_pair_id = found.map(|pair| pair.id.to_string());
    Ok(DeleteKeyPairResult { r#return: Some(true), key_pair_id })
}

#[cfg(test)]
mod tests {
    use super::STANDARD;
    use crate::testing::{Lab, values};
    use base64::Engine;

    fn import(name: &str, key: &str) -> String {
        let material = STANDARD.encode(key).replace('+', "%2B").replace('=', "%3D");
        format!("Action=ImportKeyPair&KeyName={name}&PublicKeyMaterial={material}")
    }

    #[test]
    fn a_made_pair_is_handed_out_once_and_its_public_half_kept() {
        let mut lab = Lab::new();
        let made = lab.xml("Action=CreateKeyPair&KeyName=web&KeyType=ed25519");
        assert!(values(&made, "keyMaterial")[0].starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
        let shown = lab.xml("Action=DescribeKeyPairs&KeyName.1=web&IncludePublicKey=true");
        assert_eq!(values(&shown, "keyFingerprint"), values(&made, "keyFingerprint"));
        assert_eq!(values(&shown, "keyType"), ["ed25519"]);
        assert!(values(&shown, "publicKey")[0].starts_with("ssh-ed25519 ") && values(&shown, "keyMaterial").is_empty());
        let rsa = lab.get("Action=CreateKeyPair&KeyName=old", "keyMaterial");
        assert!(rsa.starts_with("-----BEGIN RSA PRIVATE KEY-----"));
        assert!(lab.all("Action=DescribeKeyPairs", "publicKey").is_empty());
        lab.refuses(&[
            ("Action=CreateKeyPair&KeyName=web", "InvalidKeyPair.Duplicate: The keypair 'web' already exists."),
            ("Action=CreateKeyPair&KeyName=a&KeyFormat=ppk", "UnsupportedOperation: "),
            ("Action=CreateKeyPair&KeyName=", "InvalidParameterValue: "),
            ("Action=DescribeKeyPairs&KeyName.1=none", "InvalidKeyPair.NotFound: The key pair 'none' does not exist"),
            ("Action=CreateKeyPair&KeyName=c&DryRun=true", "DryRunOperation"),
        ]);
    }

    #[test]
    fn pairs_are_imported_filtered_and_deleted() {
        let mut lab = Lab::new();
        let key = include_str!("key_pair/testdata/ed25519.pub");
        let form =
            format!("{}&TagSpecification.1.ResourceType=key-pair&TagSpecification.1.Tag.1.Key=a", import("mine", key));
        let id = lab.get(&form, "keyPairId");
        assert_eq!(
            lab.all("Action=DescribeKeyPairs&Filter.1.Name=key-name&Filter.1.Value.1=m*", "keyPairId"),
            [id.as_str()]
        );
        assert_eq!(
            lab.all("Action=DescribeKeyPairs&Filter.1.Name=tag-key&Filter.1.Value.1=a", "keyPairId"),
            [id.as_str()]
        );
        lab.refuses(&[
            (&import("other", "not a key"), "InvalidKey.Format: "),
            (&import("mine", key), "InvalidKeyPair.Duplicate: "),
            ("Action=ImportKeyPair&KeyName=x&PublicKeyMaterial=%25", "InvalidKey.Format: "),
            ("Action=DeleteKeyPair", "MissingParameter: "),
        ]);
        assert_eq!(lab.get("Action=DeleteKeyPair&KeyName=mine", "keyPairId"), id);
        // Once more: it is gone already.
        assert_eq!(lab.get("Action=DeleteKeyPair&KeyName=mine", "return"), "true");
        assert_eq!(lab.get(&format!("Action=DeleteKeyPair&KeyPairId={id}"), "return"), "true");
        assert!(lab.all("Action=DescribeKeyPairs", "keyPairId").is_empty());
    }
}
