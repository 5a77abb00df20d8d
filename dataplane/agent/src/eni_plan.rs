//! What an ENI must look like on this host, read off the world.

use gp_catalog::catalog;
use gp_linux::{GuestAddress, PolicyTable};
use gp_model::{
    Eni, EniAttachmentId, EniId, ExternalGuest, ExternalNetns, GuestKind, Instance, InstanceId, Mac, Region,
    TrunkAssociation, World,
};
use gp_slowpath::Allowance;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// An instance with this tag set to `off` gets no policy routing: what its secondary ENIs are sent is answered by its
/// primary one, which the VPC drops.
pub const POLICY_ROUTING_TAG: &str = "groundplane:policy-routing";
/// Routing tables and metrics of an interface, by its number (amazon-ec2-net-utils: `rule_base`, `metric_base`).
const TABLE_BASE: u32 = 10_000;
/// All routing tables that an interface may have: there are fewer network cards than a hundred.
pub const TABLES: RangeInclusive<u32> = TABLE_BASE..=TABLE_BASE + 9_999;
const METRIC_BASE: u32 = 512;
const METRIC_STEP: u32 = 10;
/// Device indexes are free per network card, interface names are not.
const NUMBERS_PER_CARD: u32 = 100;

/// What an ENI must look like on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EniPlan {
    pub eni: EniId,
    pub attachment: EniAttachmentId,
    pub instance: InstanceId,
    pub region: Region,
    pub mac: Mac,
    pub guest_name: String,
    pub addresses: BTreeSet<(IpAddr, u8)>,
    /// The primary address comes first on the interface, so that it is the one the guest sends from.
    pub primary: Option<IpAddr>,
    /// Delegated ones, which the guest hands on: only its rules know them.
    pub prefixes: BTreeSet<(IpAddr, u8)>,
    pub subnet: Option<(Ipv4Addr, u8)>,
    /// The subnet's router.
    pub gateway_ipv4: Option<Ipv4Addr>,
    /// 0 for the primary ENI, whose router takes what no other interface's rules claim.
    pub number: u32,
    pub policy_routing: bool,
    /// The branch ENIs of a trunk: each a VLAN of its link, with a MAC address of its own.
    pub branches: BTreeMap<EniId, (u16, Mac)>,
    /// What the instance's type allows. Branches share it.
    pub allowance: Option<Allowance>,
}

impl EniPlan {
    /// The plan of an ENI that is attached to this instance; `None` of one that isn't.
    pub fn of(world: &World, eni: &Eni, instance: &Instance) -> Option<Self> {
        let (region, subnet) = (&world.region, world.subnet(eni.subnet)?);
        let attachment = eni.attachment.as_ref().filter(|attachment| attachment.instance == instance.id)?;
        let number = attachment.network_card_index * NUMBERS_PER_CARD + attachment.device_index;
        let primary = eni.primary_ipv4().map(IpAddr::V4);
        let prefix_len = |address: IpAddr| match (address, subnet.cidr) {
            (IpAddr::V4(_), Some(cidr)) if Some(address) == primary => cidr.prefix_len(),
            (IpAddr::V4(_), _) => 32,
            (IpAddr::V6(_), _) => 128,
        };
        Some(Self {
            eni: eni.id,
            attachment: attachment.id,
            instance: attachment.instance,
            region: region.clone(),
            mac: eni.mac,
            guest_name: guest_name(&instance.guest, number),
            addresses: eni.addresses().map(|address| (address, prefix_len(address))).collect(),
            primary,
            prefixes: prefixes_of(eni),
            subnet: subnet.cidr.map(|cidr| (cidr.network(), cidr.prefix_len())),
            gateway_ipv4: gp_trace::router_ipv4(subnet),
            number,
            branches: branches_of(world, eni.id),
            allowance: catalog()
                .get(&instance.instance_type)
                .map(|kind| Allowance::of(kind, instance.id, attachment.network_card_index)),
            policy_routing: instance.tags.get(POLICY_ROUTING_TAG).is_none_or(|value| value != "off"),
        })
    }

