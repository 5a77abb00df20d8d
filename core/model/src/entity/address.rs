//! Elastic IP addresses: public IPv4 addresses that an account holds until it releases them.

use super::Tags;
use crate::{AccountId, AddressAssociationId, AllocationId, EniId};
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
