//! `World`: one region's network as an immutable, indexed value.
//!
//! A clone shares everything, a change copies only its path. All changes go through [`World::apply`], which keeps
//! the indexes in step with the tables; so an index can't disagree with the entity that it was made from.

use crate::entity::*;
use crate::index::{Enis, Index};
use crate::journal::Journal;
use crate::record::{Change, RecordKey, Tables};
use crate::*;
use imbl::OrdSet;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::{Bound, RangeInclusive};
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
    journal: Journal,
}

impl World {
    pub fn new(region: Region) -> Self {
        Self { region, tables: Tables::default(), index: Index::default(), journal: Journal::default() }
    }

    /// Applies one change and keeps the indexes in step.
    pub fn apply(&mut self, change: Change) {
        self.journal.note(change.key());
        match change {
            Change::Put(record) => {
                let key = record.key();
                match self.tables.record(&key) {
                    Some(old) => self.index.replace(&old, &record),
                    None => self.index.insert(&record),
                }
                self.tables.put(record);
                if let RecordKey::Eni(id) = key
                    && let Some(eni) = self.tables.enis.get(&id)
                {
                    self.index.list_eni(eni);
                }
            }
            Change::Delete(key) => {
                if let Some(old) = self.tables.remove(&key) {
                    self.index.remove(&old);
                }
            }
        }
    }

