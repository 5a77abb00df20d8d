//! Address blocks as requests write them, and the blocks that Groundplane hands out.
//!
//! A block with host bits set is taken as its network, as EC2 does (`100.68.0.18/18` is `100.68.0.0/18`).

use gp_ec2::ApiError;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Size of an Amazon-provided block, and of one of a pool unless the caller says which.
pub(crate) const IPV6_LEN: u8 = 56;

/// # Errors
/// `InvalidParameterValue` for text that is no IPv4 block.
pub(crate) fn parse_ipv4(text: &str, parameter: &str) -> Result<Ipv4Net, ApiError> {
    text.parse().map(|net: Ipv4Net| net.trunc()).map_err(|_| not_a_block(text, parameter))
}

/// # Errors
/// `InvalidParameterValue` for text that is no IPv6 block.
pub(crate) fn parse_ipv6(text: &str, parameter: &str) -> Result<Ipv6Net, ApiError> {
    text.parse().map(|net: Ipv6Net| net.trunc()).map_err(|_| not_a_block(text, parameter))
}

fn not_a_block(text: &str, parameter: &str) -> ApiError {
    ApiError::invalid_value(text, parameter, "This is not a valid CIDR block.")
}

/// The block of that length that `bits` choose out of a pool, or the next free one after it; `None` if none is free.
/// `taken` names a block that has addresses of this one.
pub(crate) fn free_ipv6(
    pool: Ipv6Net,
    length: u8,
    bits: u128,
    taken: impl Fn(Ipv6Net) -> Option<Ipv6Net>,
) -> Option<Ipv6Net> {
    // A pool is shorter than 2^127 blocks: 3 bits of every global address are fixed.
    let choices = 1u128 << length.checked_sub(pool.prefix_len())?;
    let size = 1u128 << (128 - length);
    let nth = |n: u128| Ipv6Net::new_assert(gp_model::nth_v6(pool, n * size), length);
    let first_free = |from: u128, to: u128| {
        let mut n = from;
        while n < to {
            let Some(other) = taken(nth(n)) else { return Some(nth(n)) };
            // A large one is passed at once.
            n = n.max((u128::from(other.broadcast()) - u128::from(pool.network())) / size) + 1;
        }
        None
    };
    let start = bits % choices;
    first_free(start, choices).or_else(|| first_free(0, start))
}

const fn v4(a: u8, b: u8, c: u8, d: u8, len: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), len)
}

/// Blocks that no VPC may use: this network, loopback, link-local, multicast.
pub(crate) const NEVER_IN_A_VPC: [Ipv4Net; 4] =
    [v4(0, 0, 0, 0, 8), v4(127, 0, 0, 0, 8), v4(169, 254, 0, 0, 16), v4(224, 0, 0, 0, 4)];

/// The default VPC's block.
pub(crate) const DEFAULT_VPC: Ipv4Net = v4(172, 31, 0, 0, 16);
/// Size of the default VPC's subnets.
pub(crate) const DEFAULT_SUBNET_LEN: u8 = 20;
/// Every IPv4 address.
pub(crate) const ALL_IPV4: Ipv4Net = v4(0, 0, 0, 0, 0);
/// Every IPv6 address.
pub(crate) const ALL_IPV6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0);

const TEN: Ipv4Net = v4(10, 0, 0, 0, 8);
const ONE_SEVENTY_TWO: Ipv4Net = v4(172, 16, 0, 0, 12);
const ONE_NINETY_TWO: Ipv4Net = v4(192, 168, 0, 0, 16);
const BENCHMARK: Ipv4Net = v4(198, 19, 0, 0, 16);

/// Blocks from which a VPC may not take a secondary block, given those that it has.
/// Source: VPC user guide, "IPv4 CIDR block association restrictions".
pub(crate) fn restricted_with(existing: &[Ipv4Net]) -> Vec<Ipv4Net> {
    let within = |of: Ipv4Net| existing.first().is_some_and(|primary| of.contains(primary));
    let mut restricted = if within(TEN) {
        vec![ONE_SEVENTY_TWO, ONE_NINETY_TWO, BENCHMARK]
    } else if within(ONE_SEVENTY_TWO) {
        vec![TEN, ONE_NINETY_TWO, BENCHMARK, DEFAULT_VPC]
    } else if within(ONE_NINETY_TWO) {
        vec![TEN, ONE_SEVENTY_TWO, BENCHMARK]
    } else if within(BENCHMARK) {
        vec![TEN, ONE_SEVENTY_TWO, ONE_NINETY_TWO]
    } else {
        vec![TEN, ONE_SEVENTY_TWO, ONE_NINETY_TWO, BENCHMARK]
    };
    if existing.iter().any(|block| v4(10, 0, 0, 0, 15).contains(block)) {
        restricted.push(v4(10, 0, 0, 0, 16));
    }
    restricted
}

/// Do two blocks of one family share an address?
pub(crate) fn overlap(a: impl Into<IpNet>, b: impl Into<IpNet>) -> bool {
    gp_model::overlaps(&a.into(), &b.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Ipv6Net {
        text.parse().unwrap()
    }

    /// The free /56 of a pool from a place on, beside some blocks.
    fn free(pool: &str, bits: u128, taken: &[&str]) -> Option<String> {
        let taken: Vec<_> = taken.iter().map(|text| net(text)).collect();
        let of = |block| taken.iter().copied().find(|other| overlap(*other, block));
        free_ipv6(net(pool), IPV6_LEN, bits, of).map(|block| block.to_string())
    }

    #[test]
    fn a_taken_block_gives_the_next_one() {
        let block = |text: &str| Some(text.to_owned());
        assert_eq!(free("3fff::/20", 7, &[]), block("3fff:0:0:700::/56"));
        assert_eq!(free("3fff::/20", 7, &["3fff:0:0:700::/56"]), block("3fff:0:0:800::/56"));
        assert_eq!(free("3fff::/20", u128::MAX, &[]), block("3fff:fff:ffff:ff00::/56"));
        assert_eq!(free("3fff::/20", u128::MAX, &["3fff:fff:ffff:ff00::/56"]), block("3fff::/56"), "round the end");
        assert_eq!(free("2001:db8:f00::/48", 3, &["2001:db8:f00::/52"]), block("2001:db8:f00:1000::/56"));
        assert_eq!(free("2001:db8:f00::/48", 3, &["2001:db8:f00:300::/60"]), block("2001:db8:f00:400::/56"));
    }

    #[test]
    fn a_pool_without_a_free_block_gives_none() {
        assert_eq!(free("2001:db8:f00::/48", 3, &["2001:db8:f00::/44"]), None);
        assert_eq!(free("2001:db8:f00::/48", 9, &["2001:db8:f00::/49", "2001:db8:f00:8000::/49"]), None);
        assert_eq!(free("2001:db8:f00::/60", 0, &[]), None, "smaller than a block");
        assert_eq!(free("2001:db8:f00:ab00::/56", 77, &[]).as_deref(), Some("2001:db8:f00:ab00::/56"));
    }
}
