//! The options of the way to the outside, for `up` and `doctor`.

use anyhow::{Context, Result, bail};
use gp_agent::{UplinkConfig, Way};
use gp_model::{Ipv6Pool, LostIpv6Block, PublicPools, Region};
use gp_store::Snapshot;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::IpAddr;
use std::str::FromStr;

#[derive(Debug, Clone, Default, clap::Args)]
pub struct UplinkOptions {
    /// Do without a way to the outside: public addresses are reached from inside only.
    #[arg(long, conflicts_with_all = ["internet", "uplink"])]
    pub no_uplink: bool,
    /// Public addresses of a region, the default one unless named [default: 198.51.100.0/24; other regions: a /24 of
    /// 198.18.0.0/16 each]. May be given several times.
    #[arg(long, value_name = "[REGION=]CIDR")]
    pub public_pool: Vec<PoolArgument>,
    /// Public addresses that only those get who ask for this pool, as with addresses that AWS's customers bring.
    /// DescribePublicIpv4Pools names it. May be given several times.
    #[arg(long, value_name = "[REGION=]CIDR")]
    pub byoip_pool: Vec<PoolArgument>,
    /// IPv6 addresses of your own: VPCs take their blocks of this pool that ask for it. DescribeIpv6Pools names it. May be
    /// given several times.
    #[arg(long, value_name = "[REGION=]CIDR")]
    pub ipv6_pool: Vec<Ipv6PoolArgument>,
    /// Let instances reach the internet by this machine's own address. Changes this machine: adds a table to nftables,
    /// and lets its way out forward.
    #[arg(long, conflicts_with = "uplink")]
    pub internet: bool,
    /// Lead the public addresses to the network behind this interface, which itself stays as it is.
    #[arg(long, value_name = "IFACE", requires = "public_pool", requires = "uplink_gateway")]
    pub uplink: Option<String>,
    /// For --uplink: an address on that network for Groundplane's own use [default: the first of the pool].
    #[arg(long, value_name = "ADDRESS/LENGTH", requires = "uplink")]
    pub uplink_address: Vec<IpNet>,
    /// For --uplink: that network's router; one per family.
    #[arg(long, value_name = "ADDRESS", requires = "uplink")]
    pub uplink_gateway: Vec<IpAddr>,
}

/// `198.51.100.0/24` or `eu-central-1=203.0.113.0/24`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolArgument {
    region: Option<Region>,
    block: Ipv4Net,
}

impl FromStr for PoolArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (region, cidr) = region_and_block(text)?;
        let block: Ipv4Net =
            cidr.parse().map_err(|_| format!("'{cidr}' is not an IPv4 block such as 203.0.113.0/24"))?;
        if block.trunc() != block {
            return Err(format!("{block} has bits behind its length: did you mean {}?", block.trunc()));
        }
        let first = block.network();
        if first.is_private() || first.is_loopback() || first.is_link_local() || first.is_multicast() {
            return Err(format!("{block} can't be public: VPCs and the machine use such addresses themselves"));
        }
        Ok(Self { region, block })
    }
}

/// `2001:db8:f00::/48` or `eu-central-1=2001:db8:f00::/48`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ipv6PoolArgument {
    region: Option<Region>,
    block: Ipv6Net,
}

impl FromStr for Ipv6PoolArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (region, cidr) = region_and_block(text)?;
        let block: Ipv6Net =
            cidr.parse().map_err(|_| format!("'{cidr}' is not an IPv6 block such as 2001:db8:f00::/48"))?;
        if block.trunc() != block {
            return Err(format!("{block} has bits behind its length: did you mean {}?", block.trunc()));
        }
        Ipv6Pool::check(block, &[]).map_err(|error| error.to_string())?;
        Ok(Self { region, block })
    }
}

/// The two sides of `REGION=CIDR`.
fn region_and_block(text: &str) -> Result<(Option<Region>, &str), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("the region in front of '=' is missing".into()),
        Some((region, cidr)) => Ok((Some(Region::new(region)), cidr)),
        None => Ok((None, text)),
    }
}

