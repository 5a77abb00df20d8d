//! Plugs ENIs into instances: a veth whose near end carries the fast path, and addresses inside the guest.

use crate::eni_plan::{EniPlan, host_name};
use crate::error::AgentError;
use crate::guest::Seat;
use gp_linux::{GuestAddress, GuestConfig, LinkRemover, Links, NetNs, Tap, VethSpec, configure_guest};
use gp_maps::Fastpath;
use gp_model::{EniId, InstanceId};
use gp_slowpath::{Allowance, Engine, Now, Output, Port, Uplink};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tracing::debug;

/// MTU inside a VPC, in bytes (EC2 user guide, "Network MTU").
pub const MTU: u16 = gp_services::VPC_MTU_BYTES;

/// Everything that plugging needs; shared by the workers that boot instances.
#[derive(Debug)]
pub struct Plumbing {
    netns: NetNs,
    links: Links,
    remover: LinkRemover,
    fastpath: Mutex<Fastpath>,
    engine: Arc<Engine>,
    /// Whether instances have no more bandwidth than their types.
    bandwidth_limits: bool,
    /// Where each ENI was plugged last. An ENI may be plugged into its next instance before the last one has let it go:
    /// letting go must not take it from the next one.
    holders: Mutex<HashMap<EniId, InstanceId>>,
}

impl Plumbing {
    /// # Errors
    /// The namespace can't be entered.
    pub fn new(
        netns: NetNs,
        fastpath: Fastpath,
        engine: Arc<Engine>,
        bandwidth_limits: bool,
    ) -> Result<Self, AgentError> {
        let (links, remover) = (Links::open(&netns)?, LinkRemover::open(&netns)?);
        let (fastpath, holders) = (Mutex::new(fastpath), Mutex::default());
        Ok(Self { netns, links, remover, fastpath, engine, bandwidth_limits, holders })
    }

    /// The links of Groundplane's own namespace.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Gives a region its way to the outside, by a link of Groundplane's own namespace.
    ///
    /// # Errors
    /// No such link, or the kernel refuses.
    pub fn open_uplink(&self, link: &str, uplink: Uplink) -> Result<(), AgentError> {
        self.engine.set_uplink(uplink, Now::read())?;
        self.attach(link)
    }

    /// Puts the fast path on a link of Groundplane's own namespace.
    ///
    /// # Errors
    /// No such link, or the kernel refuses.
    fn attach(&self, link: &str) -> Result<(), AgentError> {
        self.netns.run(|| self.fastpath().attach_eni(link))??;
        Ok(())
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
        let started = Instant::now();
        self.holders().insert(plan.eni, plan.instance);
        match seat {
            Seat::Netns { netns, .. } => self.plug_veth(plan, netns, &plan.guest_name)?,
            Seat::Tap { netns, alias } => {
                gp_linux::ensure_tap(netns, &plan.guest_name, MTU.into(), alias)?;
                self.plug_veth(plan, netns, &plan.joint_name())?;
                gp_linux::ensure_joined(netns, &plan.guest_name, &plan.joint_name())?;
            }
            Seat::Machine => self.plug_tap(plan)?,
        }
        self.configure(plan, seat)?;
        if matches!(seat, Seat::Netns { is_configured: true, .. } | Seat::Tap { .. }) {
            self.links.wait_active(&plan.host_name())?;
        }
        debug!(eni = %plan.eni, took_us = started.elapsed().as_micros(), "plugged");
        Ok(())
    }

    /// The pair, with the program on its near end before a frame can leave its far one.
    fn plug_veth(&self, plan: &EniPlan, guest: &NetNs, guest_name: &str) -> Result<(), AgentError> {
        if guest.inode()? == self.netns.inode()? {
            return Err(AgentError::Guest("this network namespace is Groundplane's own".to_owned()));
        }
        let host_name = plan.host_name();
        let veth = self.links.ensure_veth(&VethSpec {
            host_name: &host_name,
            host_mac: None,
            guest_name,
            guest_netns: guest,
            guest_mac: plan.mac.0,
            mtu: MTU.into(),
            alias: &plan.eni.to_string(),
        })?;
        self.carry(plan, veth.host_ifindex, Output::Peer)
    }

    /// The TAP of a machine, with the program on it before the machine opens it.
    fn plug_tap(&self, plan: &EniPlan) -> Result<(), AgentError> {
        let ifindex = Tap::ensure_for_guest(&self.netns, &plan.host_name(), &plan.eni.to_string(), MTU.into())?;
        self.carry(plan, ifindex, Output::Egress)
    }

