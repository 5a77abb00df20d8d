//! Plugs ENIs into instances: a veth whose near end carries the fast path, and addresses inside the guest.

use crate::error::AgentError;
use crate::guest::Seat;
use gp_linux::{GuestAddress, GuestConfig, Links, NetNs, PolicyTable, Veth, VethSpec, configure_guest};
use gp_maps::Fastpath;
use gp_model::{Eni, EniId, Instance, InstanceId, Region, Subnet};
use gp_slowpath::{Engine, Now, Output, Port};
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// MTU inside a VPC, in bytes (EC2 user guide, "Network MTU").
pub const MTU: u16 = gp_services::VPC_MTU_BYTES;

/// An instance with this tag set to `off` gets no policy routing: what its secondary ENIs are sent is answered by its
/// primary one, which the VPC drops.
pub const POLICY_ROUTING_TAG: &str = "groundplane:policy-routing";
/// Routing tables and metrics of an interface, by its number (amazon-ec2-net-utils: `rule_base`, `metric_base`).
const TABLE_BASE: u32 = 10_000;
const METRIC_BASE: u32 = 512;
const METRIC_STEP: u32 = 10;
/// Device indexes are free per network card, interface names are not.
const NUMBERS_PER_CARD: u32 = 100;

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
    /// Delegated ones, which the guest hands on: only its rules know them.
    pub prefixes: BTreeSet<(IpAddr, u8)>,
    pub subnet: Option<(Ipv4Addr, u8)>,
    /// The subnet's router.
    pub gateway_ipv4: Option<Ipv4Addr>,
    /// 0 for the primary ENI, whose router takes what no other interface's rules claim.
    pub number: u32,
    pub policy_routing: bool,
}

impl EniPlan {
    /// The plan of an ENI that is attached to this instance; `None` of one that isn't.
    pub fn of(region: &Region, eni: &Eni, subnet: &Subnet, instance: &Instance) -> Option<Self> {
        let attachment = eni.attachment.as_ref().filter(|attachment| attachment.instance == instance.id)?;
        let number = attachment.network_card_index * NUMBERS_PER_CARD + attachment.device_index;
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
            guest_name: format!("eth{number}"),
            addresses: eni.addresses().map(|address| (address, prefix_len(address))).collect(),
            primary,
            prefixes: prefixes_of(eni),
            subnet: subnet.cidr.map(|cidr| (cidr.network(), cidr.prefix_len())),
            gateway_ipv4: gp_trace::router_ipv4(subnet),
            number,
            policy_routing: instance.tags.get(POLICY_ROUTING_TAG).is_none_or(|value| value != "off"),
        })
    }

    fn has_ipv6(&self) -> bool {
        self.addresses.iter().any(|(address, _)| address.is_ipv6())
    }

    fn table_id(&self) -> u32 {
        TABLE_BASE + self.number
    }

    /// The primary ENI needs none: the main table is its.
    fn policy(&self) -> Option<PolicyTable> {
        if self.number == 0 || !self.policy_routing {
            return None;
        }
        let source = match self.primary {
            Some(IpAddr::V4(primary)) => Some(primary),
            _ => None,
        };
        let whole = |address: IpAddr| (address, if address.is_ipv4() { 32 } else { 128 });
        let addresses = self.addresses.iter().map(|(address, _)| whole(*address));
        Some(PolicyTable {
            id: self.table_id(),
            subnet: self.subnet.zip(source).map(|((network, length), source)| (network, length, source)),
            gateway_v4: self.gateway_ipv4.filter(|_| source.is_some()),
            gateway_v6: self.has_ipv6().then_some(gp_trace::ROUTER_LINK_LOCAL),
            sources: addresses.chain(self.prefixes.iter().copied()).collect(),
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

fn prefixes_of(eni: &Eni) -> BTreeSet<(IpAddr, u8)> {
    let v4 = eni.ipv4_prefixes.iter().map(|prefix| (IpAddr::V4(prefix.network()), prefix.prefix_len()));
    v4.chain(eni.ipv6_prefixes.iter().map(|prefix| (IpAddr::V6(prefix.network()), prefix.prefix_len()))).collect()
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
        let is_primary = plan.number == 0;
        configure_guest(
            guest,
            &GuestConfig {
                ifname: &plan.guest_name,
                mtu: MTU.into(),
                addresses: &plan.guest_addresses(),
                metric: METRIC_BASE + METRIC_STEP * plan.number,
                gateway_v4: plan.gateway_ipv4.filter(|_| is_primary),
                gateway_v6: (plan.has_ipv6() && is_primary).then_some(gp_trace::ROUTER_LINK_LOCAL),
                policy: plan.policy(),
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
        if from.policy().is_some() && to.policy().is_none() {
            gp_linux::remove_policy(guest, from.table_id())?;
        }
        self.configure(to, guest)
    }

    /// Takes the ENI away from an instance that goes on running, and what was made for it inside.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn hot_unplug(&self, plan: &EniPlan, seat: &Seat) -> Result<(), AgentError> {
        self.unplug_from(plan.eni, plan.instance)?;
        let Seat::Netns(guest) = seat;
        if plan.policy().is_some() {
            gp_linux::remove_policy(guest, plan.table_id())?;
        }
        Ok(())
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
