//! The public addresses of each region: what the uplink routes and what the planner hands out. Of IPv6 these are only the
//! operator's own pools.
//!
//! Unless the operator says otherwise the default region has TEST-NET-2 (RFC 5737) and every other region a /24 of its
//! own out of 198.18.0.0/16, half of the block for benchmarks (RFC 2544): none of them is ever routed in the internet.

use crate::{Ipv6Pool, Region};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::Ipv4Addr;

/// TEST-NET-2.
const DEFAULT: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 24);
/// What the other regions' blocks are cut from.
const OTHER_REGIONS: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 16);
/// Number of slots among which the names of other regions are spread. With 248 no two of AWS's regions meet.
const SLOTS: u32 = 248;
/// A block this short has a network and a broadcast address, and room for a router.
const LONGEST_WITH_ROUTER: u8 = 30;

/// The blocks of public addresses, by region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicPools {
    default_region: Region,
    configured: BTreeMap<Region, Vec<Ipv4Net>>,
    byoip: BTreeMap<Region, Vec<ByoipPool>>,
    ipv6: BTreeMap<Region, Vec<Ipv6Pool>>,
}

/// A block of the operator's that is handed out only to whoever asks for it, as pools of *bring your own IP addresses*
/// are on AWS. Every address of it is handed out, the first and the last one too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByoipPool {
    /// `ipv4pool-ec2-` and 17 hex digits; the same after every start.
    pub id: String,
    pub block: Ipv4Net,
}

impl PublicPools {
    /// What the blocks of regions are cut from that are neither the default one nor configured.
    pub const OTHER_REGIONS: Ipv4Net = OTHER_REGIONS;

    /// Every region has the block that its name gives.
    pub fn new(default_region: Region) -> Self {
        Self { default_region, configured: BTreeMap::new(), byoip: BTreeMap::new(), ipv6: BTreeMap::new() }
    }

    /// Gives a region a block of the operator's; it has no other then but those that are given so.
    pub fn configure(&mut self, region: Region, block: Ipv4Net) {
        self.configured.entry(region).or_default().push(block.trunc());
    }

    /// Gives a region a pool of its own beside the blocks that it has.
    pub fn bring(&mut self, region: Region, block: Ipv4Net) {
        let block = block.trunc();
        let id = hashed_id("ipv4pool-ec2", &region, block);
        self.byoip.entry(region).or_default().push(ByoipPool { id, block });
    }

    /// Gives a region a pool of IPv6 addresses, which [`Ipv6Pool::check`] has passed.
    pub fn bring_ipv6(&mut self, region: Region, block: Ipv6Net) {
        let pool = Ipv6Pool::new(&region, block);
        self.ipv6.entry(region).or_default().push(pool);
    }

    /// The region's own pools of IPv6 addresses, in the order in which they were given.
    pub fn ipv6(&self, region: &Region) -> &[Ipv6Pool] {
        self.ipv6.get(region).map(Vec::as_slice).unwrap_or_default()
    }

    /// The operator's blocks of both families and every region, and those of the default region.
    pub fn own_blocks(&self) -> Vec<IpNet> {
        let ipv4 = self.configured().chain(self.of(&self.default_region)).map(IpNet::V4);
        ipv4.chain(self.ipv6.values().flatten().map(|pool| IpNet::V6(pool.block))).collect()
    }

    /// The region's pools that are asked for by id, in the order in which they were given.
    pub fn byoip(&self, region: &Region) -> &[ByoipPool] {
        self.byoip.get(region).map(Vec::as_slice).unwrap_or_default()
    }

    /// The region of calls that name none.
    pub fn default_region(&self) -> &Region {
        &self.default_region
    }

    /// The operator's IPv4 blocks, of every region.
    pub fn configured(&self) -> impl Iterator<Item = Ipv4Net> {
        let byoip = self.byoip.values().flatten().map(|pool| pool.block);
        self.configured.values().flatten().copied().chain(byoip)
    }

    /// All IPv4 blocks of a region: what its uplink routes. Of IPv6 it routes what VPCs have.
    pub fn of(&self, region: &Region) -> Vec<Ipv4Net> {
        let byoip = self.byoip(region).iter().map(|pool| pool.block);
        self.unnamed(region).into_iter().chain(byoip).collect()
    }

    /// The blocks that addresses come from when nobody says from which, in the order in which they were given.
    fn unnamed(&self, region: &Region) -> Vec<Ipv4Net> {
        match self.configured.get(region) {
            Some(blocks) => blocks.clone(),
            None if *region == self.default_region => vec![DEFAULT],
            None => vec![by_name(region.as_str())],
        }
    }

    /// The first address of the region's first block: that of the machine outside, which is never handed out. `None`
    /// where the block is too small to spare one.
    pub fn outside(&self, region: &Region) -> Option<Ipv4Addr> {
        self.unnamed(region).first().filter(|block| block.prefix_len() <= LONGEST_WITH_ROUTER)?.hosts().next()
    }