    /// Judges what comes in by an ENI's host side from now on.
    fn carry(&self, plan: &EniPlan, ifindex: u32, output: Output) -> Result<(), AgentError> {
        let (region, mac) = (plan.region.clone(), plan.mac);
        let bandwidth = |allowance: Allowance| allowance.bandwidth.filter(|_| self.bandwidth_limits);
        let allowance = plan.allowance.map(|allowance| Allowance { bandwidth: bandwidth(allowance), ..allowance });
        let port = Port { eni: plan.eni, region, ifindex, vlan: 0, output, mac, mtu: MTU, allowance };
        self.engine.add_port(port, Now::read())?;
        self.attach(&plan.host_name())?;
        self.ensure_branches(plan)
    }

    /// The branch ENIs of a trunk that is plugged: ports on the same link, told apart by their VLAN.
    fn ensure_branches(&self, plan: &EniPlan) -> Result<(), AgentError> {
        let ports = self.engine.ports();
        let Some(trunk) = ports.iter().find(|port| port.eni == plan.eni) else { return Ok(()) };
        let gone = |port: &&Port| port.ifindex == trunk.ifindex && port.vlan != 0;
        for port in ports.iter().filter(gone).filter(|port| !plan.branches.contains_key(&port.eni)) {
            self.engine.remove_port(port.eni, Now::read());
        }
        for (&eni, &(vlan, mac)) in &plan.branches {
            self.engine.add_port(Port { eni, vlan, mac, ..trunk.clone() }, Now::read())?;
        }
        Ok(())
    }

    /// Addresses and routes of an ENI that is plugged.
    fn configure(&self, plan: &EniPlan, seat: &Seat) -> Result<(), AgentError> {
        // Behind a TAP there is a machine, which asks by DHCP.
        let Seat::Netns { netns, is_configured: true } = seat else { return Ok(()) };
        let is_primary = plan.number == 0;
        configure_guest(
            netns,
            &GuestConfig {
                ifname: &plan.guest_name,
                mtu: MTU.into(),
                addresses: &plan.guest_addresses(),
                metric: plan.metric(),
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
        self.ensure_branches(to)?;
        let Seat::Netns { netns, is_configured: true } = seat else { return Ok(()) };
        for &(address, prefix_len) in from.addresses.difference(&to.addresses) {
            gp_linux::remove_guest_address(netns, &from.guest_name, GuestAddress { address, prefix_len })?;
        }
        if let (Some(table), None) = (from.policy(), to.policy()) {
            gp_linux::remove_policy(netns, &table)?;
        }
        self.configure(to, seat)
    }

    /// Takes the ENI away from an instance that goes on running, and what was made for it inside.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn hot_unplug(&self, plan: &EniPlan, seat: &Seat) -> Result<(), AgentError> {
        let started = Instant::now();
        self.silence(plan.eni, plan.instance);
        if let (Seat::Netns { netns, is_configured: true }, Some(table)) = (seat, plan.policy()) {
            gp_linux::remove_policy(netns, &table)?;
        }
        self.unplug_from(plan.eni, plan.instance)?;
        if let Seat::Tap { netns, .. } = seat {
            LinkRemover::open(netns)?.remove(&plan.guest_name)?;
        }
        debug!(eni = %plan.eni, took_us = started.elapsed().as_micros(), "unplugged");
        Ok(())
    }

    /// Ends what the ENI sends and is sent, where it is still this instance's.
    fn silence(&self, eni: EniId, instance: InstanceId) {
        if self.holders().get(&eni) == Some(&instance) {
            self.remove_ports(eni);
        }
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
        self.remove_ports(eni);
        self.remover.remove(&host_name(eni))?;
        Ok(())
    }

    fn remove_ports(&self, eni: EniId) {
        let ports = self.engine.ports();
        let link = ports.iter().find(|port| port.eni == eni).map(|port| port.ifindex);
        // A trunk's branches share its link.
        for port in ports.iter().filter(|port| Some(port.ifindex) == link) {
            self.engine.remove_port(port.eni, Now::read());
        }
    }

    /// Takes away what was made inside a guest, beside interfaces, for ENIs that are not among these.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn tidy<'a>(&self, seat: &Seat, plans: impl Iterator<Item = &'a EniPlan>) -> Result<(), AgentError> {
        let Seat::Netns { netns, is_configured: true } = seat else { return Ok(()) };
        let kept = plans.filter_map(|plan| Some(plan.policy()?.id)).collect();
        Ok(gp_linux::retain_policies(netns, crate::eni_plan::TABLES, &kept)?)
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
