//! A new subnet's record.

use crate::Context;
use gp_model::{
    HostnameType, NetworkAclAssociationId, Subnet, SubnetCidrAssociationId, SubnetId, SubnetIpv6Cidr, Tags, Vpc, Zone,
};
use ipnet::{Ipv4Net, Ipv6Net};

/// What a new subnet is made from; all of it checked.
pub(crate) struct NewSubnet {
    pub zone: Zone,
    /// Absent in an IPv6-only subnet.
    pub cidr: Option<Ipv4Net>,
    pub ipv6_cidr: Option<Ipv6Net>,
    pub default_for_az: bool,
    pub tags: Tags,
}

impl NewSubnet {
    /// The zone's default subnet.
    pub(crate) fn default_for(zone: Zone, cidr: Ipv4Net) -> Self {
        Self { zone, cidr: Some(cidr), ipv6_cidr: None, default_for_az: true, tags: Tags::new() }
    }
}

/// Puts a subnet, under its VPC's default network ACL and main route table.
pub(crate) fn make(ctx: &mut Context<'_>, vpc: &Vpc, new: NewSubnet) -> Subnet {
    let ipv6_cidr = new.ipv6_cidr.map(|cidr| SubnetIpv6Cidr { id: ctx.draw(SubnetCidrAssociationId::from_bits), cidr });
    let subnet = Subnet {
        id: ctx.draw(SubnetId::from_bits),
        owner: ctx.account(),
        vpc: vpc.id,
        zone: new.zone,
        // Instances of an IPv6-only subnet have no IPv4 address to be named after.
        hostname_type: if new.cidr.is_some() { HostnameType::IpName } else { HostnameType::ResourceName },
        cidr: new.cidr,
        ipv6_cidrs: ipv6_cidr.into_iter().collect(),
        default_for_az: new.default_for_az,
        // A default subnet is a public one.
        map_public_ip_on_launch: new.default_for_az,
        assign_ipv6_address_on_creation: new.cidr.is_none(),
        enable_dns64: false,
        resource_name_dns_a_record: false,
        resource_name_dns_aaaa_record: false,
        network_acl: vpc.default_network_acl,
        network_acl_association: ctx.draw(NetworkAclAssociationId::from_bits),
        tags: new.tags,
    };
    ctx.put(subnet.clone());
    subnet
}