/// Does every VPC still have the pool that its blocks are of? What is stored is never given up because an option is
/// missing.
///
/// # Errors
/// A sentence: which pool is missing, and who uses it.
pub fn insist_on_pools(pools: &PublicPools, snapshot: &Snapshot) -> Result<()> {
    for (region, world) in &snapshot.regions {
        let Some(LostIpv6Block { vpc, block, pool }) = pools.lost_ipv6_block(world) else { continue };
        let give = match pool {
            Some(pool) => format!("start with --ipv6-pool {region}={pool}"),
            None => format!("start with the --ipv6-pool of {region} that it was taken of"),
        };
        bail!(
            "the VPC {vpc} of {region} has the block {block} of a pool that is not given any more: {give}, and take the \
             block from the VPC before you leave that out"
        );
    }
    Ok(())
}

impl UplinkOptions {
    /// Each region's public addresses.
    ///
    /// # Errors
    /// Two blocks overlap.
    pub fn pools(&self, default_region: &str) -> Result<PublicPools> {
        let default_region = Region::new(default_region);
        let mut pools = PublicPools::new(default_region.clone());
        let mut taken: Vec<Ipv4Net> = Vec::new();
        for PoolArgument { region, block } in &self.public_pool {
            if let Some(other) = overlapping(&taken, *block) {
                bail!("the blocks {other} and {block} of --public-pool overlap");
            }
            taken.push(*block);
            pools.configure(region.clone().unwrap_or_else(|| default_region.clone()), *block);
        }
        taken.extend(pools.of(&default_region));
        taken.push(PublicPools::OTHER_REGIONS);
        for PoolArgument { region, block } in &self.byoip_pool {
            if let Some(other) = overlapping(&taken, *block) {
                bail!("the block {block} of --byoip-pool overlaps with {other}, which has another use");
            }
            taken.push(*block);
            pools.bring(region.clone().unwrap_or_else(|| default_region.clone()), *block);
        }
        let mut taken: Vec<Ipv6Net> = Vec::new();
        for Ipv6PoolArgument { region, block } in &self.ipv6_pool {
            Ipv6Pool::check(*block, &taken).context("the options --ipv6-pool can't stand together")?;
            taken.push(*block);
            pools.bring_ipv6(region.clone().unwrap_or_else(|| default_region.clone()), *block);
        }
        Ok(pools)
    }

    /// The way to the outside, unless there is to be none.
    ///
    /// # Errors
    /// The options don't fit together.
    pub fn config(&self, default_region: &str) -> Result<Option<UplinkConfig>> {
        let pools = self.pools(default_region)?;
        if self.no_uplink {
            return Ok(None);
        }
        let way = match &self.uplink {
            None => Way::Host { internet: self.internet },
            Some(interface) => {
                let gateways = self.uplink_gateway.clone();
                for is_ipv4 in [true, false] {
                    if gateways.iter().filter(|gateway| gateway.is_ipv4() == is_ipv4).count() > 1 {
                        bail!("--uplink-gateway names two routers of one family; only one can be used");
                    }
                }
                Way::Card { interface: interface.clone(), addresses: self.uplink_address.clone(), gateways }
            }
        };
        Ok(Some(UplinkConfig { pools, way }))
    }
}

