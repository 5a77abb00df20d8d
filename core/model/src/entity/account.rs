//! What Groundplane keeps about an account in a region, and the answers that client tokens replay.

use crate::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};

/// An account that has called this region. Its existence means that the default VPC was once provisioned;
/// a default VPC that the user deleted must not come back by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub id: AccountId,
    pub provisioned_at: Timestamp,
}

/// Names one idempotent call: account, action and the caller's token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientTokenKey {
    pub account: AccountId,
    pub action: String,
    pub token: String,
}

/// What an idempotent call created, so that the same token answers with the same resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientToken {
    pub key: ClientTokenKey,
    /// Digest of the request's parameters; a different one is `IdempotentParameterMismatch`.
    pub request_digest: String,
    /// Ids of what was created, as they print.
    pub created: Vec<String>,
    pub at: Timestamp,
}
