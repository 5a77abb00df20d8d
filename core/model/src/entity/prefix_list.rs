//! Managed prefix lists: versioned sets of blocks that routes and rules name as one.

use super::Tags;
use crate::{AccountId, PrefixListId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixList {
    pub id: PrefixListId,
    pub owner: AccountId,
    pub name: String,
    /// `IPv4` or `IPv6`.
    pub address_family: String,
    /// Counted against quotas of what refers to the list, however many entries there are.
    pub max_entries: u32,
    /// In order; the last one acts. Of very many, the oldest are dropped.
    pub versions: Vec<PrefixListVersion>,
    /// What was last done to it: its state says so.
    #[serde(default)]
    pub last_change: PrefixListChange,
    pub tags: Tags,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrefixListChange {
    #[default]
    Create,
    Modify,
    Restore,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixListVersion {
    pub version: u64,
    pub entries: Vec<PrefixListEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixListEntry {
    pub block: IpNet,
    pub description: Option<String>,
}

impl PrefixList {
    /// The entries that act.
    pub fn entries(&self) -> &[PrefixListEntry] {
        self.versions.last().map_or(&[], |version| &version.entries)
    }

    pub fn current_version(&self) -> u64 {
        self.versions.last().map_or(0, |version| version.version)
    }
}
