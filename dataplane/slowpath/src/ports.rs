//! The ENIs that have an interface on this host.

use crate::kernel::KernelError;
use gp_abi::PORT_VLAN_SHIFT;
use gp_compile::{HostSide, HostSides, Output, port_number};
use gp_model::{EniId, Mac, Region};
use std::collections::HashMap;

/// One ENI's place on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub eni: EniId,
    pub region: Region,
    /// Interface index of the host side.
    pub ifindex: u32,
    /// 802.1Q tag of a branch ENI's frames on its trunk's host side; 0 for any other ENI.
    pub vlan: u16,
    pub output: Output,
    /// The ENI's own MAC address.
    pub mac: Mac,
    /// Largest IP packet, in bytes.
    pub mtu: u16,
}

impl Port {
    /// What the kernel knows it by, if there is room for interface and tag in it.
    pub(crate) fn check_number(&self) -> Result<u32, KernelError> {
        let Self { ifindex, vlan, .. } = *self;
        port_number(ifindex, vlan).ok_or(KernelError::PortNumber { ifindex, vlan })
    }

    /// The number of a port that has passed [`Port::check_number`].
    pub(crate) fn number(&self) -> u32 {
        self.ifindex | u32::from(self.vlan) << PORT_VLAN_SHIFT
    }
}

/// Ports by ENI and by number.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    by_eni: HashMap<EniId, Port>,
    eni_by_number: HashMap<u32, EniId>,
}

impl Ports {
    pub fn insert(&mut self, port: Port) {
        self.eni_by_number.insert(port.number(), port.eni);
        self.by_eni.insert(port.eni, port);
    }

    pub fn remove(&mut self, eni: EniId) -> Option<Port> {
        let port = self.by_eni.remove(&eni)?;
        self.eni_by_number.remove(&port.number());
        Some(port)
    }

    pub fn get(&self, eni: EniId) -> Option<&Port> {
        self.by_eni.get(&eni)
    }

    pub fn at(&self, number: u32) -> Option<&Port> {
        self.eni_by_number.get(&number).and_then(|eni| self.by_eni.get(eni))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Port> {
        self.by_eni.values()
    }

    pub fn len(&self) -> usize {
        self.by_eni.len()
    }
}

impl HostSides for Ports {
    fn host_side(&self, eni: EniId) -> Option<HostSide> {
        self.get(eni).map(|port| {
            let Port { ifindex, vlan, output, mac, mtu, .. } = *port;
            HostSide { ifindex, vlan, output, mac, mtu }
        })
    }
}