    /// Keys of the records that may not be as they are in `earlier`: those that were noted since, or, where that is too long ago
    /// or in another line of worlds, those that a comparison of the tables finds. These are persistent maps, which share
    /// nearly all of their nodes with what they were lately.
    pub fn changed_since(&self, earlier: &World) -> BTreeSet<RecordKey> {
        match self.journal.since(&earlier.journal) {
            Some(noted) => noted.into_iter().collect(),
            None => earlier.tables.differing(&self.tables),
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
    pub fn address(&self, id: AllocationId) -> Option<&Arc<Address>> {
        self.tables.addresses.get(&id)
    }
    pub fn nat_gateway(&self, id: NatGatewayId) -> Option<&Arc<NatGateway>> {
        self.tables.nat_gateways.get(&id)
    }
    pub fn egress_only_internet_gateway(
        &self,
        id: EgressOnlyInternetGatewayId,
    ) -> Option<&Arc<EgressOnlyInternetGateway>> {
        self.tables.egress_only_internet_gateways.get(&id)
    }
    pub fn prefix_list(&self, id: PrefixListId) -> Option<&Arc<PrefixList>> {
        self.tables.prefix_lists.get(&id)
    }

    /// The ENI that holds this address in this VPC, by itself or through a delegated prefix.
    pub fn eni_at(&self, vpc: VpcId, address: IpAddr) -> Option<&Arc<Eni>> {
        let holder = self.index.addresses.get(&(vpc, address)).or_else(|| {
            let block = eni_prefix_around(address);
            self.index.prefixes.get(&(vpc, block))
        });
        holder.and_then(|id| self.eni(*id))
    }

    /// The addresses of a range that ENIs of a VPC hold by themselves, in order.
    pub fn addresses_held(&self, vpc: VpcId, range: RangeInclusive<IpAddr>) -> impl Iterator<Item = IpAddr> + '_ {
        let range = (vpc, *range.start())..=(vpc, *range.end());
        self.index.addresses.range(range).map(|((_, address), _)| *address)
    }

    /// The ENI with this MAC address in this subnet.
    pub fn eni_with_mac(&self, subnet: SubnetId, mac: Mac) -> Option<&Arc<Eni>> {
        self.index.macs.get(&(subnet, mac)).and_then(|id| self.eni(*id))
    }

    /// The ENI to which this prefix is delegated.
    pub fn eni_with_prefix(&self, vpc: VpcId, prefix: IpNet) -> Option<EniId> {
        self.index.prefixes.get(&(vpc, prefix)).copied()
    }

    pub fn enis_of_group(&self, id: SecurityGroupId) -> impl Iterator<Item = &Arc<Eni>> {
        self.enis_of_group_after(id, None)
    }
    pub fn enis_of_subnet(&self, id: SubnetId) -> impl Iterator<Item = &Arc<Eni>> {
        self.enis_of_subnet_after(id, None)
    }
    /// The ENIs of a group whose ids come after this one, in order.
    pub fn enis_of_group_after(&self, id: SecurityGroupId, after: Option<EniId>) -> impl Iterator<Item = &Arc<Eni>> {
        listed_after(self.index.enis_of_group.get(&id), after)
    }
    /// The ENIs of an account whose ids come after this one, in order.
    pub fn enis_of_owner_after(&self, owner: AccountId, after: Option<EniId>) -> impl Iterator<Item = &Arc<Eni>> {
        let ids = self.index.enis_of_owner.get(&owner).into_iter();
        ids.flat_map(move |ids| ids.range(starting_after(after))).filter_map(|id| self.eni(*id))
    }
    /// The ENIs of a subnet whose ids come after this one, in order.
    pub fn enis_of_subnet_after(&self, id: SubnetId, after: Option<EniId>) -> impl Iterator<Item = &Arc<Eni>> {
        listed_after(self.index.enis_of_subnet.get(&id), after)
    }
    /// Network address units that the ENIs of a VPC come to.
    pub fn address_units_of_vpc(&self, id: VpcId) -> usize {
        self.index.use_of_vpc.get(&id).copied().unwrap_or_default()
    }
    /// IPv4 addresses that the ENIs of a subnet hold, by themselves or through prefixes.
    pub fn ipv4_slots_of_subnet(&self, id: SubnetId) -> usize {
        self.index.ipv4_use_of_subnet.get(&id).copied().unwrap_or_default()
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
    /// The group of that name, whatever its case.
    pub fn group_named(&self, vpc: VpcId, name: &str) -> Option<&Arc<SecurityGroup>> {
        self.index.group_of_name.get(&(vpc, name.to_ascii_lowercase())).and_then(|group| self.security_group(*group))
    }
    pub fn network_acls_of_vpc(&self, id: VpcId) -> impl Iterator<Item = NetworkAclId> + '_ {
        self.index.network_acls_of_vpc.get(&id).into_iter().flatten().copied()
    }
    pub fn group_of_rule(&self, id: SecurityGroupRuleId) -> Option<&Arc<SecurityGroup>> {
        self.index.group_of_rule.get(&id).and_then(|group| self.security_group(*group))
    }
    /// A group's rules by what they are about.
    pub fn rules_of_group(&self, id: SecurityGroupId) -> Option<&RuleIndex> {
        self.index.rules_of_group.get(&id).map(|index| &**index)
    }
    /// The blocks of a prefix list that act.
    pub fn blocks_of_list(&self, id: PrefixListId) -> Option<&BlockSet> {
        self.index.blocks_of_list.get(&id).map(|blocks| &**blocks)
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

    /// A table's routes as they act: one local route per block of the VPC that no static one replaces, then the static
    /// ones.
    pub fn routes<'w>(&'w self, table: &'w RouteTable) -> impl Iterator<Item = Route> + 'w {
        let blocks = self.vpc(table.vpc).into_iter().flat_map(|vpc| vpc.blocks());
        let local = blocks.map(|block| Route {
            destination: block.into(),
            target: RouteTarget::Local,
            origin: RouteOrigin::CreateRouteTable,
        });
        let local = local.filter(|local| table.routes.iter().all(|route| route.destination != local.destination));
        local.chain(table.routes.iter().cloned())
    }

    /// The table that routes what comes in by an internet gateway, if one is associated with it.
    pub fn route_table_of_gateway(&self, id: InternetGatewayId) -> Option<&Arc<RouteTable>> {
        self.index.route_table_of_gateway.get(&id).and_then(|table| self.route_table(*table))
    }

    /// The internet gateway that is attached to the VPC.
    pub fn gateway_of_vpc(&self, id: VpcId) -> Option<&Arc<InternetGateway>> {
        self.index.gateway_of_vpc.get(&id).and_then(|gateway| self.internet_gateway(*gateway))
    }
    pub fn egress_only_gateway_of_vpc(&self, id: VpcId) -> Option<&Arc<EgressOnlyInternetGateway>> {
        self.index.egress_only_gateway_of_vpc.get(&id).and_then(|gateway| self.egress_only_internet_gateway(*gateway))
    }

    /// The private address, and its ENI, that a public IPv4 address stands for.
    pub fn private_of_public(&self, public: Ipv4Addr) -> Option<(&Arc<Eni>, Ipv4Addr)> {
        let (eni, private) = *self.index.private_of_public.get(&public)?;
        Some((self.eni(eni)?, private))
    }

    /// The public IPv4 address that stands for an ENI's private one: its Elastic IP address, else the automatic one.
    pub fn public_of_private(&self, eni: &Eni, private: Ipv4Addr) -> Option<Ipv4Addr> {
        match self.address_of_private(eni.id, private) {
            Some(address) => Some(address.public_ip),
            None => eni.public_ipv4.filter(|_| eni.primary_ipv4() == Some(private)),
        }
    }

    /// The Elastic IP address that is associated with an ENI's private address.
    pub fn address_of_private(&self, eni: EniId, private: Ipv4Addr) -> Option<&Arc<Address>> {
        self.index.address_of_private.get(&(eni, private)).and_then(|id| self.address(*id))
    }

    /// The Elastic IP addresses of an ENI.
    pub fn addresses_of_eni(&self, eni: EniId) -> impl Iterator<Item = &Arc<Address>> + '_ {
        let all = (eni, Ipv4Addr::UNSPECIFIED)..=(eni, Ipv4Addr::BROADCAST);
        self.index.address_of_private.range(all).filter_map(|(_, id)| self.address(*id))
    }

    /// The Elastic IP address with this public address, associated or not.
    pub fn address_with_public_ip(&self, public: Ipv4Addr) -> Option<&Arc<Address>> {
        self.index.address_of_public.get(&public).and_then(|id| self.address(*id))
    }

    /// Is the public address allocated, or in use as an automatic one?
    pub fn is_public_ip_taken(&self, public: Ipv4Addr) -> bool {
        self.index.address_of_public.contains_key(&public) || self.index.private_of_public.contains_key(&public)
    }

    /// Number of public addresses of a range that are allocated, or in use as automatic ones.
    pub fn public_ips_taken(&self, range: RangeInclusive<Ipv4Addr>) -> usize {
        let allocated = self.index.address_of_public.range(range.clone()).count();
        let automatic = self.index.private_of_public.range(range);
        allocated + automatic.filter(|(public, _)| !self.index.address_of_public.contains_key(*public)).count()
    }

    /// The VPC that has this IPv6 address.
    pub fn vpc_of_ipv6(&self, address: Ipv6Addr) -> Option<VpcId> {
        let (_, (block, vpc)) = self.index.vpc_of_ipv6.range(..=u128::from(address)).next_back()?;
        block.contains(&address).then_some(*vpc)
    }

    /// The NAT gateway whose interface this is.
    pub fn nat_gateway_of_eni(&self, eni: EniId) -> Option<&Arc<NatGateway>> {
        self.index.nat_gateway_of_eni.get(&eni).and_then(|id| self.nat_gateway(*id))
    }

    /// The NAT gateways that are about to become another state by themselves.
    pub fn passing_nat_gateways(&self) -> impl Iterator<Item = NatGatewayId> + '_ {
        self.index.passing_nat_gateways.iter().copied()
    }

