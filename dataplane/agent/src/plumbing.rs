//! Plugs ENIs into instances: a veth whose near end carries the fast path, and addresses inside the guest.

use crate::error::AgentError;
use crate::guest::Seat;
use gp_linux::{GuestAddress, GuestConfig, Links, NetNs, Veth, VethSpec, configure_guest};
use gp_maps::Fastpath;
use gp_model::{Eni, EniId, InstanceId, Region, Subnet};
use gp_slowpath::{Engine, Now, Output, Port};
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// MTU inside a VPC, in bytes (EC2 user guide, "Network MTU").
pub const MTU: u16 = gp_services::VPC_MTU_BYTES;

/// What an ENI must look like on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EniPlan {
    pub eni: EniId,
    pub instance: InstanceId,
    pub region: Region,
    pub mac: gp_model::Mac,
    pub guest_name: String,
    pub addresses: BTreeSet<(IpAddr, u8)>,
    /// The primary address comes first on the interface, so that it is the one the guest sends from.
    pub primary: Option<IpAddr>,
    /// Next hops of the default routes; only the primary ENI has them.
    pub gateway_ipv4: Option<Ipv4Addr>,
    pub is_primary: bool,
}

impl EniPlan {
    /// The plan of an attached ENI; `None` of one that isn't.
    pub fn of(region: &Region, eni: &Eni, subnet: &Subnet) -> Option<Self> {
        let attachment = eni.attachment.as_ref()?;
        let is_primary = attachment.device_index == 0 && attachment.network_card_index == 0;
        let primary = eni.primary_ipv4().map(IpAddr::V4);
        let prefix_len = |address: IpAddr| match (address, subnet.cidr) {
            (IpAddr::V4(_), Some(cidr)) if Some(address) == primary => cidr.prefix_len(),
            (IpAddr::V4(_), _) => 32,
            (IpAddr::V6(_), _) => 128,
        };
        Some(Self {
            eni: eni.id,
            instance: attachment.instance,
            region: region.clone(),
            mac: eni.mac,
            guest_name: format!("eth{}", attachment.device_index),
            addresses: eni.addresses().map(|address| (address, prefix_len(address))).collect(),
            primary,
            gateway_ipv4: gp_trace::router_ipv4(subnet).filter(|_| is_primary),
            is_primary,
        })
    }

    /// Interface names hold 15 characters: `e` and the first 14 digits of the id. The alias holds the whole id.
    fn host_name(&self) -> String {
        host_name(self.eni)
    }

    fn guest_addresses(&self) -> Vec<GuestAddress> {
        let mut addresses: Vec<_> =
            self.addresses.iter().map(|&(address, prefix_len)| GuestAddress { address, prefix_len }).collect();
        addresses.sort_by_key(|a| Some(a.address) != self.primary);
        addresses
    }
}

fn host_name(eni: EniId) -> String {
    let digits: String = eni.to_string().trim_start_matches(EniId::PREFIX).chars().take(14).collect();
    format!("e{digits}")
}

/// Everything that plugging needs; shared by the workers that boot instances.
#[derive(Debug)]
pub struct Plumbing {
    netns: NetNs,
    links: Links,
    fastpath: Mutex<Fastpath>,
    engine: Arc<Engine>,
    /// Where each ENI was plugged last. An ENI may be plugged into its next instance before the last one has let it go:
    /// letting go must not take it from the next one.
    holders: Mutex<HashMap<EniId, InstanceId>>,
}

impl Plumbing {
    /// # Errors
    /// The namespace can't be entered.
    pub fn new(netns: NetNs, fastpath: Fastpath, engine: Arc<Engine>) -> Result<Self, AgentError> {
        let links = Links::open(&netns)?;
        Ok(Self { netns, links, fastpath: Mutex::new(fastpath), engine, holders: Mutex::default() })
    }

    fn fastpath(&self) -> MutexGuard<'_, Fastpath> {
        // A panic while attaching leaves nothing half-written in the handle itself.
        self.fastpath.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holders(&self) -> MutexGuard<'_, HashMap<EniId, InstanceId>> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the ENI equal to its plan at its seat, whatever part of it is there already.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn plug(&self, plan: &EniPlan, seat: &Seat) -> Result<(), AgentError> {
        let Seat::Netns(guest) = seat;
        self.holders().insert(plan.eni, plan.instance);
        let host_name = plan.host_name();
        let alias = plan.eni.to_string();
        let veth = self.links.ensure_veth(&VethSpec {
            host_name: &host_name,
            host_mac: None,
            guest_name: &plan.guest_name,
            guest_netns: guest,
            guest_mac: plan.mac.0,
            mtu: MTU.into(),
            alias: &alias,
        })?;
        let Veth { host_ifindex: ifindex, .. } = veth;
        let port = Port {
            eni: plan.eni,
            region: plan.region.clone(),
            ifindex,
            vlan: 0,
            output: Output::Peer,
            mac: plan.mac,
            mtu: MTU,
        };
        self.engine.add_port(port, Now::read())?;
        self.netns.run(|| self.fastpath().attach_eni(&host_name))??;
        self.configure(plan, guest)
    }

    /// Addresses and routes of an ENI that is plugged.
    fn configure(&self, plan: &EniPlan, guest: &NetNs) -> Result<(), AgentError> {
        let has_ipv6 = plan.addresses.iter().any(|(address, _)| address.is_ipv6());
        configure_guest(
            guest,
            &GuestConfig {
                ifname: &plan.guest_name,
                mtu: MTU.into(),
                addresses: &plan.guest_addresses(),
                gateway_v4: plan.gateway_ipv4,
                gateway_v6: (has_ipv6 && plan.is_primary).then_some(gp_trace::ROUTER_LINK_LOCAL),
            },
        )?;
        Ok(())
    }

    /// Changes a plugged ENI from one plan to another without taking it away.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn change(&self, from: &EniPlan, to: &EniPlan, seat: &Seat) -> Result<(), AgentError> {
        let Seat::Netns(guest) = seat;
        for &(address, prefix_len) in from.addresses.difference(&to.addresses) {
            gp_linux::remove_guest_address(guest, &from.guest_name, GuestAddress { address, prefix_len })?;
        }
        self.configure(to, guest)
    }

    /// Takes the ENI away from an instance, if it is still plugged there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn unplug_from(&self, eni: EniId, instance: InstanceId) -> Result<(), AgentError> {
        if self.holders().get(&eni) == Some(&instance) { self.unplug(eni) } else { Ok(()) }
    }

    /// Takes the ENI away, wherever it is: first its flows, then its link, so that no packet is half on its way.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn unplug(&self, eni: EniId) -> Result<(), AgentError> {
        self.holders().remove(&eni);
        self.engine.remove_port(eni, Now::read());
        self.links.remove_link(&host_name(eni))?;
        Ok(())
    }

    /// The ENIs that have a link here, from an earlier process perhaps.
    ///
    /// # Errors
    /// The kernel's answer can't be read.
    pub fn plugged(&self) -> Result<Vec<EniId>, AgentError> {
        let links = self.links.list_links()?;
        Ok(links.iter().filter_map(|link| link.alias.as_ref()?.parse().ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_fit_the_kernel() {
        let eni: EniId = "eni-0123456789abcdef0".parse().expect("a well-formed id");
        assert_eq!(host_name(eni), "e0123456789abcd");
        assert!(host_name(eni).len() <= 15);
    }
}
