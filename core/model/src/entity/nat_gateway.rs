//! NAT gateways: many private addresses behind a few, for connections that are opened from inside.

use super::Tags;
use crate::{AccountId, AddressAssociationId, AllocationId, EniId, NatGatewayId, SubnetId, Timestamp, VpcId};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatGateway {
    pub id: NatGatewayId,
    pub owner: AccountId,
    pub vpc: VpcId,
    pub subnet: SubnetId,
    /// Its network interface, which holds all of its private addresses; absent where it fails, and once it is deleted.
    pub eni: Option<EniId>,
    pub connectivity: NatConnectivity,
    pub state: NatGatewayState,
    /// Why it failed, or is about to: EC2's code and message.
    pub failure: Option<(String, String)>,
    /// The primary first.
    pub addresses: Vec<NatGatewayAddress>,
    /// Connections per address and destination, where less than AWS's 55,000 were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports_per_destination: Option<u32>,
    pub created_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    pub tags: Tags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NatConnectivity {
    Public,
    Private,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NatGatewayState {
    Pending,
    Available,
    Failed,
    Deleting,
    Deleted,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatGatewayAddress {
    pub private_ip: Ipv4Addr,
    /// Of a public gateway: the Elastic IP address and its association with the private one.
    pub allocation: Option<AllocationId>,
    pub association: Option<AddressAssociationId>,
    /// It is being taken away: connections by it go on until then at most, and new ones have other addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drains_until: Option<Timestamp>,
}

/// Connections that one address of a NAT gateway can have to one destination (VPC user guide, "NAT gateways").
pub const NAT_PORTS_PER_DESTINATION: u32 = 55_000;

impl NatGateway {
    /// Is it on its way to another state, which it reaches once its host has done what is asked of it?
    pub fn is_passing(&self) -> bool {
        matches!(self.state, NatGatewayState::Pending | NatGatewayState::Deleting)
    }

    /// When the first of its draining addresses is taken away at the latest. None while the gateway itself goes: its
    /// addresses go with it.
    pub fn first_drain_end(&self) -> Option<Timestamp> {
        let is_available = self.state == NatGatewayState::Available;
        self.addresses.iter().filter(|_| is_available).filter_map(|address| address.drains_until).min()
    }

    /// Connections per address and destination.
    pub fn port_limit(&self) -> u32 {
        self.ports_per_destination.unwrap_or(NAT_PORTS_PER_DESTINATION)
    }
}
