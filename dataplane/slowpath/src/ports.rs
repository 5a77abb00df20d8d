//! The ENIs that have an interface on this host.

use gp_compile::{HostSide, HostSides};
use gp_model::{EniId, Mac, Region};
use std::collections::HashMap;

/// One ENI's place on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub eni: EniId,
    pub region: Region,
    /// Interface index of the host side.
    pub ifindex: u32,
    /// The ENI's own MAC address.
    pub mac: Mac,
    /// Largest IP packet, in bytes.
    pub mtu: u16,
}

/// Ports by ENI and by interface index.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    by_eni: HashMap<EniId, Port>,
    eni_by_ifindex: HashMap<u32, EniId>,
}

impl Ports {
    pub fn insert(&mut self, port: Port) {
        self.eni_by_ifindex.insert(port.ifindex, port.eni);
        self.by_eni.insert(port.eni, port);
    }

    pub fn remove(&mut self, eni: EniId) -> Option<Port> {
        let port = self.by_eni.remove(&eni)?;
        self.eni_by_ifindex.remove(&port.ifindex);
        Some(port)
    }

    pub fn get(&self, eni: EniId) -> Option<&Port> {
        self.by_eni.get(&eni)
    }

    pub fn at(&self, ifindex: u32) -> Option<&Port> {
        self.eni_by_ifindex.get(&ifindex).and_then(|eni| self.by_eni.get(eni))
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
        self.get(eni).map(|port| HostSide { ifindex: port.ifindex, mac: port.mac, mtu: port.mtu })
    }
}
