//! Network ACLs: ordered, stateless lists at the subnet's border.

use super::{Direction, Tags, TrafficMatch};
use crate::{AccountId, NetworkAclId, VpcId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAcl {
    pub id: NetworkAclId,
    pub owner: AccountId,
    pub vpc: VpcId,
    pub is_default: bool,
    /// In ascending rule number per direction; the final `*` denies are not stored.
    pub entries: Vec<NetworkAclEntry>,
    pub tags: Tags,
}

/// Number of the final `*` entry for IPv4 as the API shows it.
pub const LAST_RULE_IPV4: u32 = 32767;
/// Number of the final `*` entry for IPv6 as the API shows it.
pub const LAST_RULE_IPV6: u32 = 32768;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAclEntry {
    pub rule_number: u32,
    pub direction: Direction,
    pub block: IpNet,
    pub traffic: TrafficMatch,
    pub allow: bool,
}
