//! What must hold after every step of a walk.

use gp_catalog::catalog;
use gp_model::{Change, Eni, InterfaceType, World, overlaps};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

pub(super) fn check(world: &World) {
    check_addresses(world);
    check_attachments(world);
    check_trunks(world);
    check_reservations(world);
    check_elastic_ips(world);
    check_indexes(world);
}

/// No address twice in a VPC, none outside the subnet or reserved.
fn check_addresses(world: &World) {
    let mut held: BTreeSet<(gp_model::VpcId, IpAddr)> = BTreeSet::new();
    let mut v6_blocks = BTreeSet::new();
    for eni in world.tables().enis.values() {
        let subnet = world.subnet(eni.subnet).expect("the subnet is there");
        let prefixes = eni.ipv4_prefixes.iter().flat_map(|net| IpNet::V4(*net).hosts_and_ends());
        for address in eni.addresses().chain(prefixes) {
            assert!(held.insert((eni.vpc, address)), "{address} twice");
            assert!(subnet.contains(address) && !subnet.is_reserved(address), "{address} of {eni:?}");
        }
        assert!(!eni.private_ipv4.is_empty() && (!eni.groups.is_empty() || eni.requester_managed));
        assert!(eni.groups.iter().all(|id| world.security_group(*id).is_some_and(|group| group.vpc == eni.vpc)));
        assert!(eni.groups.len() <= 5 && (!eni.primary_ipv6 || !eni.ipv6.is_empty()), "{eni:?}");
        let blocks: Vec<_> = eni.ipv6_prefixes.iter().collect();
        assert!(eni.ipv6.iter().all(|address| !blocks.iter().any(|block| block.contains(address))), "{eni:?}");
        assert!(eni.ipv6_prefixes.iter().all(|block| v6_blocks.insert((eni.vpc, *block))), "{eni:?}");
        let octet = eni.mac.0[0];
        assert!(octet & 3 == 2, "{} is no local unicast address", eni.mac);
    }
}

trait HostsAndEnds {
    fn hosts_and_ends(self) -> Vec<IpAddr>;
}

impl HostsAndEnds for IpNet {
    /// Every address, the first and the last included.
    fn hosts_and_ends(self) -> Vec<IpAddr> {
        match self {
            IpNet::V4(net) => {
                (u32::from(net.network())..=u32::from(net.broadcast())).map(|a| IpAddr::V4(a.into())).collect()
            }
            IpNet::V6(_) => Vec::new(),
        }
    }
}

/// Limits of the type, places taken once, a primary for every instance that isn't over.
fn check_attachments(world: &World) {
    let mut places = BTreeSet::new();
    for eni in world.tables().enis.values() {
        assert!(eni.service_attachment.is_none() || (eni.attachment.is_none() && eni.requester_managed), "{eni:?}");
        let Some(attachment) = &eni.attachment else { continue };
        assert_eq!(world.eni_of_attachment(attachment.id).map(|found| found.id), Some(eni.id));
        let instance = world.instance(attachment.instance).expect("the instance is there");
        assert!(places.insert((instance.id, attachment.network_card_index, attachment.device_index)));
        assert_eq!(eni.zone, instance.zone);
        assert_ne!(instance.state.name(), "terminated");
        let kind = catalog().get(&instance.instance_type).expect("the type is known");
        assert!(eni.private_ipv4.len() + eni.ipv4_prefixes.len() <= kind.ipv4_per_eni as usize, "{eni:?}");
        assert!(eni.ipv6.len() + eni.ipv6_prefixes.len() <= kind.ipv6_per_eni as usize, "{eni:?}");
        let prefixes = eni.ipv4_prefixes.len() + eni.ipv6_prefixes.len();
        assert!(prefixes == 0 || kind.supports_prefixes());
    }
    for instance in world.tables().instances.values() {
        let enis = world.enis_of_instance(instance.id);
        let kind = catalog().get(&instance.instance_type).expect("the type is known");
        assert!(enis.len() <= kind.max_enis as usize);
        let over = instance.state.name() == "terminated";
        let primary = enis.first().and_then(|eni| eni.attachment.as_ref()).map(|a| a.device_index);
        assert_eq!(primary, (!over).then_some(0));
        assert_eq!(instance.terminated_at.is_some(), over);
    }
}

