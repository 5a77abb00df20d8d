//! Address blocks as requests write them, and the blocks that Groundplane hands out.
//!
//! A block with host bits set is taken as its network, as EC2 does (`100.68.0.18/18` is `100.68.0.0/18`).

use gp_ec2::ApiError;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Where "Amazon-provided" IPv6 blocks come from: the documentation prefix of RFC 9637. It is global unicast to every
/// guest, and no network on earth routes it, so what is handed out can't shadow a real destination.
const AMAZON_PROVIDED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20);
/// Size of an Amazon-provided block.
const AMAZON_PROVIDED_LEN: u8 = 56;

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

/// The block of an IPv6 /56 that `bits` choose; the next free one if it is taken.
pub(crate) fn amazon_provided(bits: u128, is_taken: impl Fn(Ipv6Net) -> bool) -> Ipv6Net {
    let choices = 1u128 << (AMAZON_PROVIDED_LEN - AMAZON_PROVIDED.prefix_len());
    let nth = |n: u128| {
        let offset = (n % choices) << (128 - AMAZON_PROVIDED_LEN);
        Ipv6Net::new_assert(gp_model::nth_v6(AMAZON_PROVIDED, offset), AMAZON_PROVIDED_LEN)
    };
    // 2^36 blocks: a region never runs out.
    (0..choices).map(|step| nth(bits.wrapping_add(step))).find(|block| !is_taken(*block)).unwrap_or_else(|| nth(bits))
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

    #[test]
    fn a_taken_block_gives_the_next_one() {
        let first = amazon_provided(7, |_| false);
        assert_eq!(first.to_string(), "3fff:0:0:700::/56");
        assert_eq!(amazon_provided(7, |block| block == first).to_string(), "3fff:0:0:800::/56");
        assert_eq!(amazon_provided(u128::MAX, |_| false).to_string(), "3fff:fff:ffff:ff00::/56");
    }
}
