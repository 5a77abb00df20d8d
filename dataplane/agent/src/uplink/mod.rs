//! The regions' ways to the outside: one pair of links per region between the fast path and the host, or a router of our own
//! behind one of the host's cards.
//!
//! ```text
//! fast path ── uplink0 ═══ gp-NAME-0 ── the host (pool routed to it)
//! fast path ── uplink0 ═══ gp-NAME-0 ── router namespace ── card0 (macvlan) ── IFACE's network
//! ```
//!
//! Of the host itself nothing is changed but its end of the pair, which goes with the pair; `--internet` is the exception and keeps a
//! record of what to restore. Links, routes and programs stay when the process ends, so packets go on.

mod check;
mod config;
mod internet;
mod neighbors;
mod remove;

pub use check::{check_region, check_uplink};
pub use config::{UplinkConfig, Way};
pub(crate) use remove::remove;

use crate::config::AgentConfig;
use crate::error::{AgentError, chain};
use crate::plumbing::Plumbing;
use config::outer_prefix;
use gp_compile::HostView;
use gp_linux::{GuestAddress, Links, LinuxError, NetNs, OuterEnd, Route, VethSpec, configure_outer_end, make_router};
use gp_model::{Mac, OUTSIDE_IPV6, Region, World};
use gp_slowpath::{Output, Uplink};
use ipnet::IpNet;
use neighbors::CardNeighbors;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use tracing::{error, info};

/// MTU of the outside, in bytes (VPC user guide, "Internet gateways": 1500).
const MTU: u16 = 1500;
/// The card's child in the router's namespace.
const CARD: &str = "card0";
/// The note on an inner end: this and the region.
const NOTE: &str = "uplink ";
/// Regions that can have an uplink at the same time: interface names have room for three digits.
const REGIONS_MAX: usize = 1000;

/// The uplinks of one Groundplane.
#[derive(Debug)]
pub struct Uplinks {
    config: UplinkConfig,
    /// Names of the outer ends begin so.
    prefix: String,
    /// Where the outer ends are: the host's namespace, or that of our router.
    outside: NetNs,
    plumbing: Arc<Plumbing>,
    /// Behind a card that has IPv6.
    neighbors: Option<CardNeighbors>,
    /// What was made last; equal plans need no work.
    made: BTreeMap<Region, Plan>,
    /// Blocks have come or gone that the card's network has not been told of.
    is_news: bool,
}

/// What an uplink must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    number: usize,
    outside: Option<Ipv4Addr>,
    blocks: BTreeSet<IpNet>,
}

impl Uplinks {
    /// Makes the uplinks of the default region and of those in the view, and the router where a card is the way; and takes away
    /// what an earlier process made that is no longer wanted.
    ///
    /// # Errors
    /// The host refuses: the pool is routed elsewhere, or the card can't be used.
    pub fn start(agent: &AgentConfig, plumbing: Arc<Plumbing>, view: &HostView) -> Result<Option<Self>, AgentError> {
        let Some(config) = agent.uplink.clone() else { return remove(agent).map(|()| None) };
        let host = NetNs::current()?;
        let prefix = outer_prefix(&agent.name);
        let (outside, neighbors) = match &config.way {
            Way::Host { .. } => (host.try_clone()?, None),
            Way::Card { interface, addresses, gateways } => {
                check::spares_the_network(&config)?;
                let router = ensure_router(agent, &host, interface, addresses, gateways)?;
                let neighbors = CardNeighbors::start(&router, card_mac(&agent.name), addresses, gateways)?;
                (router, neighbors)
            }
        };
        let mut uplinks = Self { config, prefix, outside, plumbing, neighbors, made: BTreeMap::new(), is_news: true };
        if uplinks.config.way == (Way::Host { internet: true }) {
            internet::ensure(agent, &host, &uplinks.prefix, &uplinks.blocks())?;
        } else {
            internet::remove(agent, &host)?;
        }
        let region = uplinks.config.pools.default_region().clone();
        uplinks.ensure_region(&region, view.regions.get(&region).map(Arc::as_ref))?;
        uplinks.ensure(view);
        if matches!(uplinks.config.way, Way::Host { .. }) {
            remove::remove_router(agent)?;
        }
        Ok(Some(uplinks))
    }

