//! Where a subnet's addresses may be drawn from: its blocks less its CIDR reservations.
//! Source: VPC user guide, "Subnet CIDR reservations".

use gp_model::{SubnetCidrReservationKind, SubnetId, World, nth_v6, overlaps};
use ipnet::{IpNet, Ipv6Net};
use std::net::{IpAddr, Ipv6Addr};

/// A subnet's reservations.
pub(super) struct Reserved {
    for_prefixes: Vec<IpNet>,
    explicit: Vec<IpNet>,
}

impl Reserved {
    pub(super) fn of_subnet(world: &World, subnet: SubnetId) -> Self {
        let of = |kind| {
            let all = world.reservations_of_subnet(subnet).filter(move |reservation| reservation.kind == kind);
            all.map(|reservation| reservation.cidr).collect()
        };
        Self { for_prefixes: of(SubnetCidrReservationKind::Prefix), explicit: of(SubnetCidrReservationKind::Explicit) }
    }

    fn all(&self) -> impl Iterator<Item = &IpNet> {
        self.for_prefixes.iter().chain(&self.explicit)
    }

    /// May a single address be drawn from here?
    pub(super) fn leaves(&self, address: IpAddr) -> bool {
        !self.all().any(|block| block.contains(&address))
    }

    /// Is the prefix in a part that is kept for prefixes?
    pub(super) fn keeps_for_prefixes(&self, prefix: &IpNet) -> bool {
        self.for_prefixes.iter().any(|block| block.contains(prefix))
    }

    /// Is the prefix in no part that is reserved for anything?
    pub(super) fn leaves_prefix(&self, prefix: &IpNet) -> bool {
        !self.all().any(|block| overlaps(block, prefix))
    }

    /// The parts of an IPv6 block that single addresses may be drawn from, none of them in another.
    pub(super) fn rest_of(&self, block: Ipv6Net) -> Vec<Ipv6Net> {
        let mut rest = vec![block];
        for reserved in self.all() {
            if let IpNet::V6(reserved) = reserved {
                rest = rest.into_iter().flat_map(|part| without(part, *reserved)).collect();
            }
        }
        rest
    }
}

/// `block` less `taken`: halves of halves, until what is left of them is outside of it.
fn without(block: Ipv6Net, taken: Ipv6Net) -> Vec<Ipv6Net> {
    if taken.contains(&block) {
        return Vec::new();
    }
    if !block.contains(&taken) {
        return vec![block];
    }
    let mut parts = Vec::new();
    let mut around = block;
    while around.prefix_len() < taken.prefix_len() {
        let Ok(halves) = around.subnets(around.prefix_len() + 1) else { break };
        let (inside, outside): (Vec<_>, Vec<_>) = halves.partition(|half| half.contains(&taken));
        parts.extend(outside);
        let Some(inside) = inside.first() else { break };
        around = *inside;
    }
    parts
}

/// The address of the blocks together that `bits` choose; none where there is no block.
pub(super) fn nth_of(blocks: &[Ipv6Net], bits: u128) -> Option<Ipv6Addr> {
    let size = |block: &Ipv6Net| u128::from(block.hostmask()).saturating_add(1);
    let total = blocks.iter().map(size).fold(0, u128::saturating_add);
    let mut offset = bits.checked_rem(total)?;
    for block in blocks {
        if offset < size(block) {
            return Some(nth_v6(*block, offset));
        }
        offset -= size(block);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv6Net {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_left_of_a_block_is_all_the_rest() {
        assert_eq!(without(net("2001:db8::/64"), net("2001:db8::/64")), []);
        assert_eq!(without(net("2001:db8::/64"), net("2001:db8:1::/64")), [net("2001:db8::/64")]);
        let left = without(net("2001:db8::/64"), net("2001:db8:0:0:8000::/66"));
        assert_eq!(left, [net("2001:db8::/65"), net("2001:db8:0:0:c000::/66")]);
    }

    #[test]
    fn numbers_choose_each_address_once() {
        let blocks = [net("2001:db8::/127"), net("2001:db8::8/126")];
        let chosen: Vec<_> = (0..6).map(|n| nth_of(&blocks, n).unwrap().segments()[7]).collect();
        assert_eq!(chosen, [0, 1, 8, 9, 10, 11]);
        assert_eq!((nth_of(&blocks, 6), nth_of(&[], 6)), (nth_of(&blocks, 0), None));
    }
}
