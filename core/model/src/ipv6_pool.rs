//! The operator's own IPv6 space: pools that VPCs take blocks from by the pool's id, as with the IPv6 ranges that AWS's
//! customers bring. And the space that nobody may bring, because it has another use.
//!
//! Sources: EC2 user guide, "Bring your own IP addresses"; RFC 4291, 2.4 (global unicast); RFC 9637 and 3849 (documentation).

use crate::public_pool::hashed_id;
use crate::{PublicPools, Region, VpcId, VpcIpv6Cidr, World};
use ipnet::Ipv6Net;
use std::net::Ipv6Addr;

/// Where "Amazon-provided" IPv6 blocks come from: the documentation prefix of RFC 9637. It is global unicast to every
/// guest, and no network on earth routes it, so what is handed out can't shadow a real destination.
pub const AMAZON_PROVIDED_IPV6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20);
/// The machine outside has its IPv6 address here: its IPv4 one behind this prefix.
pub const OUTSIDE_IPV6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 96);
/// What can be routed in the internet.
const GLOBAL_UNICAST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// The longest pool: it holds the smallest block that a VPC can have.
const LONGEST: u8 = 60;

/// A block of the operator's that VPCs get blocks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipv6Pool {
    /// `ipv6pool-ec2-` and 17 hex digits; the same after every start.
    pub id: String,
    pub block: Ipv6Net,
}

/// Why a block can't be a pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ipv6PoolError {
    #[error("{block} is too small for a pool: a VPC's smallest IPv6 block is a /{LONGEST}")]
    TooSmall { block: Ipv6Net },
    #[error("{block} is not global unicast (2000::/3): no internet gateway leads there")]
    NotGlobal { block: Ipv6Net },
    #[error("{block} overlaps with {other}, which has another use")]
    Taken { block: Ipv6Net, other: Ipv6Net },
}

/// A VPC's block whose pool is not there any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostIpv6Block {
    pub vpc: VpcId,
    pub block: Ipv6Net,
    /// The pool, as it was given once.
    pub pool: Option<Ipv6Net>,
}

impl Ipv6Pool {
    pub fn new(region: &Region, block: Ipv6Net) -> Self {
        let block = block.trunc();
        Self { id: hashed_id("ipv6pool-ec2", region, block), block }
    }

    /// May the block be a pool beside these?
    ///
    /// # Errors
    /// A sentence: it is too small, not global, or not the operator's to give.
    pub fn check(block: Ipv6Net, others: &[Ipv6Net]) -> Result<(), Ipv6PoolError> {
        if block.prefix_len() > LONGEST {
            return Err(Ipv6PoolError::TooSmall { block });
        }
        if !GLOBAL_UNICAST.contains(&block) {
            return Err(Ipv6PoolError::NotGlobal { block });
        }
        let mut taken = [AMAZON_PROVIDED_IPV6, OUTSIDE_IPV6].into_iter().chain(others.iter().copied());
        match taken.find(|other| crate::overlaps(&(*other).into(), &block.into())) {
            Some(other) => Err(Ipv6PoolError::Taken { block, other }),
            None => Ok(()),
        }
    }

    /// The block of the pool with that id, told by a part of it: an id is made from its pool's block.
    fn with_part(region: &Region, part: Ipv6Net, id: &str) -> Option<Ipv6Net> {
        let around = (0..=part.prefix_len()).filter_map(|length| Ipv6Net::new(part.addr(), length).ok());
        around.map(|block| Self::new(region, block)).find(|pool| pool.id == id).map(|pool| pool.block)
    }
}

impl PublicPools {
    /// A block that a VPC of this region has, though nobody gives its pool.
    pub fn lost_ipv6_block(&self, world: &World) -> Option<LostIpv6Block> {
        let given =
            |cidr: &VpcIpv6Cidr| cidr.is_amazons() || self.ipv6(&world.region).iter().any(|pool| pool.id == cidr.pool);
        let mut blocks = world.tables().vpcs.values().flat_map(|vpc| vpc.ipv6_cidrs.iter().map(|cidr| (vpc.id, cidr)));
        let (vpc, lost) = blocks.find(|(_, cidr)| !given(cidr))?;
        let pool = Ipv6Pool::with_part(&world.region, lost.cidr, &lost.pool);
        Some(LostIpv6Block { vpc, block: lost.cidr, pool })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv6Net {
        text.parse().expect("a block")
    }

    #[test]
    fn a_pool_keeps_its_id_and_regions_have_ids_of_their_own() {
        let region = Region::new("us-east-1");
        let pool = Ipv6Pool::new(&region, net("2001:db8:f00::/48"));
        assert_eq!(pool, Ipv6Pool::new(&region, net("2001:db8:f00::1/48")));
        assert!(pool.id.starts_with("ipv6pool-ec2-") && pool.id.len() == "ipv6pool-ec2-".len() + 17, "{}", pool.id);
        assert_ne!(pool.id, Ipv6Pool::new(&region, net("2001:db8:f00::/47")).id);
        assert_ne!(pool.id, Ipv6Pool::new(&Region::new("eu-west-1"), pool.block).id);
        let part = net("2001:db8:f00:ab00::/56");
        assert_eq!(Ipv6Pool::with_part(&region, part, &pool.id), Some(pool.block));
        assert_eq!(Ipv6Pool::with_part(&region, net("2001:db8:f01::/56"), &pool.id), None);
    }

    #[test]
    fn what_has_another_use_is_no_pool() {
        let others = [net("2001:db8:f00::/48")];
        let reason = |text: &str| Ipv6Pool::check(net(text), &others).err().map(|error| error.to_string());
        assert_eq!(reason("2001:db8:f01::/60"), None);
        assert_eq!(reason("2a00::/20"), None);
        for (block, part) in [
            ("2001:db8:f01::/64", "too small"),
            ("ff0e::/48", "not global"),
            ("fe80::/48", "not global"),
            ("fd00::/48", "not global"),
            ("64:ff9b::/48", "not global"),
            ("::/0", "not global"),
            ("3fff:abc::/48", "overlaps with 3fff::/20"),
            ("3ff0::/12", "overlaps with 3fff::/20"),
            ("2001:db8::/32", "overlaps with 2001:db8::/96"),
            ("2001:db8:f00:8000::/52", "overlaps with 2001:db8:f00::/48"),
        ] {
            assert!(reason(block).is_some_and(|reason| reason.contains(part)), "{block}: {:?}", reason(block));
        }
    }
}