    /// The addresses that may be handed out to whoever asks for any: not the first and last of a block, and not [`PublicPools::outside`].
    pub fn addresses(&self, region: &Region) -> impl Iterator<Item = Ipv4Addr> + use<> {
        let outside = self.outside(region);
        self.unnamed(region)
            .into_iter()
            .flat_map(|block| block.hosts())
            .filter(move |address| Some(*address) != outside)
    }
}

/// FNV-1a of the name chooses the block.
fn by_name(region: &str) -> Ipv4Net {
    let hash = region.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [.., slot] = (hash % SLOTS).to_be_bytes();
    Ipv4Net::new_assert(Ipv4Addr::new(198, 18, slot, 0), 24)
}

/// FNV-1a of region and block, as wide as an id, behind a prefix.
pub(crate) fn hashed_id(prefix: &str, region: &Region, block: impl Display) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = (1 << 88) + 0x13b;
    let text = format!("{region}={block}");
    let hash = text.bytes().fold(OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME));
    format!("{prefix}-{:017x}", hash & crate::id::ID_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str) -> Region {
        Region::new(name)
    }

    #[test]
    fn the_default_region_has_test_net_2_and_keeps_its_first_address_for_the_machine_outside() {
        let pools = PublicPools::new(region("us-east-1"));
        let all: Vec<_> = pools.addresses(&region("us-east-1")).collect();
        assert_eq!(pools.outside(&region("us-east-1")), Some(Ipv4Addr::new(198, 51, 100, 1)));
        assert_eq!((all.len(), all[0]), (253, Ipv4Addr::new(198, 51, 100, 2)));
        assert_eq!(all.last(), Some(&Ipv4Addr::new(198, 51, 100, 254)));
    }

    #[test]
    fn regions_have_blocks_of_their_own() {
        let pools = PublicPools::new(region("us-east-1"));
        let names = "us-east-2 us-west-1 us-west-2 eu-central-1 eu-central-2 eu-west-1 eu-west-2 eu-west-3 eu-north-1 \
                     eu-south-1 eu-south-2 ap-south-1 ap-south-2 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 \
                     ap-northeast-3 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 \
                     ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1 sa-east-1 af-south-1 il-central-1 \
                     me-central-1 me-south-1 mx-central-1";
        let mut blocks: Vec<_> = names.split_whitespace().flat_map(|name| pools.of(&region(name))).collect();
        let count = blocks.len();
        blocks.sort_unstable();
        blocks.dedup();
        assert_eq!(blocks.len(), count, "two of AWS's regions share a block");
        assert!(blocks.iter().all(|block| block.network().octets()[..2] == [198, 18]));
    }

    #[test]
    fn an_operators_blocks_replace_the_regions_own() {
        let mut pools = PublicPools::new(region("us-east-1"));
        pools.configure(region("us-east-1"), "192.0.2.9/29".parse().expect("a block"));
        pools.configure(region("us-east-1"), "203.0.113.7/32".parse().expect("a block"));
        let all: Vec<_> = pools.addresses(&region("us-east-1")).map(|address| address.to_string()).collect();
        assert_eq!(pools.outside(&region("us-east-1")), Some(Ipv4Addr::new(192, 0, 2, 9)));
        assert_eq!(all, ["192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14", "203.0.113.7"]);
    }

    #[test]
    fn a_block_of_one_address_has_none_for_the_machine_outside() {
        let mut pools = PublicPools::new(region("us-east-1"));
        pools.configure(region("us-east-1"), "203.0.113.7/32".parse().expect("a block"));
        assert_eq!(pools.outside(&region("us-east-1")), None);
        assert_eq!(pools.addresses(&region("us-east-1")).count(), 1);
    }

    #[test]
    fn a_pool_that_is_asked_for_by_id_is_routed_and_gives_no_address_to_others() {
        let mut pools = PublicPools::new(region("us-east-1"));
        pools.bring(region("us-east-1"), "203.0.113.64/30".parse().expect("a block"));
        pools.bring(region("eu-west-1"), "203.0.113.128/30".parse().expect("a block"));
        let [pool] = pools.byoip(&region("us-east-1")) else { panic!("one pool") };
        assert!(pool.id.starts_with("ipv4pool-ec2-") && pool.id.len() == "ipv4pool-ec2-".len() + 17, "{}", pool.id);
        assert_ne!(pool.id, pools.byoip(&region("eu-west-1"))[0].id);
        let blocks: Vec<_> = pools.of(&region("us-east-1")).iter().map(ToString::to_string).collect();
        assert_eq!(blocks, ["198.51.100.0/24", "203.0.113.64/30"]);
        assert_eq!(pools.configured().count(), 2);
        assert_eq!(pools.addresses(&region("us-east-1")).count(), 253);
        assert_eq!(pools.outside(&region("us-east-1")), Some(Ipv4Addr::new(198, 51, 100, 1)));
    }
}
