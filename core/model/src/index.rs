//! What follows from the tables of a world: who holds an address, who is in a group, what hangs on what.
//!
//! An entity is taken out by what it held when it was put in. What another entity has taken over meanwhile, within the
//! same transaction, stays with that one.

use crate::block_set::BlockSet;
use crate::entity::*;
use crate::record::Record;
use crate::rule_index::RuleIndex;
use crate::*;
use imbl::{OrdMap, OrdSet};
use ipnet::{IpNet, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

mod group;

/// ENIs by their ids. Themselves, so that who goes through them need not look each up in the table, where they lie apart: of
/// 100,000 that took a tenth of a page's time.
pub(crate) type Enis = OrdMap<EniId, Arc<Eni>>;

/// What follows from the tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    pub addresses: OrdMap<(VpcId, IpAddr), EniId>,
    pub prefixes: OrdMap<(VpcId, IpNet), EniId>,
    pub enis_of_group: OrdMap<SecurityGroupId, Enis>,
    pub enis_of_subnet: OrdMap<SubnetId, Enis>,
    /// Who answers to a link-local IPv6 address: those are made from the MAC address.
    pub macs: OrdMap<(SubnetId, Mac), EniId>,
    /// What the ENIs of a VPC, and of a subnet, come to. None that is zero.
    pub use_of_vpc: OrdMap<VpcId, usize>,
    pub ipv4_use_of_subnet: OrdMap<SubnetId, usize>,
    pub enis_of_instance: OrdMap<InstanceId, OrdSet<EniId>>,
    pub eni_of_attachment: OrdMap<EniAttachmentId, EniId>,
    pub subnets_of_vpc: OrdMap<VpcId, OrdSet<SubnetId>>,
    pub route_tables_of_vpc: OrdMap<VpcId, OrdSet<RouteTableId>>,
    pub network_acls_of_vpc: OrdMap<VpcId, OrdSet<NetworkAclId>>,
    pub groups_of_vpc: OrdMap<VpcId, OrdSet<SecurityGroupId>>,
    /// By name in lower case: two that differ by case only are the same to a VPC.
    pub group_of_name: OrdMap<(VpcId, String), SecurityGroupId>,
    pub route_table_of_subnet: OrdMap<SubnetId, RouteTableId>,
    pub group_of_rule: OrdMap<SecurityGroupRuleId, SecurityGroupId>,
    pub rules_of_group: OrdMap<SecurityGroupId, Arc<RuleIndex>>,
    pub blocks_of_list: OrdMap<PrefixListId, Arc<BlockSet>>,
    /// Groups whose rules name the key as their peer.
    pub groups_naming_group: OrdMap<SecurityGroupId, OrdSet<SecurityGroupId>>,
    pub groups_of_owner: OrdMap<AccountId, OrdSet<SecurityGroupId>>,
    pub enis_of_owner: OrdMap<AccountId, OrdSet<EniId>>,
    /// Groups whose rules name the prefix list as their peer.
    pub groups_naming_list: OrdMap<PrefixListId, OrdSet<SecurityGroupId>>,
    pub tables_naming_list: OrdMap<PrefixListId, OrdSet<RouteTableId>>,
    pub route_table_of_gateway: OrdMap<InternetGatewayId, RouteTableId>,
    pub gateway_of_vpc: OrdMap<VpcId, InternetGatewayId>,
    pub egress_only_gateway_of_vpc: OrdMap<VpcId, EgressOnlyInternetGatewayId>,
    /// Elastic and automatic public addresses in use, with the private address that each stands for.
    pub private_of_public: OrdMap<Ipv4Addr, (EniId, Ipv4Addr)>,
    pub address_of_private: OrdMap<(EniId, Ipv4Addr), AllocationId>,
    pub address_of_public: OrdMap<Ipv4Addr, AllocationId>,
    /// First address of each IPv6 block.
    pub vpc_of_ipv6: OrdMap<u128, (Ipv6Net, VpcId)>,
    pub nat_gateway_of_eni: OrdMap<EniId, NatGatewayId>,
    /// Those that are about to become another state by themselves.
    pub passing_nat_gateways: OrdSet<NatGatewayId>,
    /// Those with draining addresses, by when the first of these goes.
    pub draining_nat_gateways: OrdSet<(Timestamp, NatGatewayId)>,
    pub reservations_of_subnet: OrdMap<SubnetId, OrdSet<SubnetCidrReservationId>>,
    pub trunk_of_branch: OrdMap<EniId, TrunkAssociationId>,
    pub branches_of_trunk: OrdMap<EniId, OrdSet<TrunkAssociationId>>,
}

