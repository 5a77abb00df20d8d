//! Instances: what was asked for and the state they are in.

use super::Tags;
use crate::{AccountId, ImageId, InstanceId, ReservationId, SubnetId, Timestamp, VpcId, Zone};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub id: InstanceId,
    pub owner: AccountId,
    pub reservation: ReservationId,
    pub launch_index: u32,
    pub image: ImageId,
    pub instance_type: String,
    pub key_name: Option<String>,
    pub vpc: VpcId,
    pub subnet: SubnetId,
    pub zone: Zone,
    pub state: InstanceState,
    /// Grows with each start and reboot; a host's report names the boot that it is about, so that a late report
    /// of an earlier boot changes nothing.
    pub boot: u32,
    pub state_reason: Option<StateReason>,
    /// `User initiated (2026-11-21 08:26:17 GMT)`, or empty.
    pub state_transition_reason: String,
    pub launched_at: Timestamp,
    /// When the instance reached `terminated`; it stays visible for an hour.
    pub terminated_at: Option<Timestamp>,
    /// Base64, as the caller sent it.
    pub user_data: Option<String>,
    pub client_token: Option<String>,
    pub disable_api_termination: bool,
    pub disable_api_stop: bool,
    /// `stop` or `terminate`.
    pub shutdown_behavior: String,
    pub ebs_optimized: bool,
    pub monitoring: bool,
    pub cpu_credits: Option<String>,
    pub metadata: MetadataOptions,
    #[serde(default)]
    pub guest: GuestKind,
    pub tags: Tags,
}

/// What the instance's guest is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuestKind {
    /// Namespaces over a copy-on-write view of the host's root.
    #[default]
    Sandbox,
    /// A virtual machine.
    Vm,
    /// Something that Groundplane didn't start: the instance stands in for it.
    External(ExternalGuest),
}

/// Where the ENI of an external guest goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExternalGuest {
    /// An interface in a network namespace.
    Netns(ExternalNetns),
    /// A TAP device that is made with this name in the host's own namespace.
    Tap(String),
}

/// A network namespace that somebody else made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalNetns {
    /// The file that names it.
    pub path: String,
    /// Of the first interface, where it is not to be `eth0`.
    pub ifname: Option<String>,
    /// Are addresses and routes set? Otherwise the interface is left bare.
    pub is_configured: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    Pending,
    Running,
    Stopping,
    Stopped,
    ShuttingDown,
    Terminated,
}

impl InstanceState {
    /// EC2's number for the state.
    pub fn code(self) -> u8 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }

    /// Should a host be running this instance?
    pub fn wants_to_run(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateReason {
    pub code: String,
    pub message: String,
}

/// IMDS options as the caller set them (EC2 `InstanceMetadataOptions`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataOptions {
    pub http_tokens: String,
    pub http_put_response_hop_limit: u32,
    pub http_endpoint: String,
    pub http_protocol_ipv6: String,
    pub instance_metadata_tags: String,
}

impl Default for MetadataOptions {
    fn default() -> Self {
        Self {
            http_tokens: "optional".into(),
            http_put_response_hop_limit: 1,
            http_endpoint: "enabled".into(),
            http_protocol_ipv6: "disabled".into(),
            instance_metadata_tags: "disabled".into(),
        }
    }
}
