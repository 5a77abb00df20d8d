//! A virtual private cloud and its address blocks.

use super::Tags;
use crate::{AccountId, DhcpOptionsId, NetworkAclId, RouteTableId, SecurityGroupId, VpcCidrAssociationId, VpcId};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    pub id: VpcId,
    pub owner: AccountId,
    /// The first is the primary block, which can never be disassociated.
    pub cidrs: Vec<VpcCidr>,
    pub ipv6_cidrs: Vec<VpcIpv6Cidr>,
    pub is_default: bool,
    /// `default` or `dedicated`.
    pub tenancy: String,
    pub dhcp_options: Option<DhcpOptionsId>,
    pub dns_support: bool,
    pub dns_hostnames: bool,
    pub network_address_usage_metrics: bool,
    pub main_route_table: RouteTableId,
    pub default_security_group: SecurityGroupId,
    pub default_network_acl: NetworkAclId,
    pub tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcCidr {
    pub id: VpcCidrAssociationId,
    pub cidr: Ipv4Net,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcIpv6Cidr {
    pub id: VpcCidrAssociationId,
    pub cidr: Ipv6Net,
    /// [`VpcIpv6Cidr::AMAZON`], or the id of a pool of the operator's own ([`crate::Ipv6Pool`]).
    pub pool: String,
    pub network_border_group: String,
}

impl VpcIpv6Cidr {
    /// The name of the pool that the region's own IPv6 blocks come from.
    pub const AMAZON: &str = "Amazon";

    /// Does the region hand such blocks out to anybody?
    pub fn is_amazons(&self) -> bool {
        self.pool == Self::AMAZON
    }
}

impl Vpc {
    pub fn primary_cidr(&self) -> Ipv4Net {
        self.cidrs[0].cidr
    }

    /// Every block, both families, primary first.
    pub fn blocks(&self) -> impl Iterator<Item = IpNet> + '_ {
        let v4 = self.cidrs.iter().map(|c| IpNet::V4(c.cidr));
        v4.chain(self.ipv6_cidrs.iter().map(|c| IpNet::V6(c.cidr)))
    }

    pub fn contains(&self, address: std::net::IpAddr) -> bool {
        self.blocks().any(|block| block.contains(&address))
    }
}
