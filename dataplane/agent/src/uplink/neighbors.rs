//! Neighbour discovery on the card: who on its network asks for an address of a VPC's IPv6 block is told the router's.
//!
//! The kernel's proxy for ND takes single addresses, where that for ARP takes whatever is routed elsewhere; so a program
//! of ours answers, for blocks (RFC 4861, 7.2.8). It goes on while no process runs.

use super::CARD;
use crate::error::AgentError;
use gp_abi::NeighborAnswer;
use gp_linux::{Links, NetNs};
use gp_maps::Neighbors;
use gp_model::Mac;
use ipnet::{IpNet, Ipv6Net};
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Debug)]
pub(super) struct CardNeighbors {
    neighbors: Neighbors,
    mac: Mac,
    /// What is somebody else's on the card's network, or the router's own: the stack knows what to answer.
    spared: Vec<Ipv6Net>,
    is_attached: bool,
}

impl CardNeighbors {
    /// `None` where the router has no IPv6 address on the card's network: it leads none there.
    ///
    /// # Errors
    /// The kernel refuses the program.
    pub fn start(
        router: &NetNs,
        mac: Mac,
        addresses: &[IpNet],
        gateways: &[IpAddr],
    ) -> Result<Option<Self>, AgentError> {
        let own = addresses.iter().map(IpNet::addr);
        let has_ipv6 = own.clone().any(|address| address.is_ipv6());
        // Solicitations go to groups by the target's last three bytes, more than can be joined one by one.
        let links = Links::open(router)?;
        if let Some(card) = links.link(CARD)? {
            links.set_all_multicast(card.ifindex, has_ipv6)?;
        }
        if !has_ipv6 {
            router.run(|| Neighbors::detach(CARD))??;
            return Ok(None);
        }
        let spared = own.chain(gateways.iter().copied()).filter_map(|address| match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(Ipv6Net::from(address)),
        });
        Ok(Some(Self { neighbors: Neighbors::load()?, mac, spared: spared.collect(), is_attached: false }))
    }

    /// Answers for these blocks, and no longer for others.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn ensure(&mut self, router: &NetNs, blocks: impl Iterator<Item = Ipv6Net>) -> Result<(), AgentError> {
        let answer = |is_answered| NeighborAnswer {
            mac: self.mac.0,
            is_answered,
            reserved: 0,
            source: self.mac.link_local().octets(),
        };
        let mut wanted: BTreeMap<_, _> = blocks.map(|block| (block, answer(1))).collect();
        wanted.extend(self.spared.iter().map(|address| (*address, answer(0))));
        self.neighbors.set(&wanted)?;
        if !self.is_attached {
            // What a former process has attached answers until this one knows the blocks.
            router.run(|| self.neighbors.attach(CARD))??;
            self.is_attached = true;
        }
        Ok(())
    }
}
