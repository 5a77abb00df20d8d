//! Which of many blocks hold an address, in steps that grow with the number of different prefix lengths only.
//!
//! Blocks that hold an address are found by their value: for each length in use there is one candidate. A world has few
//! lengths and many blocks, so this beats a trie, and the blocks lie in one piece of memory.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::IpAddr;

/// The prefix lengths that occur among blocks, the longest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PrefixLengths {
    ipv4: Vec<u8>,
    ipv6: Vec<u8>,
}

impl PrefixLengths {
    pub(crate) fn new(blocks: impl Iterator<Item = IpNet>) -> Self {
        let (mut ipv4, mut ipv6) = ([false; 33], [false; 129]);
        for block in blocks {
            match block {
                IpNet::V4(block) => ipv4[usize::from(block.prefix_len())] = true,
                IpNet::V6(block) => ipv6[usize::from(block.prefix_len())] = true,
            }
        }
        Self { ipv4: longest_first(&ipv4), ipv6: longest_first(&ipv6) }
    }

    /// Every block of a length in use that holds the address, the smallest first.
    pub(crate) fn blocks_around(&self, address: IpAddr) -> impl Iterator<Item = IpNet> + '_ {
        let lengths = match address {
            IpAddr::V4(_) => &self.ipv4,
            IpAddr::V6(_) => &self.ipv6,
        };
        lengths.iter().map(move |length| block_around(address, *length))
    }
}

fn longest_first(is_used: &[bool]) -> Vec<u8> {
    (0..=u8::MAX).rev().filter(|length| is_used.get(usize::from(*length)) == Some(&true)).collect()
}

fn block_around(address: IpAddr, length: u8) -> IpNet {
    match address {
        IpAddr::V4(a) => IpNet::V4(Ipv4Net::new_assert(a, length).trunc()),
        IpAddr::V6(a) => IpNet::V6(Ipv6Net::new_assert(a, length).trunc()),
    }
}

/// A set of blocks of both address families.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockSet {
    lengths: PrefixLengths,
    /// Sorted, without bits behind the prefix.
    blocks: Vec<IpNet>,
}

impl FromIterator<IpNet> for BlockSet {
    fn from_iter<I: IntoIterator<Item = IpNet>>(blocks: I) -> Self {
        let mut blocks: Vec<_> = blocks.into_iter().map(|block| block.trunc()).collect();
        blocks.sort_unstable();
        blocks.dedup();
        Self { lengths: PrefixLengths::new(blocks.iter().copied()), blocks }
    }
}

impl BlockSet {
    /// The smallest block that holds the address.
    pub fn longest_match(&self, address: IpAddr) -> Option<IpNet> {
        self.lengths.blocks_around(address).find(|block| self.blocks.binary_search(block).is_ok())
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.longest_match(address).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(blocks: &[&str]) -> BlockSet {
        blocks.iter().map(|block| block.parse::<IpNet>().unwrap()).collect()
    }

    #[test]
    fn the_smallest_block_around_an_address_is_found() {
        let set = set(&["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "0.0.0.0/0", "2001:db8::/32", "::/0"]);
        let cases = [
            ("10.1.2.3", "10.1.2.3/32"),
            ("10.1.2.4", "10.1.0.0/16"),
            ("10.2.0.1", "10.0.0.0/8"),
            ("192.0.2.1", "0.0.0.0/0"),
            ("2001:db8::1", "2001:db8::/32"),
            ("fe80::1", "::/0"),
        ];
        for (address, block) in cases {
            assert_eq!(set.longest_match(address.parse().unwrap()), Some(block.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn an_address_outside_of_every_block_or_of_the_other_family_is_not_held() {
        let set = set(&["10.0.0.0/8", "10.1.0.0/16"]);
        for address in ["11.0.0.1", "::ffff:10.0.0.1", "9.255.255.255"] {
            assert!(!set.contains(address.parse().unwrap()), "{address}");
        }
        assert!(!BlockSet::default().contains("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn bits_behind_a_prefix_do_not_matter() {
        assert_eq!(
            set(&["10.1.2.3/8"]).longest_match("10.9.9.9".parse().unwrap()),
            Some("10.0.0.0/8".parse().unwrap())
        );
    }
}