/// Adds `value` to the set at `key`.
fn link<K: Ord + Clone, V: Ord + Clone>(map: &mut OrdMap<K, OrdSet<V>>, key: K, value: V) {
    map.entry(key).or_default().insert(value);
}

/// Takes `value` out of the set at `key`, and an empty set out of the map.
fn unlink<K: Ord + Clone, V: Ord + Clone>(map: &mut OrdMap<K, OrdSet<V>>, key: &K, value: &V) {
    if let Some(set) = map.get_mut(key) {
        set.remove(value);
        if set.is_empty() {
            map.remove(key);
        }
    }
}

/// Takes an ENI out of the list at `key`, and an empty list out of the map.
fn unlist<K: Ord + Clone>(map: &mut OrdMap<K, Enis>, key: &K, eni: EniId) {
    if let Some(enis) = map.get_mut(key) {
        enis.remove(&eni);
        if enis.is_empty() {
            map.remove(key);
        }
    }
}

/// Makes the number at `key` larger.
fn add<K: Ord + Clone>(map: &mut OrdMap<K, usize>, key: K, count: usize) {
    if count > 0 {
        *map.entry(key).or_default() += count;
    }
}

/// Makes the number at `key` smaller, and takes it out once it is zero.
fn subtract<K: Ord + Clone>(map: &mut OrdMap<K, usize>, key: &K, count: usize) {
    let left = map.get(key).map_or(0, |number| number.saturating_sub(count));
    if left == 0 {
        map.remove(key);
    } else {
        map.insert(key.clone(), left);
    }
}

/// Removes the entry if it is still this one.
fn forget<K: Ord + Clone, V: PartialEq + Clone>(map: &mut OrdMap<K, V>, key: &K, value: &V) {
    if map.get(key) == Some(value) {
        map.remove(key);
    }
}

impl Index {
    pub fn insert(&mut self, record: &Record) {
        match record {
            Record::Eni(eni) => self.insert_eni(eni),
            Record::Vpc(vpc) => {
                for block in &vpc.ipv6_cidrs {
                    self.vpc_of_ipv6.insert(block.cidr.network().into(), (block.cidr, vpc.id));
                }
            }
            Record::Subnet(subnet) => link(&mut self.subnets_of_vpc, subnet.vpc, subnet.id),
            Record::RouteTable(table) => self.insert_route_table(table),
            Record::NetworkAcl(acl) => link(&mut self.network_acls_of_vpc, acl.vpc, acl.id),
            Record::SecurityGroup(group) => self.insert_group(group),
            Record::PrefixList(list) => {
                let blocks = list.entries().iter().map(|entry| entry.block);
                self.blocks_of_list.insert(list.id, Arc::new(blocks.collect()));
            }
            Record::InternetGateway(gateway) => {
                if let Some(vpc) = gateway.attached_to {
                    self.gateway_of_vpc.insert(vpc, gateway.id);
                }
            }
            Record::EgressOnlyInternetGateway(gateway) => {
                self.egress_only_gateway_of_vpc.insert(gateway.vpc, gateway.id);
            }
            Record::Address(address) => {
                self.address_of_public.insert(address.public_ip, address.id);
                if let Some(AddressAssociation { eni, private_ip, .. }) = address.association {
                    self.address_of_private.insert((eni, private_ip), address.id);
                    self.private_of_public.insert(address.public_ip, (eni, private_ip));
                }
            }
            Record::NatGateway(gateway) => {
                if let Some(eni) = gateway.eni {
                    self.nat_gateway_of_eni.insert(eni, gateway.id);
                }
                if gateway.is_passing() {
                    self.passing_nat_gateways.insert(gateway.id);
                }
                if let Some(end) = gateway.first_drain_end() {
                    self.draining_nat_gateways.insert((end, gateway.id));
                }
            }
            Record::SubnetCidrReservation(reservation) => {
                link(&mut self.reservations_of_subnet, reservation.subnet, reservation.id);
            }
            Record::TrunkAssociation(association) => {
                self.trunk_of_branch.insert(association.branch, association.id);
                link(&mut self.branches_of_trunk, association.trunk, association.id);
            }
            Record::Account(_)
            | Record::AddressTransfer(_)
            | Record::ClientToken(_)
            | Record::DhcpOptions(_)
            | Record::Instance(_)
            | Record::KeyPair(_) => {}
        }
    }

