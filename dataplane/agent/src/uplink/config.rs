//! What the operator wants of the way to the outside.

use gp_model::PublicPools;
use ipnet::IpNet;
use std::net::IpAddr;

/// The way of every region's public addresses to the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UplinkConfig {
    pub pools: PublicPools,
    pub way: Way,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The machine itself is the outside.
    Host {
        /// And the internet behind it, by its own address.
        internet: bool,
    },
    /// A network behind one of its cards.
    Card {
        interface: String,
        /// Addresses of ours on that network.
        addresses: Vec<IpNet>,
        /// Its routers, one per family.
        gateways: Vec<IpAddr>,
    },
}

/// Longest name that the kernel gives an interface, in bytes.
const NAME_MAX_BYTES: usize = 15;

/// The name of an uplink's outer end begins so. Names that are too long for an interface are told apart by a hash.
pub(super) fn outer_prefix(name: &str) -> String {
    // Room for a number of three digits.
    let short = format!("gp-{name}-");
    if short.len() + 3 <= NAME_MAX_BYTES {
        return short;
    }
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("gp-{hash:08x}-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_interfaces_fit_the_kernel_and_tell_groundplanes_apart() {
        assert_eq!(outer_prefix("default"), "gp-default-");
        let long = outer_prefix("test-0123abcd");
        assert!(format!("{long}999").len() <= NAME_MAX_BYTES, "{long}");
        assert_ne!(long, outer_prefix("test-0123abce"));
    }
}
