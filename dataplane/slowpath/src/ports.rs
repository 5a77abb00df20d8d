//! Where packets come in and go out on this host: its ENIs, and each region's way to the outside.

use crate::allowance::Allowance;
use crate::kernel::KernelError;
use foldhash::HashMap;
use gp_compile::{HostSide, HostSides, Output, UplinkSide, port_number};
use gp_model::{EniId, InstanceId, Mac, Region};
use gp_trace::Ingress;
use std::collections::BTreeSet;

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
    /// What its instance's type allows; `None`: of bandwidth all, of connections as many as one ENI may have at most.
    pub allowance: Option<Allowance>,
}

/// A region's way to the outside. Nobody asks for neighbours there: all goes to the peer and all comes from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    pub region: Region,
    /// Interface index of our end.
    pub ifindex: u32,
    pub output: Output,
    /// The MAC address of our end.
    pub mac: Mac,
    /// That of the other end.
    pub peer_mac: Mac,
    /// Largest IP packet, in bytes.
    pub mtu: u16,
}

/// What the engine knows of either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Side {
    pub ingress: Ingress,
    pub region: Region,
    /// What the kernel knows it by.
    pub number: u32,
    pub ifindex: u32,
    pub vlan: u16,
    pub output: Output,
    /// The MAC address that frames come from.
    pub mac: Mac,
    /// Of an uplink, the MAC address of our end.
    pub own_mac: Mac,
    pub mtu: u16,
    pub allowance: Option<Allowance>,
    /// Of the allowance of bandwidth; 0 for none.
    pub slot: u32,
}

impl Side {
    pub fn of_port(port: Port) -> Result<Self, KernelError> {
        let Port { eni, region, ifindex, vlan, output, mac, mtu, allowance } = port;
        let number = port_number(ifindex, vlan).ok_or(KernelError::PortNumber { ifindex, vlan })?;
        let ingress = Ingress::Eni(eni);
        let own_mac = Mac([0; 6]);
        Ok(Self { ingress, region, number, ifindex, vlan, output, mac, own_mac, mtu, allowance, slot: 0 })
    }

    pub fn of_uplink(uplink: Uplink) -> Result<Self, KernelError> {
        let Uplink { region, ifindex, output, mac: own_mac, peer_mac: mac, mtu } = uplink;
        let number = port_number(ifindex, 0).ok_or(KernelError::PortNumber { ifindex, vlan: 0 })?;
        let ingress = Ingress::Uplink;
        let (vlan, allowance, slot) = (0, None, 0);
        Ok(Self { ingress, region, number, ifindex, vlan, output, mac, own_mac, mtu, allowance, slot })
    }

    pub fn host_side(&self) -> HostSide {
        let Self { ifindex, vlan, output, mac, mtu, slot: allowance, .. } = *self;
        HostSide { ifindex, vlan, output, mac, mtu, allowance }
    }

    fn port(&self) -> Option<Port> {
        let Self { ifindex, vlan, output, mac, mtu, allowance, .. } = *self;
        Some(Port { eni: self.ingress.eni()?, region: self.region.clone(), ifindex, vlan, output, mac, mtu, allowance })
    }
}

/// Sides by ENI, by region of an uplink and by number.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    by_eni: HashMap<EniId, Side>,
    uplinks: HashMap<Region, Side>,
    by_number: HashMap<u32, (Ingress, Region)>,
    by_instance: HashMap<InstanceId, BTreeSet<EniId>>,
}

impl Ports {
    pub fn insert(&mut self, side: Side) {
        self.by_number.insert(side.number, (side.ingress, side.region.clone()));
        if let (Ingress::Eni(eni), Some(allowance)) = (side.ingress, &side.allowance) {
            self.by_instance.entry(allowance.instance).or_default().insert(eni);
        }
        match side.ingress {
            Ingress::Eni(eni) => self.by_eni.insert(eni, side),
            Ingress::Uplink => self.uplinks.insert(side.region.clone(), side),
        };
    }

    pub fn remove(&mut self, ingress: Ingress, region: &Region) -> Option<Side> {
        let side = match ingress {
            Ingress::Eni(eni) => self.by_eni.remove(&eni),
            Ingress::Uplink => self.uplinks.remove(region),
        }?;
        self.by_number.remove(&side.number);
        if let (Ingress::Eni(eni), Some(allowance)) = (ingress, &side.allowance)
            && let Some(enis) = self.by_instance.get_mut(&allowance.instance)
        {
            enis.remove(&eni);
            if enis.is_empty() {
                self.by_instance.remove(&allowance.instance);
            }
        }
        Some(side)
    }

    pub fn get(&self, eni: EniId) -> Option<&Side> {
        self.by_eni.get(&eni)
    }

    /// The ENIs that share an instance's allowances.
    pub fn of_instance(&self, instance: InstanceId) -> impl Iterator<Item = &Side> {
        self.by_instance.get(&instance).into_iter().flatten().filter_map(|eni| self.by_eni.get(eni))
    }

    pub fn uplink(&self, region: &Region) -> Option<&Side> {
        self.uplinks.get(region)
    }

    pub fn at(&self, number: u32) -> Option<&Side> {
        let (ingress, region) = self.by_number.get(&number)?;
        self.find(*ingress, region)
    }

    pub fn find(&self, ingress: Ingress, region: &Region) -> Option<&Side> {
        match ingress {
            Ingress::Eni(eni) => self.get(eni),
            Ingress::Uplink => self.uplink(region),
        }
    }

    /// Those of ENIs.
    pub fn ports(&self) -> impl Iterator<Item = Port> + '_ {
        self.by_eni.values().filter_map(Side::port)
    }

    /// Number of ENIs.
    pub fn len(&self) -> usize {
        self.by_eni.len()
    }

    /// All ENIs, and the uplink of this region.
    pub fn in_region<'a>(&'a self, region: &'a Region) -> impl HostSides + 'a {
        SidesOf { ports: self, region }
    }
}

struct SidesOf<'a> {
    ports: &'a Ports,
    region: &'a Region,
}

impl HostSides for SidesOf<'_> {
    fn host_side(&self, eni: EniId) -> Option<HostSide> {
        self.ports.get(eni).map(Side::host_side)
    }

    fn uplink(&self) -> Option<UplinkSide> {
        let side = self.ports.uplink(self.region)?;
        Some(UplinkSide { side: side.host_side(), own_mac: side.own_mac })
    }
}