    /// Takes `old` out and puts `new` of the same key in.
    pub fn replace(&mut self, old: &Record, new: &Record) {
        match (old, new) {
            (Record::SecurityGroup(old), Record::SecurityGroup(new)) => self.replace_group(old, new),
            _ => {
                self.remove(old);
                self.insert(new);
            }
        }
    }

    pub fn remove(&mut self, record: &Record) {
        match record {
            Record::Eni(eni) => self.remove_eni(eni),
            Record::Vpc(vpc) => {
                for block in &vpc.ipv6_cidrs {
                    forget(&mut self.vpc_of_ipv6, &block.cidr.network().into(), &(block.cidr, vpc.id));
                }
            }
            Record::Subnet(subnet) => unlink(&mut self.subnets_of_vpc, &subnet.vpc, &subnet.id),
            Record::RouteTable(table) => self.remove_route_table(table),
            Record::NetworkAcl(acl) => unlink(&mut self.network_acls_of_vpc, &acl.vpc, &acl.id),
            Record::SecurityGroup(group) => self.remove_group(group),
            Record::PrefixList(list) => {
                self.blocks_of_list.remove(&list.id);
            }
            Record::InternetGateway(gateway) => {
                if let Some(vpc) = gateway.attached_to {
                    forget(&mut self.gateway_of_vpc, &vpc, &gateway.id);
                }
            }
            Record::EgressOnlyInternetGateway(gateway) => {
                forget(&mut self.egress_only_gateway_of_vpc, &gateway.vpc, &gateway.id);
            }
            Record::Address(address) => {
                forget(&mut self.address_of_public, &address.public_ip, &address.id);
                if let Some(AddressAssociation { eni, private_ip, .. }) = address.association {
                    forget(&mut self.address_of_private, &(eni, private_ip), &address.id);
                    forget(&mut self.private_of_public, &address.public_ip, &(eni, private_ip));
                }
            }
            Record::NatGateway(gateway) => {
                if let Some(eni) = gateway.eni {
                    forget(&mut self.nat_gateway_of_eni, &eni, &gateway.id);
                }
                self.passing_nat_gateways.remove(&gateway.id);
                if let Some(end) = gateway.first_drain_end() {
                    self.draining_nat_gateways.remove(&(end, gateway.id));
                }
            }
            Record::SubnetCidrReservation(reservation) => {
                unlink(&mut self.reservations_of_subnet, &reservation.subnet, &reservation.id);
            }
            Record::TrunkAssociation(association) => {
                forget(&mut self.trunk_of_branch, &association.branch, &association.id);
                unlink(&mut self.branches_of_trunk, &association.trunk, &association.id);
            }
            Record::Account(_)
            | Record::AddressTransfer(_)
            | Record::ClientToken(_)
            | Record::DhcpOptions(_)
            | Record::Instance(_)
            | Record::KeyPair(_) => {}
        }
    }

    fn insert_route_table(&mut self, table: &RouteTable) {
        link(&mut self.route_tables_of_vpc, table.vpc, table.id);
        for association in &table.associations {
            if let Some(subnet) = association.subnet {
                self.route_table_of_subnet.insert(subnet, table.id);
            }
            if let Some(gateway) = association.gateway {
                self.route_table_of_gateway.insert(gateway, table.id);
            }
        }
        for list in lists_of_table(table) {
            link(&mut self.tables_naming_list, list, table.id);
        }
    }

