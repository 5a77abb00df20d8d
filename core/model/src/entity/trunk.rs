//! Branch ENIs on a trunk ENI: each is a VLAN of the trunk, with addresses and groups of its own.

use super::Tags;
use crate::{AccountId, EniId, TrunkAssociationId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkAssociation {
    pub id: TrunkAssociationId,
    pub owner: AccountId,
    pub branch: EniId,
    pub trunk: EniId,
    /// IEEE 802.1Q tag of the branch's frames on the trunk.
    pub vlan_id: u16,
    pub tags: Tags,
}
