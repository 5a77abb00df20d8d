//! What the region's server and a host's agent say to each other: plain values, so that neither knows the other.

use gp_model::{EniAttachmentId, EniId, Generation, InstanceId, NatGatewayId, Region, Timestamp, World};
use imbl::OrdMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The worlds that a host serves, as of one generation. With one host this is every region, whole; a slice for one
/// of many hosts is a `World` too, only smaller, so the same trace runs on it.
#[derive(Debug, Clone, Default)]
pub struct HostView {
    pub generation: Generation,
    pub regions: OrdMap<Region, Arc<World>>,
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
