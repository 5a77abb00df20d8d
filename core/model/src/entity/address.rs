//! Elastic IP addresses: public IPv4 addresses that an account holds until it releases them.

use super::Tags;
use crate::{AccountId, AddressAssociationId, AllocationId, EniId, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    pub id: AllocationId,
    pub owner: AccountId,
    pub public_ip: Ipv4Addr,
    /// `amazon`, or the pool that the operator configured.
    pub pool: String,
    pub network_border_group: String,
    pub association: Option<AddressAssociation>,
    /// Set while a service (a NAT gateway) holds the address: users can't take it away.
    pub service_managed: Option<String>,
    /// Name that the reverse lookup gives.
    pub domain_name: Option<String>,
    pub tags: Tags,
}

/// The one private address that an Elastic IP address stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressAssociation {
    pub id: AddressAssociationId,
    pub eni: EniId,
    pub private_ip: Ipv4Addr,
}

/// The offer of an Elastic IP address to another account, and what is left of it once it is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressTransfer {
    /// The allocation in the account that offers it.
    pub id: AllocationId,
    /// The account that offers it.
    pub owner: AccountId,
    pub public_ip: Ipv4Addr,
    /// The account that it is offered to.
    pub to: AccountId,
    /// When the offer is void, unless it is accepted.
    pub expires_at: Timestamp,
    pub accepted_at: Option<Timestamp>,
}

/// How long an accepted transfer is shown (EC2 API reference, `DescribeAddressTransfers`).
const ACCEPTED_SECS: u64 = 14 * 24 * 3600;

impl AddressTransfer {
    /// When nothing is seen of it any more.
    pub fn gone_at(&self) -> Timestamp {
        self.accepted_at.map_or(self.expires_at, |accepted| accepted.plus_secs(ACCEPTED_SECS))
    }
}
