//! A new VPC's records.

use crate::{Context, dhcp_options, network_acl, security_group};
use gp_model::{
    NetworkAcl, NetworkAclId, RouteTable, RouteTableAssociation, RouteTableAssociationId, RouteTableId,
    SecurityGroupId, Tags, Vpc, VpcCidr, VpcCidrAssociationId, VpcId, VpcIpv6Cidr,
};
use ipnet::Ipv4Net;

/// What a new VPC is made from; all of it checked.
pub(crate) struct NewVpc {
    pub cidr: Ipv4Net,
    pub ipv6: Option<VpcIpv6Cidr>,
    pub is_default: bool,
    pub tags: Tags,
}

/// Puts a VPC and what comes with it.
pub(crate) fn make(ctx: &mut Context<'_>, new: NewVpc) -> Vpc {
    let owner = ctx.account();
    let vpc = Vpc {
        id: ctx.draw(VpcId::from_bits),
        owner,
        cidrs: vec![VpcCidr { id: ctx.draw(VpcCidrAssociationId::from_bits), cidr: new.cidr }],
        ipv6_cidrs: new.ipv6.into_iter().collect(),
        is_default: new.is_default,
        tenancy: "default".to_owned(),
        dhcp_options: Some(dhcp_options::default_of_account(ctx)),
        dns_support: true,
        dns_hostnames: new.is_default,
        network_address_usage_metrics: false,
        main_route_table: ctx.draw(RouteTableId::from_bits),
        default_security_group: ctx.draw(SecurityGroupId::from_bits),
        default_network_acl: ctx.draw(NetworkAclId::from_bits),
        tags: new.tags,
    };
    let has_ipv6 = !vpc.ipv6_cidrs.is_empty();
    let main = RouteTableAssociation {
        id: ctx.draw(RouteTableAssociationId::from_bits),
        subnet: None,
        gateway: None,
        main: true,
    };
    ctx.put(RouteTable {
        id: vpc.main_route_table,
        owner,
        vpc: vpc.id,
        routes: Vec::new(),
        associations: vec![main],
        tags: Tags::new(),
    });
    ctx.put(NetworkAcl {
        id: vpc.default_network_acl,
        owner,
        vpc: vpc.id,
        is_default: true,
        entries: network_acl::default_entries(has_ipv6),
        tags: Tags::new(),
    });
    let group = security_group::default_group(ctx, &vpc);
    ctx.put(group);
    ctx.put(vpc.clone());
    vpc
}
