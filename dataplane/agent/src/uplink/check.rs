//! Can this host do what is wanted of the uplink? The doctor's checks for its options.

use super::config::{UplinkConfig, Way, outer_prefix};
use super::{CARD, internet};
use crate::error::{AgentError, chain};
use gp_linux::doctor::Check;
use gp_linux::{Links, LinuxError, Masquerade, NetNs, ensure_masquerade, list_own_addresses};
use gp_model::Region;
use ipnet::IpNet;
use std::net::IpAddr;

/// Checks the blocks, and the card or the way to the internet. Changes nothing.
pub fn check_uplink(name: &str, config: &UplinkConfig) -> Vec<Check> {
    let mut checks = Vec::new();
    match &config.way {
        Way::Host { internet } => {
            let remedy = "choose another block with --public-pool, --byoip-pool or --ipv6-pool, or do without a way to the \
                          outside with --no-uplink";
            checks.push(check("public-pool", pools_are_free(name, config), remedy));
            if *internet {
                let remedy = "install nftables and connect the machine to the internet, or leave --internet out";
                checks.push(check("internet", internet_is_there(config), remedy));
            }
        }
        Way::Card { interface, .. } => {
            let remedy = "give --public-pool, --byoip-pool or --ipv6-pool a block, or a part of one, that nobody on the \
                          card's network uses";
            checks.push(check("public-pool", spares_the_network(config), remedy));
            let remedy = "name an Ethernet interface of this machine that is up with --uplink";
            checks.push(check("uplink", card_takes_a_child(name, interface), remedy));
        }
    }
    checks
}

/// Can this host lead the public addresses of a region that is not there yet?
///
/// # Errors
/// A sentence: some of them are routed on this machine already.
pub fn check_region(name: &str, config: &UplinkConfig, region: &Region) -> Result<(), String> {
    // Behind a card the router is a namespace of our own.
    if !matches!(config.way, Way::Host { .. }) {
        return Ok(());
    }
    let ipv4: Vec<_> = config.pools.of(region).into_iter().map(IpNet::V4).collect();
    let ipv6: Vec<_> = config.pools.ipv6(region).iter().map(|pool| IpNet::V6(pool.block)).collect();
    for (blocks, option) in [(ipv4, "--public-pool"), (ipv6, "--ipv6-pool")] {
        blocks_are_free(name, &blocks)
            .map_err(|error| format!("{}; give the region another block with {option} {region}=CIDR", chain(&error)))?;
    }
    Ok(())
}

fn check(name: &'static str, result: Result<String, AgentError>, remedy: &str) -> Check {
    match result {
        Ok(detail) => Check { name, ok: true, detail, remedy: String::new() },
        Err(error) => Check { name, ok: false, detail: chain(&error), remedy: remedy.to_owned() },
    }
}

/// The router answers ARP for every address of the pools, and ND for what VPCs take of them, so none may be somebody's whom the host must go on reaching: its own,
/// its network's router, or what it is given there itself.
///
/// # Errors
/// One is, by name; or the host's addresses can't be read.
pub(super) fn spares_the_network(config: &UplinkConfig) -> Result<String, AgentError> {
    let Way::Card { addresses, gateways, .. } = &config.way else { return Ok(String::new()) };
    let pools = &config.pools;
    let outside = pools.outside(pools.default_region()).map(IpAddr::V4);
    let own = list_own_addresses(&NetNs::current()?)?.into_iter().map(|own| (own, "an address of this machine"));
    let routers = gateways.iter().map(|gateway| (*gateway, "the router that --uplink-gateway names"));
    let given = addresses.iter().map(|net| net.addr()).filter(|address| Some(*address) != outside);
    let taken =
        own.chain(routers).chain(given.map(|given| (given, "what --uplink-address gives to Groundplane itself")));
    let blocks = pools.own_blocks();
    for (address, whose) in taken {
        if let Some(block) = blocks.iter().find(|block| block.contains(&address)) {
            let message = format!("the public addresses {block} hold {address}, {whose}");
            return Err(LinuxError::Missing(message).into());
        }
    }
    Ok("no address of the network's own is in it".to_owned())
}

/// No link but those of this Groundplane is the way to any part of a block.
fn pools_are_free(name: &str, config: &UplinkConfig) -> Result<String, AgentError> {
    let blocks = config.pools.own_blocks();
    blocks_are_free(name, &blocks)?;
    let mut blocks: Vec<_> = blocks.iter().map(ToString::to_string).collect();
    blocks.dedup();
    Ok(format!("{} is free", blocks.join(", ")))
}

fn blocks_are_free(name: &str, blocks: &[IpNet]) -> Result<(), AgentError> {
    let links = Links::open(&NetNs::current()?)?;
    let prefix = outer_prefix(name);
    for block in blocks {
        if let Some(route) = links.route_into(*block, |link| link.starts_with(&prefix))? {
            let message = format!("the public addresses {block} are routed on this machine already ({route})");
            return Err(LinuxError::Missing(message).into());
        }
    }
    Ok(())
}

fn internet_is_there(config: &UplinkConfig) -> Result<String, AgentError> {
    let way_out = internet::way_out(&NetNs::current()?)?;
    let trial = NetNs::new_unpinned()?;
    let blocks = config.pools.of(config.pools.default_region());
    let (table, uplinks) = ("groundplane_doctor", "gp-");
    let masquerade = Masquerade { table, uplinks, way_out: &way_out, blocks: &blocks, is_guarded: true };
    ensure_masquerade(&trial, &masquerade)?;
    Ok(format!("by {way_out}"))
}

fn card_takes_a_child(name: &str, interface: &str) -> Result<String, AgentError> {
    let trial = NetNs::new_unpinned()?;
    let links = Links::open(&NetNs::current()?)?;
    // A hash of its own: not the MAC address of the child that may be there already.
    let mac = super::card_mac(&format!("doctor of {name}"));
    links.ensure_card_child(interface, CARD, &trial, mac.0)?;
    Links::open(&trial)?.remove_link(CARD)?;
    Ok(format!("{interface} takes a macvlan"))
}
