//! What a path depends on, and which of it a change of the world touches.
//!
//! The promise that caches rest on: if a change makes [`crate::trace`] answer otherwise, then one of the reads of the
//! old answer is in [`Read::from_change`] of it.

use crate::decisive::decisive;
use gp_model::*;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr};

/// One thing that an answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Read {
    Eni(EniId),
    Instance(InstanceId),
    Vpc(VpcId),
    /// A subnet, and which route table routes for it.
    Subnet(SubnetId),
    /// Which blocks the VPC's subnets have.
    SubnetsOf(VpcId),
    RouteTable(RouteTableId),
    NetworkAcl(NetworkAclId),
    InternetGateway(InternetGatewayId),
    SecurityGroup(SecurityGroupId),
    PrefixList(PrefixListId),
    NatGateway(NatGatewayId),
    /// Which internet gateway and which egress-only one the VPC has, and which table routes for the former.
    GatewaysOf(VpcId),
    /// Which private address a public one stands for.
    PublicAddress(Ipv4Addr),
    /// Which public addresses stand for the ENI's private ones.
    PublicAddressesOf(EniId),
    /// Which VPC has which IPv6 blocks.
    Ipv6Blocks,
    /// Who holds the address as one of its own, or that nobody does. Link-local addresses count, too.
    Holder(VpcId, IpAddr),
    /// To whom the block is delegated, or that it is not.
    PrefixHolder(VpcId, IpNet),
}

/// The only block of delegable size that could hold the address.
pub(crate) fn prefix_around(address: IpAddr) -> IpNet {
    match address {
        IpAddr::V4(a) => IpNet::V4(Ipv4Net::new_assert(a, ENI_IPV4_PREFIX_LEN).trunc()),
        IpAddr::V6(a) => IpNet::V6(Ipv6Net::new_assert(a, ENI_IPV6_PREFIX_LEN).trunc()),
    }
}

impl Read {
    /// Which reads the change of one record from `old` to `new` touches; `None` stands for its absence. None if it changes
    /// nothing that a stage reads.
    pub fn from_change(old: Option<Record>, new: Option<Record>) -> Vec<Read> {
        let (old, new) = (old.map(decisive), new.map(decisive));
        if old == new {
            return Vec::new();
        }
        let mut reads = Vec::new();
        for record in [old, new].iter().flatten() {
            record_reads(record, &mut reads);
        }
        reads.sort_unstable();
        reads.dedup();
        reads
    }
}

fn record_reads(record: &Record, reads: &mut Vec<Read>) {
    match record {
        Record::Eni(eni) => {
            reads.push(Read::Eni(eni.id));
            reads.push(Read::Holder(eni.vpc, eni.mac.link_local().into()));
            reads.extend(eni.addresses().map(|address| Read::Holder(eni.vpc, address)));
            let v4 = eni.ipv4_prefixes.iter().copied().map(IpNet::V4);
            let v6 = eni.ipv6_prefixes.iter().copied().map(IpNet::V6);
            reads.extend(v4.chain(v6).map(|prefix| Read::PrefixHolder(eni.vpc, prefix)));
            reads.extend(eni.public_ipv4.map(Read::PublicAddress));
            reads.push(Read::PublicAddressesOf(eni.id));
        }
        Record::Instance(instance) => reads.push(Read::Instance(instance.id)),
        Record::Vpc(vpc) => reads.extend([Read::Vpc(vpc.id), Read::Ipv6Blocks]),
        Record::Subnet(subnet) => reads.extend([Read::Subnet(subnet.id), Read::SubnetsOf(subnet.vpc)]),
        Record::RouteTable(table) => {
            reads.push(Read::RouteTable(table.id));
            reads.extend(table.associations.iter().filter_map(|a| a.subnet).map(Read::Subnet));
            if table.associations.iter().any(|association| association.gateway.is_some()) {
                reads.push(Read::GatewaysOf(table.vpc));
            }
        }
        Record::NetworkAcl(acl) => reads.push(Read::NetworkAcl(acl.id)),
        Record::InternetGateway(gateway) => {
            reads.push(Read::InternetGateway(gateway.id));
            reads.extend(gateway.attached_to.map(Read::GatewaysOf));
        }
        Record::SecurityGroup(group) => reads.push(Read::SecurityGroup(group.id)),
        Record::PrefixList(list) => reads.push(Read::PrefixList(list.id)),
        Record::EgressOnlyInternetGateway(gateway) => reads.push(Read::GatewaysOf(gateway.vpc)),
        Record::NatGateway(gateway) => {
            reads.push(Read::NatGateway(gateway.id));
            // Whose interface it is.
            reads.extend(gateway.eni.map(Read::Eni));
        }
        Record::Address(address) => {
            reads.push(Read::PublicAddress(address.public_ip));
            reads.extend(address.association.as_ref().map(|association| Read::PublicAddressesOf(association.eni)));
        }
        // Where the branch is.
        Record::TrunkAssociation(association) => reads.push(Read::Eni(association.branch)),
        Record::Account(_)
        | Record::AddressTransfer(_)
        | Record::ClientToken(_)
        | Record::DhcpOptions(_)
        | Record::KeyPair(_)
        | Record::SubnetCidrReservation(_) => {}
    }
}
