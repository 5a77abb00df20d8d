//! `World`: one region's network as an immutable, indexed value.
//!
//! A clone shares everything, a change copies only its path. All changes go through [`World::apply`], which keeps
//! the indexes in step with the tables; so an index can't disagree with the entity that it was made from.

use crate::entity::*;
use crate::record::{Change, Record, Tables};
use crate::*;
use imbl::{OrdMap, OrdSet};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::IpAddr;
use std::sync::Arc;

/// Length of an IPv4 prefix that an ENI may be given (EC2 "prefix delegation").
pub const ENI_IPV4_PREFIX_LEN: u8 = 28;
/// Length of an IPv6 prefix that an ENI may be given.
pub const ENI_IPV6_PREFIX_LEN: u8 = 80;

#[derive(Debug, Clone)]
pub struct World {
    pub region: Region,
    tables: Tables,
    index: Index,
}

/// What follows from the tables.
#[derive(Debug, Clone, Default)]
struct Index {
    addresses: OrdMap<(VpcId, IpAddr), EniId>,
    prefixes: OrdMap<(VpcId, IpNet), EniId>,
    enis_of_group: OrdMap<SecurityGroupId, OrdSet<EniId>>,
    enis_of_subnet: OrdMap<SubnetId, OrdSet<EniId>>,
    /// Who answers to a link-local IPv6 address: those are made from the MAC address.
    macs: OrdMap<(SubnetId, Mac), EniId>,
    enis_of_instance: OrdMap<InstanceId, OrdSet<EniId>>,
    eni_of_attachment: OrdMap<EniAttachmentId, EniId>,
    subnets_of_vpc: OrdMap<VpcId, OrdSet<SubnetId>>,
    route_tables_of_vpc: OrdMap<VpcId, OrdSet<RouteTableId>>,
    groups_of_vpc: OrdMap<VpcId, OrdSet<SecurityGroupId>>,
    route_table_of_subnet: OrdMap<SubnetId, RouteTableId>,
    group_of_rule: OrdMap<SecurityGroupRuleId, SecurityGroupId>,
    /// Groups whose rules name the key as their peer.
    groups_naming_group: OrdMap<SecurityGroupId, OrdSet<SecurityGroupId>>,
}

impl World {
    pub fn new(region: Region) -> Self {
        Self { region, tables: Tables::default(), index: Index::default() }
    }

