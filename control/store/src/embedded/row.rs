//! The stored form: one row per (region, kind, key), its value a JSON envelope with a version.
//!
//! ```text
//! ("eu-central-1", "Vpc", "vpc-0123456789abcdef0") → {"v":1,"record":{"Vpc":{…}}}
//! ```
//!
//! JSON because a stored world must outlive the program that wrote it: a field added later reads as its default, and
//! a person can look. The version is for changes that serde's defaults can't bridge.

use crate::CommitError;
use gp_model::{Change, Record, RecordKey, Region, Transaction};
use redb::TableDefinition;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// Version of the envelope that this program writes, and the newest that it reads.
const ENVELOPE: u32 = 1;

/// (region, kind, key) → envelope.
pub(super) const RECORDS: TableDefinition<(&str, &str, &str), &[u8]> = TableDefinition::new("records");
/// Facts about the store as a whole: see the names below.
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// In [`META`]: version of the tables.
pub(super) const META_FORMAT: &str = "format";
/// In [`META`]: the generation that the tables hold; the log has what came after it.
pub(super) const META_GENERATION: &str = "generation";

/// Names a row, for errors too. Ordered as the rows are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowName {
    pub region: String,
    /// The record's kind, as in `Vpc`.
    pub kind: String,
    /// The id as it prints; compact JSON for keys that are more than an id.
    pub key: String,
}

impl fmt::Display for RowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} in {}", self.kind, self.key, self.region)
    }
}

/// What a transaction does to one row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RowChange {
    pub(super) name: RowName,
    /// `None` deletes the row.
    pub(super) value: Option<Vec<u8>>,
}

#[derive(Serialize)]
struct EnvelopeOut<'a> {
    v: u32,
    record: &'a Record,
}

#[derive(Deserialize)]
struct EnvelopeIn {
    v: u32,
    record: Record,
}

/// What even an envelope of a newer version has.
#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// Why a row can't be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowError {
    #[error("it is not the JSON of a record")]
    Json(#[from] serde_json::Error),
    #[error("its version is {found}, and this program reads up to {ENVELOPE}")]
    NewerVersion { found: u32 },
    #[error("it holds another record: {found}")]
    WrongKey { found: RowName },
}

/// The rows that a transaction writes.
///
/// # Errors
/// [`CommitError::Encode`] if a record has no JSON form.
pub(super) fn changes(transaction: &Transaction) -> Result<Vec<RowChange>, CommitError> {
    let encode = |change: &Change| -> Result<RowChange, serde_json::Error> {
        let name = name(&transaction.region, &change.key())?;
        let value = match change {
            Change::Put(record) => Some(serde_json::to_vec(&EnvelopeOut { v: ENVELOPE, record })?),
            Change::Delete(_) => None,
        };
        Ok(RowChange { name, value })
    };
    let rows: Result<Vec<_>, _> = transaction.changes.iter().map(encode).collect();
    rows.map_err(|error| CommitError::Encode { reason: error.to_string() })
}

/// The record of a row.
pub(super) fn decode(name: &RowName, value: &[u8]) -> Result<Record, RowError> {
    let envelope: EnvelopeIn = match serde_json::from_slice(value) {
        Ok(envelope) => envelope,
        // A newer version needn't have a record that this program can read.
        Err(error) => {
            check_version(serde_json::from_slice::<Version>(value)?.v)?;
            return Err(error.into());
        }
    };
    check_version(envelope.v)?;
    let found = self::name(&Region::new(&name.region), &envelope.record.key())?;
    if found != *name {
        return Err(RowError::WrongKey { found });
    }
    Ok(envelope.record)
}

fn check_version(found: u32) -> Result<(), RowError> {
    if found > ENVELOPE { Err(RowError::NewerVersion { found }) } else { Ok(()) }
}

/// serde's own form of a key is `{"Vpc":"vpc-…"}`, which holds both kind and key.
fn name(region: &Region, key: &RecordKey) -> Result<RowName, serde_json::Error> {
    let tagged = serde_json::to_string(key)?;
    let named = |kind: &str, key: String| RowName { region: region.as_str().to_owned(), kind: kind.to_owned(), key };
    if let Some((kind, id)) = plain(&tagged) {
        return Ok(named(kind, id.to_owned()));
    }
    match serde_json::from_str(&tagged)? {
        Value::Object(tagged) => tagged.into_iter().next().map(|(kind, key)| named(&kind, key.to_string())),
        _ => None,
    }
    .ok_or_else(|| serde::ser::Error::custom("a record key must be a variant with one value"))
}

/// Kind and key of a key that is an id, which has nothing that JSON would escape.
fn plain(tagged: &str) -> Option<(&str, &str)> {
    let (kind, rest) = tagged.strip_prefix("{\"")?.split_once("\":\"")?;
    let id = rest.strip_suffix("\"}")?;
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (is_plain(kind) && is_plain(id)).then_some((kind, id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_model::{AccountId, ClientTokenKey, VpcId};

    #[test]
    fn a_row_is_named_by_the_id_and_by_json_where_the_key_is_more_than_an_id() {
        let region = Region::new("eu-central-1");
        let named = |key: RecordKey| {
            let RowName { region, kind, key } = name(&region, &key).unwrap();
            (region, kind, key)
        };
        let own = |kind: &str, key: &str| ("eu-central-1".to_owned(), kind.to_owned(), key.to_owned());
        assert_eq!(named(RecordKey::Vpc(VpcId::from_bits(7))), own("Vpc", "vpc-00000000000000007"));
        let account: AccountId = "111122223333".parse().unwrap();
        assert_eq!(named(RecordKey::Account(account)), own("Account", "111122223333"));
        let token = ClientTokenKey { account, action: "RunInstances".into(), token: "a\"},{\"b".into() };
        let json = r#"{"account":"111122223333","action":"RunInstances","token":"a\"},{\"b"}"#;
        assert_eq!(named(RecordKey::ClientToken(token)), own("ClientToken", json));
    }
}
