//! Who is on an ENI's link: the router, the VPC's own services and the other ENIs of the subnet.

use crate::Read;
use gp_model::{Eni, Mac, Subnet, SubnetId, Vpc, VpcId, World, nth_v4, nth_v6};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The router's link-local address, the same in every subnet (VPC user guide, "IPv6 addressing"). It also answers to
/// the one that follows from its MAC address.
pub const ROUTER_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0x0ec2, 0, 0, 0, 0, 0, 1);

/// The router is the first address of each of the subnet's blocks.
const ROUTER_OFFSET: u32 = 1;
/// The resolver is the second address of the VPC's primary block.
const RESOLVER_OFFSET: u32 = 2;

/// Link-local services of IPv4: time, Windows activation (2), resolver, instance metadata.
const IPV4_SERVICES: [Ipv4Addr; 5] = [
    Ipv4Addr::new(169, 254, 169, 123),
    Ipv4Addr::new(169, 254, 169, 250),
    Ipv4Addr::new(169, 254, 169, 251),
    Ipv4Addr::new(169, 254, 169, 253),
    Ipv4Addr::new(169, 254, 169, 254),
];

/// First octet of a router's MAC address: locally administered, and of none of the forms that ENIs have (02, 06,
/// 0a, 0e).
const ROUTER_MAC_OCTET: u8 = 0x12;

/// The MAC address of a subnet's router, as its guests see it. It follows from the subnet's id alone, so every host
/// and every restart agrees on it.
pub fn router_mac(subnet: SubnetId) -> Mac {
    // Ids are random, so any 40 of their 68 bits would do; folding them keeps hand-made ids of tests apart, too.
    let bits = subnet.bits();
    let folded = (bits ^ (bits >> 40)) as u64;
    let [_, _, _, a, b, c, d, e] = folded.to_be_bytes();
    Mac([ROUTER_MAC_OCTET, a, b, c, d, e])
}

/// The router's IPv4 address in a subnet; none in an IPv6-only subnet.
pub fn router_ipv4(subnet: &Subnet) -> Option<Ipv4Addr> {
    subnet.cidr.map(|cidr| nth_v4(cidr, ROUTER_OFFSET))
}

/// The Amazon-provided resolver's address inside a VPC.
pub fn resolver_ipv4(vpc: &Vpc) -> Option<Ipv4Addr> {
    vpc.cidrs.first().map(|primary| nth_v4(primary.cidr, RESOLVER_OFFSET))
}

/// Which MAC address answers when this ENI asks who has `target`, by ARP or by neighbour solicitation. `None`: nobody
/// does, and for the ENI's own addresses nobody may.
pub fn neighbor_mac(world: &World, eni: &Eni, target: IpAddr) -> Option<Mac> {
    let vpc = world.vpc(eni.vpc)?;
    let subnet = world.subnet(eni.subnet)?;
    let neighborhood = Neighborhood { world, vpc, subnet, own: eni };
    if neighborhood.is_own(target) { None } else { neighborhood.mac_of(target, &mut |_| ()) }
}

/// Is it one of the router's addresses in this subnet?
pub(crate) fn is_router(subnet: &Subnet, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => router_ipv4(subnet).map(IpAddr::V4) == Some(address),
        IpAddr::V6(a) => {
            let first = |c: &gp_model::SubnetIpv6Cidr| a == nth_v6(c.cidr, u128::from(ROUTER_OFFSET));
            a == ROUTER_LINK_LOCAL || a == router_mac(subnet.id).link_local() || subnet.ipv6_cidrs.iter().any(first)
        }
    }
}

/// Is it an address of the VPC's resolver, metadata, time or another link-local service?
/// fd00:ec2::/32 is kept for them as a whole: no route can name it.
pub(crate) fn is_service(vpc: &Vpc, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => IPV4_SERVICES.contains(&a) || resolver_ipv4(vpc) == Some(a),
        IpAddr::V6(a) => a.segments()[..2] == [0xfd00, 0x0ec2],
    }
}

/// Is it an address of many: multicast, or IPv4's limited broadcast?
pub(crate) fn is_group(address: IpAddr) -> bool {
    address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Is it an address that no router forwards from or to?
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    }
}

/// The MAC address from which a link-local address was made (RFC 4291, appendix A), if it was.
pub(crate) fn mac_of_link_local(address: Ipv6Addr) -> Option<Mac> {
    let o = address.octets();
    let mac = Mac([o[8] ^ 2, o[9], o[10], o[13], o[14], o[15]]);
    (mac.link_local() == address).then_some(mac)
}

/// One ENI's view of its link.
pub(crate) struct Neighborhood<'a> {
    pub world: &'a World,
    pub vpc: &'a Vpc,
    pub subnet: &'a Subnet,
    pub own: &'a Eni,
}

impl Neighborhood<'_> {
    pub(crate) fn is_own(&self, target: IpAddr) -> bool {
        self.own.holds(target) || target == IpAddr::V6(self.own.mac.link_local())
    }

    /// Who answers for `target`; `on_read` hears what the answer depends on, beyond the ENI, its subnet and its VPC.
    pub(crate) fn mac_of(&self, target: IpAddr, on_read: &mut dyn FnMut(Read)) -> Option<Mac> {
        let is_resolver = |a| resolver_ipv4(self.vpc).map(IpAddr::V4) == Some(a);
        if is_router(self.subnet, target) {
            return Some(router_mac(self.subnet.id));
        }
        // Guests reach the link-local services over an on-link route; the resolver only where it is on the link.
        if is_service(self.vpc, target) && (!is_resolver(target) || self.subnet.contains(target)) {
            return Some(router_mac(self.subnet.id));
        }
        let holder = holder(self.world, self.subnet, target, on_read)?;
        on_read(Read::Eni(holder.id));
        (holder.subnet == self.subnet.id).then_some(holder.mac)
    }
}

/// The ENI that holds `address` as seen from `subnet`: by its VPC's addresses, or by a link-local address on the link.
/// `on_read` hears what the answer depends on.
pub fn holder<'w>(
    world: &'w World,
    subnet: &Subnet,
    address: IpAddr,
    on_read: &mut dyn FnMut(Read),
) -> Option<&'w Eni> {
    on_read(Read::Holder(subnet.vpc, address));
    match address {
        IpAddr::V6(a) if a.is_unicast_link_local() => {
            world.eni_with_mac(subnet.id, mac_of_link_local(a)?).map(|eni| &**eni)
        }
        _ => holder_in(world, subnet.vpc, address, on_read),
    }
}

/// The ENI that holds `address` in a VPC.
pub(crate) fn holder_in<'w>(
    world: &'w World,
    vpc: VpcId,
    address: IpAddr,
    on_read: &mut dyn FnMut(Read),
) -> Option<&'w Eni> {
    on_read(Read::Holder(vpc, address));
    let holder = world.eni_at(vpc, address).map(|eni| &**eni);
    if !holder.is_some_and(|eni| eni.addresses().any(|own| own == address)) {
        on_read(Read::PrefixHolder(vpc, crate::read::prefix_around(address)));
    }
    holder
}