    /// Applies one change and keeps the indexes in step.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Put(record) => {
                if let Some(old) = self.tables.put(record.clone()) {
                    self.index.remove(&old);
                }
                self.index.insert(&record);
            }
            Change::Delete(key) => {
                if let Some(old) = self.tables.remove(&key) {
                    self.index.remove(&old);
                }
            }
        }
    }

    /// The tables, for listing and paging in id order.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    pub fn vpc(&self, id: VpcId) -> Option<&Arc<Vpc>> {
        self.tables.vpcs.get(&id)
    }
    pub fn subnet(&self, id: SubnetId) -> Option<&Arc<Subnet>> {
        self.tables.subnets.get(&id)
    }
    pub fn route_table(&self, id: RouteTableId) -> Option<&Arc<RouteTable>> {
        self.tables.route_tables.get(&id)
    }
    pub fn network_acl(&self, id: NetworkAclId) -> Option<&Arc<NetworkAcl>> {
        self.tables.network_acls.get(&id)
    }
    pub fn internet_gateway(&self, id: InternetGatewayId) -> Option<&Arc<InternetGateway>> {
        self.tables.internet_gateways.get(&id)
    }
    pub fn security_group(&self, id: SecurityGroupId) -> Option<&Arc<SecurityGroup>> {
        self.tables.security_groups.get(&id)
    }
    pub fn eni(&self, id: EniId) -> Option<&Arc<Eni>> {
        self.tables.enis.get(&id)
    }
    pub fn instance(&self, id: InstanceId) -> Option<&Arc<Instance>> {
        self.tables.instances.get(&id)
    }

    /// The ENI that holds this address in this VPC, by itself or through a delegated prefix.
    pub fn eni_at(&self, vpc: VpcId, address: IpAddr) -> Option<&Arc<Eni>> {
        let holder = self.index.addresses.get(&(vpc, address)).or_else(|| {
            let block = eni_prefix_around(address);
            self.index.prefixes.get(&(vpc, block))
        });
        holder.and_then(|id| self.eni(*id))
    }

    /// The ENI with this MAC address in this subnet.
    pub fn eni_with_mac(&self, subnet: SubnetId, mac: Mac) -> Option<&Arc<Eni>> {
        self.index.macs.get(&(subnet, mac)).and_then(|id| self.eni(*id))
    }

    /// The ENI to which this prefix is delegated.
    pub fn eni_with_prefix(&self, vpc: VpcId, prefix: IpNet) -> Option<EniId> {
        self.index.prefixes.get(&(vpc, prefix)).copied()
    }

    pub fn enis_of_group(&self, id: SecurityGroupId) -> impl Iterator<Item = EniId> + '_ {
        self.index.enis_of_group.get(&id).into_iter().flatten().copied()
    }
    pub fn enis_of_subnet(&self, id: SubnetId) -> impl Iterator<Item = EniId> + '_ {
        self.index.enis_of_subnet.get(&id).into_iter().flatten().copied()
    }
    /// The instance's ENIs in order of network card and device index; the primary is first.
    pub fn enis_of_instance(&self, id: InstanceId) -> Vec<Arc<Eni>> {
        let ids = self.index.enis_of_instance.get(&id).into_iter().flatten();
        let mut enis: Vec<_> = ids.filter_map(|eni| self.eni(*eni).cloned()).collect();
        enis.sort_by_key(|eni| eni.attachment.as_ref().map(|a| (a.network_card_index, a.device_index)));
        enis
    }
    pub fn eni_of_attachment(&self, id: EniAttachmentId) -> Option<&Arc<Eni>> {
        self.index.eni_of_attachment.get(&id).and_then(|eni| self.eni(*eni))
    }
    pub fn subnets_of_vpc(&self, id: VpcId) -> impl Iterator<Item = &Arc<Subnet>> + '_ {
        self.index.subnets_of_vpc.get(&id).into_iter().flatten().filter_map(|s| self.subnet(*s))
    }
    pub fn route_tables_of_vpc(&self, id: VpcId) -> impl Iterator<Item = &Arc<RouteTable>> + '_ {
        self.index.route_tables_of_vpc.get(&id).into_iter().flatten().filter_map(|t| self.route_table(*t))
    }
    pub fn groups_of_vpc(&self, id: VpcId) -> impl Iterator<Item = &Arc<SecurityGroup>> + '_ {
        self.index.groups_of_vpc.get(&id).into_iter().flatten().filter_map(|g| self.security_group(*g))
    }
    pub fn group_of_rule(&self, id: SecurityGroupRuleId) -> Option<&Arc<SecurityGroup>> {
        self.index.group_of_rule.get(&id).and_then(|group| self.security_group(*group))
    }
    /// Groups with a rule whose peer is `id` (the group itself included).
    pub fn groups_naming(&self, id: SecurityGroupId) -> impl Iterator<Item = SecurityGroupId> + '_ {
        self.index.groups_naming_group.get(&id).into_iter().flatten().copied()
    }

    /// The route table that routes for a subnet: its own association's, otherwise the VPC's main one.
    pub fn route_table_of(&self, subnet: &Subnet) -> Option<&Arc<RouteTable>> {
        let explicit = self.index.route_table_of_subnet.get(&subnet.id).copied();
        let table = explicit.or_else(|| self.vpc(subnet.vpc).map(|vpc| vpc.main_route_table))?;
        self.route_table(table)
    }

    /// A table's routes as they act: one local route per block of the VPC, then the static ones.
    pub fn routes(&self, table: &RouteTable) -> Vec<Route> {
        let blocks = self.vpc(table.vpc).map(|vpc| vpc.blocks().collect::<Vec<_>>()).unwrap_or_default();
        let local = blocks.into_iter().map(|destination| Route {
            destination,
            target: RouteTarget::Local,
            origin: RouteOrigin::CreateRouteTable,
        });
        local.chain(table.routes.iter().cloned()).collect()
    }
}

/// The only block of delegable size that could hold the address.
fn eni_prefix_around(address: IpAddr) -> IpNet {
    match address {
        IpAddr::V4(a) => IpNet::V4(Ipv4Net::new_assert(a, ENI_IPV4_PREFIX_LEN).trunc()),
        IpAddr::V6(a) => IpNet::V6(Ipv6Net::new_assert(a, ENI_IPV6_PREFIX_LEN).trunc()),
    }
}

