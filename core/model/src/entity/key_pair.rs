//! Key pairs: only the public half is kept.

use super::Tags;
use crate::{AccountId, KeyPairId, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPair {
    pub id: KeyPairId,
    pub owner: AccountId,
    pub name: String,
    /// `rsa` or `ed25519`.
    pub key_type: String,
    pub fingerprint: String,
    /// In OpenSSH's `authorized_keys` form.
    pub public_key: String,
    pub created_at: Timestamp,
    pub tags: Tags,
}