    /// Makes the uplinks of all regions so that their public addresses are reached. Says whether all are.
    pub fn ensure(&mut self, view: &HostView) -> bool {
        let mut is_complete = true;
        // A region whose last record has gone is in no view any more, and its blocks have gone with it.
        let emptied: Vec<_> = self.made.keys().filter(|region| !view.regions.contains_key(*region)).cloned().collect();
        let emptied = emptied.iter().map(|region| (region, None));
        for (region, world) in view.regions.iter().map(|(region, world)| (region, Some(&**world))).chain(emptied) {
            if let Err(error) = self.ensure_region(region, world) {
                error!(%region, error = chain(&error), "the region has no way to the outside");
                is_complete = false;
            }
        }
        if let Err(error) = self.tell_neighbors() {
            error!(error = chain(&error), "the card's network can't ask for IPv6 addresses");
            is_complete = false;
        }
        is_complete
    }

    /// Lets the card's network find the IPv6 blocks of all regions.
    fn tell_neighbors(&mut self) -> Result<(), AgentError> {
        let Some(neighbors) = self.neighbors.as_mut().filter(|_| self.is_news) else { return Ok(()) };
        let blocks = self.made.values().flat_map(|plan| &plan.blocks).filter_map(|block| match block {
            IpNet::V4(_) => None,
            IpNet::V6(block) => Some(*block),
        });
        neighbors.ensure(&self.outside, blocks)?;
        self.is_news = false;
        Ok(())
    }

    fn ensure_region(&mut self, region: &Region, world: Option<&World>) -> Result<(), AgentError> {
        let number = match self.made.get(region) {
            Some(plan) => plan.number,
            None => self.number_of(region)?,
        };
        let pools = &self.config.pools;
        let own = pools.of(region).into_iter().map(IpNet::V4);
        let ipv6 = world.into_iter().flat_map(|world| world.tables().vpcs.values());
        let ipv6 = ipv6.flat_map(|vpc| vpc.ipv6_cidrs.iter().map(|association| IpNet::V6(association.cidr)));
        let plan = Plan { number, outside: pools.outside(region), blocks: own.chain(ipv6).collect() };
        if self.made.get(region) == Some(&plan) {
            return Ok(());
        }
        self.make(region, &plan)?;
        self.is_news = true;
        if self.made.insert(region.clone(), plan).is_none() {
            info!(%region, link = self.outer_name(number), "the way to the outside is open");
            self.forward(region)?;
        }
        Ok(())
    }

    /// The number of the region's uplink: the one that it has had, else the first that is free.
    fn number_of(&self, region: &Region) -> Result<usize, AgentError> {
        let links = self.plumbing.links().list_links()?;
        let taken: BTreeMap<usize, String> = links
            .into_iter()
            .filter_map(|link| Some((link.name.strip_prefix("uplink")?.parse().ok()?, link.alias?)))
            .collect();
        let note = note(region);
        if let Some((number, _)) = taken.iter().find(|(_, alias)| **alias == note) {
            return Ok(*number);
        }
        let mine = |number: &usize| self.made.values().all(|plan| plan.number != *number);
        let free = (0..REGIONS_MAX).find(|number| !taken.contains_key(number) && mine(number));
        free.ok_or(AgentError::TooManyUplinks)
    }

    /// First the pair, then the program on its inner end, then what makes packets come.
    fn make(&self, region: &Region, plan: &Plan) -> Result<(), AgentError> {
        let (inner, outer) = (inner_name(plan.number), self.outer_name(plan.number));
        let outer_mac = outer_mac(plan.number);
        let links = self.plumbing.links();
        let veth = links.ensure_veth(&VethSpec {
            host_name: &inner,
            host_mac: None,
            guest_name: &outer,
            guest_netns: &self.outside,
            guest_mac: outer_mac.0,
            mtu: MTU.into(),
            alias: &note(region),
        })?;
        links.set_neighbors(veth.host_ifindex, false)?;
        // Removed by somebody else just now: the next round makes it again.
        let vanished = || LinuxError::Missing(format!("the link {inner} has gone while it was made"));
        let own = links.link(&inner)?.ok_or_else(vanished)?.mac;
        let uplink = Uplink {
            region: region.clone(),
            ifindex: veth.host_ifindex,
            output: Output::Peer,
            mac: Mac(own),
            peer_mac: outer_mac,
            mtu: MTU,
        };
        self.plumbing.open_uplink(&inner, uplink)?;
        let addresses: Vec<_> = own_addresses(plan.outside).collect();
        let routes: Vec<_> = plan.blocks.iter().map(|block| route_to(*block, plan.outside)).collect();
        configure_outer_end(
            &self.outside,
            &OuterEnd {
                name: &outer,
                alias: &note(region),
                addresses: &addresses,
                routes: &routes,
                has_neighbors: false,
            },
        )?;
        Ok(())
    }

