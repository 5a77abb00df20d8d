//! What the region's server and a host's agent say to each other: plain values, so that neither knows the other.

use gp_model::{EniAttachmentId, EniId, Generation, InstanceId, NatGatewayId, Region, Timestamp, World};
use imbl::OrdMap;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The worlds that a host serves, as of one generation. With one host this is every region, whole; a slice for one
/// of many hosts is a `World` too, only smaller, so the same trace runs on it.
#[derive(Debug, Clone, Default)]
pub struct HostView {
    pub generation: Generation,
    pub regions: OrdMap<Region, Arc<World>>,
}

impl HostView {
    /// Each region that is not the same in the view that follows, as it was and as it is. Where one of them lacks a region, it
    /// has nothing in it.
    pub fn changed_regions(&self, next: &HostView) -> Vec<(Arc<World>, Arc<World>)> {
        let in_view = |view: &HostView, region: &Region| {
            view.regions.get(region).map_or_else(|| Arc::new(World::new(region.clone())), Arc::clone)
        };
        let regions: BTreeSet<&Region> = self.regions.keys().chain(next.regions.keys()).collect();
        let sides = regions.into_iter().map(|region| (in_view(self, region), in_view(next, region)));
        sides.filter(|(old, new)| !Arc::ptr_eq(old, new)).collect()
    }
}

/// What a host tells the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostReport {
    /// Packets of this host obey every change up to this generation.
    Applied { generation: Generation },
    /// An instance reached a state. `boot` is the one that the host was asked for.
    Instance { region: Region, instance: InstanceId, boot: u32, outcome: InstanceOutcome },
    /// An ENI could not be given to an instance that runs. Told before the generation is that asked for it.
    Unattached { region: Region, eni: EniId, attachment: EniAttachmentId, reason: String },
    /// No connection uses this address of a NAT gateway any more, which is to drain until then; nor will one.
    NatAddressUnused { region: Region, gateway: NatGatewayId, address: Ipv4Addr, drains_until: Timestamp },
}

impl HostReport {
    /// The region that the report is about; a generation is of all.
    pub fn region(&self) -> Option<&Region> {
        match self {
            Self::Applied { .. } => None,
            Self::Instance { region, .. } | Self::Unattached { region, .. } | Self::NatAddressUnused { region, .. } => {
                Some(region)
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceOutcome {
    /// It runs, its processor emulated in software: slowly.
    Emulated {
        reason: String,
    },
    Running,
    Stopped,
    /// Its resources on the host are gone.
    Terminated,
    /// It could not be started: the reason, for the instance's `StateReason`.
    Failed {
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_worlds::Scenario;

    #[test]
    fn a_region_that_comes_or_goes_had_or_has_nothing_in_it() {
        let scenario: Scenario = "vpc v 10.0.0.0/16; subnet s v 10.0.1.0/24".parse().expect("a world of our own");
        let view = |worlds: &[&World]| HostView {
            generation: Generation(1),
            regions: worlds.iter().map(|world| (world.region.clone(), Arc::new((*world).clone()))).collect(),
        };
        let (none, one) = (view(&[]), view(&[&scenario.world]));
        assert!(one.changed_regions(&one.clone()).is_empty());
        for (before, after) in [(&none, &one), (&one, &none)] {
            let regions = before.changed_regions(after);
            let [(old, new)] = regions.as_slice() else { panic!("{} regions", regions.len()) };
            assert_eq!((&old.region, &new.region), (&scenario.world.region, &scenario.world.region));
            let there = [old, new].map(|world| world.tables().vpcs.len());
            assert_eq!(there, if before.regions.is_empty() { [0, 1] } else { [1, 0] });
            // All that the region has is different.
            assert_eq!(new.changed_since(old).len(), scenario.world.tables().records().count());
        }
    }
}