    fn remove_route_table(&mut self, table: &RouteTable) {
        unlink(&mut self.route_tables_of_vpc, &table.vpc, &table.id);
        for association in &table.associations {
            if let Some(subnet) = association.subnet {
                forget(&mut self.route_table_of_subnet, &subnet, &table.id);
            }
            if let Some(gateway) = association.gateway {
                forget(&mut self.route_table_of_gateway, &gateway, &table.id);
            }
        }
        for list in lists_of_table(table) {
            unlink(&mut self.tables_naming_list, &list, &table.id);
        }
    }

    /// Lists an ENI that was inserted, as the table has it now.
    pub fn list_eni(&mut self, eni: &Arc<Eni>) {
        for group in &eni.groups {
            self.enis_of_group.entry(*group).or_default().insert(eni.id, Arc::clone(eni));
        }
        self.enis_of_subnet.entry(eni.subnet).or_default().insert(eni.id, Arc::clone(eni));
    }

    fn insert_eni(&mut self, eni: &Eni) {
        for address in eni.addresses() {
            self.addresses.insert((eni.vpc, address), eni.id);
        }
        for prefix in delegated(eni) {
            self.prefixes.insert((eni.vpc, prefix), eni.id);
        }
        add(&mut self.use_of_vpc, eni.vpc, eni.address_units());
        add(&mut self.ipv4_use_of_subnet, eni.subnet, eni.ipv4_slots());
        link(&mut self.enis_of_owner, eni.owner, eni.id);
        self.macs.insert((eni.subnet, eni.mac), eni.id);
        if let Some((public, private)) = automatic_public(eni) {
            self.private_of_public.insert(public, (eni.id, private));
        }
        if let Some(attachment) = &eni.attachment {
            link(&mut self.enis_of_instance, attachment.instance, eni.id);
            self.eni_of_attachment.insert(attachment.id, eni.id);
        }
    }

    fn remove_eni(&mut self, eni: &Eni) {
        for address in eni.addresses() {
            forget(&mut self.addresses, &(eni.vpc, address), &eni.id);
        }
        for prefix in delegated(eni) {
            forget(&mut self.prefixes, &(eni.vpc, prefix), &eni.id);
        }
        for group in &eni.groups {
            unlist(&mut self.enis_of_group, group, eni.id);
        }
        unlist(&mut self.enis_of_subnet, &eni.subnet, eni.id);
        subtract(&mut self.use_of_vpc, &eni.vpc, eni.address_units());
        subtract(&mut self.ipv4_use_of_subnet, &eni.subnet, eni.ipv4_slots());
        unlink(&mut self.enis_of_owner, &eni.owner, &eni.id);
        forget(&mut self.macs, &(eni.subnet, eni.mac), &eni.id);
        if let Some((public, private)) = automatic_public(eni) {
            forget(&mut self.private_of_public, &public, &(eni.id, private));
        }
        if let Some(attachment) = &eni.attachment {
            unlink(&mut self.enis_of_instance, &attachment.instance, &eni.id);
            self.eni_of_attachment.remove(&attachment.id);
        }
    }
}

/// Each list that the table's routes name, once: a set can't count.
fn lists_of_table(table: &RouteTable) -> impl Iterator<Item = PrefixListId> + '_ {
    table.routes.iter().filter_map(|route| match route.destination {
        RouteDestination::PrefixList(list) => Some(list),
        RouteDestination::Block(_) => None,
    })
}

/// The automatic public address, and the private one that it stands for.
fn automatic_public(eni: &Eni) -> Option<(Ipv4Addr, Ipv4Addr)> {
    Some((eni.public_ipv4?, eni.primary_ipv4()?))
}

fn delegated(eni: &Eni) -> impl Iterator<Item = IpNet> + '_ {
    let v4 = eni.ipv4_prefixes.iter().copied().map(IpNet::V4);
    v4.chain(eni.ipv6_prefixes.iter().copied().map(IpNet::V6))
}