/// Both ends of an association are what they must be; VLANs and branches are taken once; types carry what they have.
fn check_trunks(world: &World) {
    let (mut vlans, mut branches) = (BTreeSet::new(), BTreeSet::new());
    for association in world.tables().trunk_associations.values() {
        let (branch, trunk) = (world.eni(association.branch).unwrap(), world.eni(association.trunk).unwrap());
        assert_eq!((branch.interface_type, trunk.interface_type), (InterfaceType::Branch, InterfaceType::Trunk));
        assert!(branch.attachment.is_none() && branch.zone == trunk.zone);
        assert!(vlans.insert((trunk.id, association.vlan_id)) && branches.insert(branch.id));
        assert_eq!(world.trunk_of_branch(branch.id).map(|found| found.id), Some(association.id));
        assert!(world.branches_of_trunk(trunk.id).any(|found| found.id == association.id));
    }
    for instance in world.tables().instances.values() {
        let kind = catalog().get(&instance.instance_type).expect("the type is known");
        let trunks =
            world.enis_of_instance(instance.id).into_iter().filter(|eni| eni.interface_type == InterfaceType::Trunk);
        let trunks: Vec<_> = trunks.map(|eni| world.branches_of_trunk(eni.id).count()).collect();
        assert!(trunks.is_empty() || kind.trunk, "{} carries a trunk", kind.name);
        assert!(trunks.iter().sum::<usize>() <= kind.max_branch_enis as usize);
    }
    assert!(
        world.tables().enis.values().all(|eni| eni.interface_type != InterfaceType::Branch || eni.attachment.is_none())
    );
}

/// Inside of their subnets, and apart.
fn check_reservations(world: &World) {
    for subnet in world.tables().subnets.values() {
        let reserved: Vec<_> = world.reservations_of_subnet(subnet.id).map(|reservation| reservation.cidr).collect();
        for (n, block) in reserved.iter().enumerate() {
            assert!(subnet.blocks().any(|of_subnet| of_subnet.contains(block)));
            assert!(!reserved[..n].iter().any(|other| overlaps(other, block)));
        }
    }
    let all = world.tables().subnet_cidr_reservations.values();
    assert!({ all }.all(|reservation| world.subnet(reservation.subnet).is_some()));
}

/// What an Elastic IP address stands for is held by the ENI that it names.
fn check_elastic_ips(world: &World) {
    for address in world.tables().addresses.values() {
        let Some(association) = &address.association else { continue };
        let eni = world.eni(association.eni).expect("the ENI is there");
        assert!(eni.holds(IpAddr::V4(association.private_ip)), "{association:?} of {eni:?}");
        assert_eq!(world.address_of_private(eni.id, association.private_ip).map(|found| found.id), Some(address.id));
        assert_eq!(
            world.private_of_public(address.public_ip).map(|(eni, at)| (eni.id, at)),
            Some((eni.id, association.private_ip))
        );
    }
}

/// A world that is built from the tables has the same indexes as one that has lived through the changes.
fn check_indexes(world: &World) {
    let mut rebuilt = World::new(world.region.clone());
    world.tables().records().for_each(|record| rebuilt.apply(Change::Put(record)));
    for eni in world.tables().enis.values() {
        for address in eni.addresses() {
            assert_eq!(holder(world, eni, address), holder(&rebuilt, eni, address));
            assert_eq!(holder(world, eni, address), Some(eni.id));
        }
    }
    let by_instance = |world: &World| -> BTreeMap<_, Vec<_>> {
        let ids = world.tables().instances.keys();
        ids.map(|id| (*id, world.enis_of_instance(*id).iter().map(|eni| eni.id).collect())).collect()
    };
    assert_eq!(by_instance(world), by_instance(&rebuilt));
    let is_of_table = |eni: &Arc<Eni>| world.eni(eni.id).is_some_and(|of_table| Arc::ptr_eq(of_table, eni));
    for subnet in world.tables().subnets.keys() {
        assert!(world.enis_of_subnet(*subnet).all(is_of_table));
        assert!(world.enis_of_subnet(*subnet).eq(rebuilt.enis_of_subnet(*subnet)));
    }
    for group in world.tables().security_groups.keys() {
        assert!(world.enis_of_group(*group).all(is_of_table));
        assert!(world.enis_of_group(*group).eq(rebuilt.enis_of_group(*group)));
    }
}

/// Every table and every index is as if the world had been made from its records just now.
pub(super) fn check_rebuilt(world: &World) {
    let mut rebuilt = World::new(world.region.clone());
    world.tables().records().for_each(|record| rebuilt.apply(Change::Put(record)));
    assert_eq!(format!("{rebuilt:?}"), format!("{world:?}"));
}

fn holder(world: &World, eni: &Eni, address: IpAddr) -> Option<gp_model::EniId> {
    world.eni_at(eni.vpc, address).map(|eni| eni.id)
}