    fn outer_name(&self, number: usize) -> String {
        format!("{}{number}", self.prefix)
    }

    /// Lets the host forward what comes out of the region's uplink, if it is to reach the internet.
    fn forward(&self, region: &Region) -> Result<(), AgentError> {
        if let (Way::Host { internet: true }, Some(plan)) = (&self.config.way, self.made.get(region)) {
            gp_linux::set_forwarding(&self.outside, &self.outer_name(plan.number), true)?;
        }
        Ok(())
    }

    /// The blocks of public addresses that there can be.
    fn blocks(&self) -> Vec<ipnet::Ipv4Net> {
        let pools = &self.config.pools;
        let mut blocks: Vec<_> = pools.configured().chain(pools.of(pools.default_region())).collect();
        blocks.push(gp_model::PublicPools::OTHER_REGIONS);
        ipnet::Ipv4Net::aggregate(&blocks)
    }
}

fn ensure_router(
    agent: &AgentConfig,
    host: &NetNs,
    interface: &str,
    addresses: &[IpNet],
    gateways: &[IpAddr],
) -> Result<NetNs, AgentError> {
    let router = NetNs::ensure_pinned(&agent.router_pin())?;
    let mac = card_mac(&agent.name);
    Links::open(host)?.ensure_card_child(interface, CARD, &router, mac.0)?;
    make_router(&router, CARD)?;
    let mut addresses: Vec<_> =
        addresses.iter().map(|net| GuestAddress { address: net.addr(), prefix_len: net.prefix_len() }).collect();
    if addresses.iter().any(|own| own.address.is_ipv6()) {
        // Other routers ask for neighbours from their link-local addresses, and only a link-local one can answer.
        addresses.push(GuestAddress { address: mac.link_local().into(), prefix_len: 64 });
    }
    let routes: Vec<_> = gateways
        .iter()
        .map(|gateway| {
            let everything =
                if gateway.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            Route { destination: IpNet::new_assert(everything, 0), gateway: Some(*gateway), source: None }
        })
        .collect();
    let end =
        OuterEnd { name: CARD, alias: "uplink card", addresses: &addresses, routes: &routes, has_neighbors: true };
    configure_outer_end(&router, &end)?;
    Ok(router)
}

fn inner_name(number: usize) -> String {
    format!("uplink{number}")
}

fn note(region: &Region) -> String {
    format!("{NOTE}{region}")
}

/// Both ends are without neighbour discovery, so that only we have to know it.
fn outer_mac(number: usize) -> Mac {
    let [.., high, low] = number.to_be_bytes();
    Mac([0x0a, 0x67, 0x70, 0x00, high, low])
}

/// Different on each Groundplane of a network, the same after each start.
fn card_mac(name: &str) -> Mac {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let text = machine.trim().bytes().chain(name.bytes());
    let hash = text.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [a, b, c, d] = hash.to_be_bytes();
    Mac([0x0a, 0x67, a, b, c, d])
}

fn own_addresses(outside: Option<Ipv4Addr>) -> impl Iterator<Item = GuestAddress> {
    outside.into_iter().flat_map(|v4| {
        [
            GuestAddress { address: IpAddr::V4(v4), prefix_len: 32 },
            GuestAddress { address: IpAddr::V6(outside_ipv6(v4)), prefix_len: 128 },
        ]
    })
}

/// `2001:db8::198.51.100.1` for 198.51.100.1.
fn outside_ipv6(v4: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(OUTSIDE_IPV6.addr()) | u128::from(u32::from(v4)))
}

fn route_to(block: IpNet, outside: Option<Ipv4Addr>) -> Route {
    let source = outside.map(|v4| if block.addr().is_ipv4() { v4.into() } else { outside_ipv6(v4).into() });
    Route { destination: block, gateway: None, source }
}