    /// The NAT gateways with draining addresses, each with when the first of these is taken away at the latest; the
    /// soonest first.
    pub fn draining_nat_gateways(&self) -> impl Iterator<Item = (Timestamp, &Arc<NatGateway>)> + '_ {
        let ends = self.index.draining_nat_gateways.iter();
        ends.filter_map(|(end, id)| Some((*end, self.nat_gateway(*id)?)))
    }

    pub fn groups_of_owner(&self, owner: AccountId) -> usize {
        self.index.groups_of_owner.get(&owner).map_or(0, OrdSet::len)
    }
    pub fn enis_of_owner(&self, owner: AccountId) -> usize {
        self.index.enis_of_owner.get(&owner).map_or(0, OrdSet::len)
    }
    /// Groups with a rule whose peer is the list.
    pub fn groups_naming_list(&self, id: PrefixListId) -> impl Iterator<Item = SecurityGroupId> + '_ {
        self.index.groups_naming_list.get(&id).into_iter().flatten().copied()
    }
    /// Route tables with a route to the list.
    pub fn tables_naming_list(&self, id: PrefixListId) -> impl Iterator<Item = RouteTableId> + '_ {
        self.index.tables_naming_list.get(&id).into_iter().flatten().copied()
    }
    pub fn reservations_of_subnet(&self, id: SubnetId) -> impl Iterator<Item = &Arc<SubnetCidrReservation>> + '_ {
        let ids = self.index.reservations_of_subnet.get(&id).into_iter().flatten();
        ids.filter_map(|id| self.tables.subnet_cidr_reservations.get(id))
    }
    /// How a branch ENI hangs on its trunk.
    pub fn trunk_of_branch(&self, branch: EniId) -> Option<&Arc<TrunkAssociation>> {
        self.index.trunk_of_branch.get(&branch).and_then(|id| self.tables.trunk_associations.get(id))
    }
    pub fn branches_of_trunk(&self, trunk: EniId) -> impl Iterator<Item = &Arc<TrunkAssociation>> + '_ {
        let ids = self.index.branches_of_trunk.get(&trunk).into_iter().flatten();
        ids.filter_map(|id| self.tables.trunk_associations.get(id))
    }
}

/// What of a list comes after an id, in order.
fn listed_after(enis: Option<&Enis>, after: Option<EniId>) -> impl Iterator<Item = &Arc<Eni>> {
    enis.into_iter().flat_map(move |enis| enis.range(starting_after(after))).map(|(_, eni)| eni)
}

fn starting_after(id: Option<EniId>) -> (Bound<EniId>, Bound<EniId>) {
    (id.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded)
}

/// The only block of delegable size that could hold the address.
fn eni_prefix_around(address: IpAddr) -> IpNet {
    match address {
        IpAddr::V4(a) => IpNet::V4(Ipv4Net::new_assert(a, ENI_IPV4_PREFIX_LEN).trunc()),
        IpAddr::V6(a) => IpNet::V6(Ipv6Net::new_assert(a, ENI_IPV6_PREFIX_LEN).trunc()),
    }
}
