//! Parts of a subnet that are kept out of, or for, automatic assignment.

use super::Tags;
use crate::{AccountId, SubnetCidrReservationId, SubnetId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetCidrReservation {
    pub id: SubnetCidrReservationId,
    pub owner: AccountId,
    pub subnet: SubnetId,
    pub cidr: IpNet,
    pub kind: SubnetCidrReservationKind,
    pub description: Option<String>,
    pub tags: Tags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubnetCidrReservationKind {
    /// Kept for prefixes that are chosen automatically.
    Prefix,
    /// Nothing is chosen from it automatically.
    Explicit,
}