/// One of these blocks that has addresses of this one.
fn overlapping(taken: &[Ipv4Net], block: Ipv4Net) -> Option<Ipv4Net> {
    taken.iter().copied().find(|other| gp_model::overlaps(&(*other).into(), &block.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Arguments;
    use clap::Parser;

    fn options(words: &str) -> Result<UplinkOptions> {
        let line = format!("groundplane up {words}");
        let arguments = Arguments::try_parse_from(line.split_whitespace())?;
        let crate::args::Command::Up(options) = arguments.command else { bail!("not up") };
        Ok(options.uplink)
    }

    #[test]
    fn the_host_is_the_outside_unless_the_operator_says_otherwise() {
        let config = options("").unwrap().config("us-east-1").unwrap().unwrap();
        assert_eq!(config.way, Way::Host { internet: false });
        assert_eq!(options("--no-uplink").unwrap().config("us-east-1").unwrap(), None);
    }

    #[test]
    fn pools_belong_to_the_default_region_or_to_the_one_that_is_named() {
        let given = options("--public-pool 203.0.113.0/25 --public-pool eu-west-1=203.0.113.128/25").unwrap();
        let pools = given.pools("us-east-1").unwrap();
        assert_eq!(pools.of(&Region::new("us-east-1"))[0].to_string(), "203.0.113.0/25");
        assert_eq!(pools.of(&Region::new("eu-west-1"))[0].to_string(), "203.0.113.128/25");
    }

    #[test]
    fn pools_that_are_asked_for_stand_beside_the_regions_own() {
        let given = options("--byoip-pool 203.0.113.0/25 --byoip-pool eu-west-1=203.0.113.128/25").unwrap();
        let pools = given.pools("us-east-1").unwrap();
        assert_eq!(pools.byoip(&Region::new("us-east-1"))[0].block.to_string(), "203.0.113.0/25");
        assert_eq!(pools.byoip(&Region::new("eu-west-1"))[0].block.to_string(), "203.0.113.128/25");
        assert_eq!(pools.of(&Region::new("us-east-1"))[0].to_string(), "198.51.100.0/24");
        for block in ["198.51.100.128/25", "198.18.7.0/24", "203.0.113.0/25 --public-pool 203.0.113.0/24"] {
            assert!(options(&format!("--byoip-pool {block}")).unwrap().pools("us-east-1").is_err(), "{block}");
        }
    }

    #[test]
    fn pools_of_ipv6_stand_beside_the_others() {
        let given = options("--ipv6-pool 2001:db8:f00::/48 --ipv6-pool eu-west-1=2001:db8:f01::/56").unwrap();
        let pools = given.pools("us-east-1").unwrap();
        assert_eq!(pools.ipv6(&Region::new("us-east-1"))[0].block.to_string(), "2001:db8:f00::/48");
        assert_eq!(pools.ipv6(&Region::new("eu-west-1"))[0].block.to_string(), "2001:db8:f01::/56");
        for block in [
            "fe80::/48",
            "ff02::/48",
            "fd00::/48",
            "3fff:1::/48",
            "2001:db8:f00::/64",
            "2001:db8:f00::1/48",
            "x",
            "10.0.0.0/8",
        ] {
            assert!(options(&format!("--ipv6-pool {block}")).is_err(), "{block}");
        }
        let twice = options("--ipv6-pool 2001:db8:f00::/48 --ipv6-pool eu-west-1=2001:db8:f00:8000::/56").unwrap();
        let refused = format!("{:#}", twice.pools("us-east-1").unwrap_err());
        assert!(refused.contains("2001:db8:f00:8000::/56 overlaps with 2001:db8:f00::/48"), "{refused}");
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        for words in [
            "--public-pool 203.0.113.1/24",
            "--public-pool 10.0.0.0/24",
            "--public-pool =203.0.113.0/24",
            "--public-pool everything",
            "--no-uplink --internet",
            "--uplink eth0",
            "--uplink eth0 --public-pool 203.0.113.0/24",
            "--uplink-gateway 203.0.113.1",
        ] {
            assert!(options(words).is_err(), "{words}");
        }
        let overlapping = options("--public-pool 203.0.113.0/24 --public-pool eu-west-1=203.0.113.0/25").unwrap();
        assert!(overlapping.pools("us-east-1").is_err());
        let twice = "--uplink eth0 --public-pool 203.0.113.0/24 --uplink-gateway 192.0.2.1 --uplink-gateway 192.0.2.2";
        assert!(options(twice).unwrap().config("us-east-1").is_err());
    }
}