// === impl Index ===

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

impl Index {
    fn insert(&mut self, record: &Record) {
        match record {
            Record::Eni(eni) => self.insert_eni(eni),
            Record::Subnet(subnet) => link(&mut self.subnets_of_vpc, subnet.vpc, subnet.id),
            Record::RouteTable(table) => {
                link(&mut self.route_tables_of_vpc, table.vpc, table.id);
                for subnet in table.associations.iter().filter_map(|a| a.subnet) {
                    self.route_table_of_subnet.insert(subnet, table.id);
                }
            }
            Record::SecurityGroup(group) => {
                link(&mut self.groups_of_vpc, group.vpc, group.id);
                for rule in group.rules.values() {
                    self.group_of_rule.insert(rule.id, group.id);
                    if let RulePeer::Group { group: peer, .. } = rule.peer {
                        link(&mut self.groups_naming_group, peer, group.id);
                    }
                }
            }
            _ => {}
        }
    }

    fn remove(&mut self, record: &Record) {
        match record {
            Record::Eni(eni) => self.remove_eni(eni),
            Record::Subnet(subnet) => unlink(&mut self.subnets_of_vpc, &subnet.vpc, &subnet.id),
            Record::RouteTable(table) => {
                unlink(&mut self.route_tables_of_vpc, &table.vpc, &table.id);
                for subnet in table.associations.iter().filter_map(|a| a.subnet) {
                    // Another table may have taken the subnet over within the same transaction.
                    if self.route_table_of_subnet.get(&subnet) == Some(&table.id) {
                        self.route_table_of_subnet.remove(&subnet);
                    }
                }
            }
            Record::SecurityGroup(group) => {
                unlink(&mut self.groups_of_vpc, &group.vpc, &group.id);
                for rule in group.rules.values() {
                    self.group_of_rule.remove(&rule.id);
                    if let RulePeer::Group { group: peer, .. } = rule.peer {
                        unlink(&mut self.groups_naming_group, &peer, &group.id);
                    }
                }
            }
            _ => {}
        }
    }

    fn insert_eni(&mut self, eni: &Eni) {
        for address in eni.addresses() {
            self.addresses.insert((eni.vpc, address), eni.id);
        }
        for prefix in delegated(eni) {
            self.prefixes.insert((eni.vpc, prefix), eni.id);
        }
        for group in &eni.groups {
            link(&mut self.enis_of_group, *group, eni.id);
        }
        link(&mut self.enis_of_subnet, eni.subnet, eni.id);
        self.macs.insert((eni.subnet, eni.mac), eni.id);
        if let Some(attachment) = &eni.attachment {
            link(&mut self.enis_of_instance, attachment.instance, eni.id);
            self.eni_of_attachment.insert(attachment.id, eni.id);
        }
    }

    fn remove_eni(&mut self, eni: &Eni) {
        for address in eni.addresses() {
            // An address that was moved to another ENI within the same transaction stays with the new holder.
            if self.addresses.get(&(eni.vpc, address)) == Some(&eni.id) {
                self.addresses.remove(&(eni.vpc, address));
            }
        }
        for prefix in delegated(eni) {
            if self.prefixes.get(&(eni.vpc, prefix)) == Some(&eni.id) {
                self.prefixes.remove(&(eni.vpc, prefix));
            }
        }
        for group in &eni.groups {
            unlink(&mut self.enis_of_group, group, &eni.id);
        }
        unlink(&mut self.enis_of_subnet, &eni.subnet, &eni.id);
        if self.macs.get(&(eni.subnet, eni.mac)) == Some(&eni.id) {
            self.macs.remove(&(eni.subnet, eni.mac));
        }
        if let Some(attachment) = &eni.attachment {
            unlink(&mut self.enis_of_instance, &attachment.instance, &eni.id);
            self.eni_of_attachment.remove(&attachment.id);
        }
    }
}

fn delegated(eni: &Eni) -> impl Iterator<Item = IpNet> + '_ {
    let v4 = eni.ipv4_prefixes.iter().copied().map(IpNet::V4);
    v4.chain(eni.ipv6_prefixes.iter().copied().map(IpNet::V6))
}
