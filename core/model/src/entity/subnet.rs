//! A subnet: one zone, one block per family.

use super::Tags;
use crate::{AccountId, NetworkAclAssociationId, NetworkAclId, SubnetCidrAssociationId, SubnetId, VpcId, Zone};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    pub id: SubnetId,
    pub owner: AccountId,
    pub vpc: VpcId,
    pub zone: Zone,
    /// Absent in an IPv6-only subnet.
    pub cidr: Option<Ipv4Net>,
    pub ipv6_cidrs: Vec<SubnetIpv6Cidr>,
    pub default_for_az: bool,
    pub map_public_ip_on_launch: bool,
    pub assign_ipv6_address_on_creation: bool,
    pub enable_dns64: bool,
    pub hostname_type: HostnameType,
    pub resource_name_dns_a_record: bool,
    pub resource_name_dns_aaaa_record: bool,
    pub network_acl: NetworkAclId,
    pub network_acl_association: NetworkAclAssociationId,
    pub tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetIpv6Cidr {
    pub id: SubnetCidrAssociationId,
    pub cidr: Ipv6Net,
}

/// How instances of the subnet are named: after their address or after their id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostnameType {
    IpName,
    ResourceName,
}

impl Subnet {
    pub fn is_ipv6_native(&self) -> bool {
        self.cidr.is_none()
    }

    pub fn blocks(&self) -> impl Iterator<Item = IpNet> + '_ {
        let v4 = self.cidr.into_iter().map(IpNet::V4);
        v4.chain(self.ipv6_cidrs.iter().map(|c| IpNet::V6(c.cidr)))
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.blocks().any(|block| block.contains(&address))
    }

    /// Addresses that AWS keeps for itself: the first four and the last of each block
    /// (VPC user guide, "Subnet sizing"; for IPv6 likewise).
    pub fn is_reserved(&self, address: IpAddr) -> bool {
        self.blocks().any(|block| match (block, address) {
            (IpNet::V4(net), IpAddr::V4(a)) if net.contains(&a) => {
                u32::from(a) - u32::from(net.network()) < 4 || a == net.broadcast()
            }
            (IpNet::V6(net), IpAddr::V6(a)) if net.contains(&a) => {
                u128::from(a) - u128::from(net.network()) < 4 || a == net.broadcast()
            }
            _ => false,
        })
    }
}
