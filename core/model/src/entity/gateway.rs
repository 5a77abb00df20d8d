//! Gateways at the VPC's edge, and the DHCP option sets that VPCs point to.

use super::Tags;
use crate::{AccountId, DhcpOptionsId, EgressOnlyInternetGatewayId, InternetGatewayId, VpcId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternetGateway {
    pub id: InternetGatewayId,
    pub owner: AccountId,
    pub attached_to: Option<VpcId>,
    pub tags: Tags,
}

/// Lets IPv6 connections out that are opened from inside, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EgressOnlyInternetGateway {
    pub id: EgressOnlyInternetGatewayId,
    pub owner: AccountId,
    pub vpc: VpcId,
    pub tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpOptions {
    pub id: DhcpOptionsId,
    pub owner: AccountId,
    /// Key and values, as EC2 names them: `domain-name-servers`, `AmazonProvidedDNS`.
    pub configurations: Vec<(String, Vec<String>)>,
    pub tags: Tags,
}