    pub fn has_ipv6(&self) -> bool {
        self.addresses.iter().any(|(address, _)| address.is_ipv6())
    }

    pub fn table_id(&self) -> u32 {
        TABLE_BASE + self.number
    }

    /// The primary ENI needs none: the main table is its.
    pub fn policy(&self) -> Option<PolicyTable> {
        if self.number == 0 || !self.policy_routing {
            return None;
        }
        let source = match self.primary {
            Some(IpAddr::V4(primary)) => Some(primary),
            _ => None,
        };
        let whole = |address: IpAddr| (address, if address.is_ipv4() { 32 } else { 128 });
        let addresses = self.addresses.iter().map(|(address, _)| whole(*address));
        Some(PolicyTable {
            id: self.table_id(),
            subnet: self.subnet.zip(source).map(|((network, length), source)| (network, length, source)),
            gateway_v4: self.gateway_ipv4.filter(|_| source.is_some()),
            gateway_v6: self.has_ipv6().then_some(gp_trace::ROUTER_LINK_LOCAL),
            sources: addresses.chain(self.prefixes.iter().copied()).collect(),
        })
    }

    /// Interface names hold 15 characters: `e` and the first 14 digits of the id. The alias holds the whole id.
    pub fn host_name(&self) -> String {
        host_name(self.eni)
    }

    /// The far end's name where the guest has a TAP in front of it.
    pub fn joint_name(&self) -> String {
        format!("g{}", &host_name(self.eni)[1..])
    }

    pub fn metric(&self) -> u32 {
        METRIC_BASE + METRIC_STEP * self.number
    }

    pub fn guest_addresses(&self) -> Vec<GuestAddress> {
        let mut addresses: Vec<_> =
            self.addresses.iter().map(|&(address, prefix_len)| GuestAddress { address, prefix_len }).collect();
        addresses.sort_by_key(|a| Some(a.address) != self.primary);
        addresses
    }
}

/// `ethN`, but for the first interface of a guest whose owner has named it. Further TAPs are named after the first.
fn guest_name(guest: &GuestKind, number: u32) -> String {
    match guest {
        GuestKind::External(ExternalGuest::Netns(ExternalNetns { ifname: Some(name), .. })) if number == 0 => {
            name.clone()
        }
        GuestKind::External(ExternalGuest::Tap(name)) if number == 0 => name.clone(),
        GuestKind::External(ExternalGuest::Tap(name)) => format!("{name}-{number}"),
        _ => format!("eth{number}"),
    }
}

fn branches_of(world: &World, trunk: EniId) -> BTreeMap<EniId, (u16, Mac)> {
    let branch = |association: &Arc<TrunkAssociation>| {
        let branch = world.eni(association.branch)?;
        Some((branch.id, (association.vlan_id, branch.mac)))
    };
    world.branches_of_trunk(trunk).filter_map(branch).collect()
}

fn prefixes_of(eni: &Eni) -> BTreeSet<(IpAddr, u8)> {
    let v4 = eni.ipv4_prefixes.iter().map(|prefix| (IpAddr::V4(prefix.network()), prefix.prefix_len()));
    v4.chain(eni.ipv6_prefixes.iter().map(|prefix| (IpAddr::V6(prefix.network()), prefix.prefix_len()))).collect()
}

pub fn host_name(eni: EniId) -> String {
    let digits: String = eni.to_string().trim_start_matches(EniId::PREFIX).chars().take(14).collect();
    format!("e{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_fit_the_kernel() {
        let eni: EniId = "eni-0123456789abcdef0".parse().expect("a well-formed id");
        assert_eq!(host_name(eni), "e0123456789abcd");
        assert!(host_name(eni).len() <= 15);
    }
}
