//! The elastic network interface.

use super::Tags;
use crate::{
    AccountId, EniAttachmentId, EniId, InstanceId, Mac, SecurityGroupId, ServiceAttachmentId, SubnetId, Timestamp,
    VpcId, Zone,
};
use compact_str::CompactString;
use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// There are more of these than of anything else, and pages show them by the hundred: what an ordinary one has lies within it.
/// Each part that lies apart is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eni {
    pub id: EniId,
    pub owner: AccountId,
    pub vpc: VpcId,
    pub subnet: SubnetId,
    pub zone: Zone,
    pub mac: Mac,
    pub description: CompactString,
    pub interface_type: InterfaceType,
    /// Principal that asked for it.
    pub requester: Option<CompactString>,
    pub requester_managed: bool,
    /// The first is the primary; empty in an IPv6-only subnet.
    pub private_ipv4: SmallVec<[Ipv4Addr; 4]>,
    pub ipv6: Vec<Ipv6Addr>,
    pub ipv4_prefixes: Vec<Ipv4Net>,
    pub ipv6_prefixes: Vec<Ipv6Net>,
    /// In the order given.
    pub groups: SmallVec<[SecurityGroupId; 1]>,
    pub source_dest_check: bool,
    /// Is a public IPv4 address wanted whenever its instance starts? From the subnet, or from the launch.
    #[serde(default)]
    pub associate_public_ip: bool,
    /// The automatic public address, which stands for the primary private one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_ipv4: Option<Ipv4Addr>,
    /// The automatic public address that it had before: the next one is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_public_ipv4: Option<Ipv4Addr>,
    /// Is the first IPv6 address kept as long as the ENI is attached?
    #[serde(default)]
    pub primary_ipv6: bool,
    pub attachment: Option<EniAttachment>,
    /// Of a requester-managed ENI that is in use by its service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_attachment: Option<Box<ServiceAttachment>>,
    /// Clients look for it by its id to learn that a detachment is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attachment: Option<Box<LastAttachment>>,
    pub connection_tracking: ConnectionTracking,
    pub created_at: Timestamp,
    pub tags: Tags,
}

/// EC2's `InterfaceType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceType {
    Interface,
    Trunk,
    Branch,
    NatGateway,
}

impl InterfaceType {
    pub const ALL: [Self; 4] = [Self::Interface, Self::Trunk, Self::Branch, Self::NatGateway];

    /// As answers have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::Trunk => "trunk",
            Self::Branch => "branch",
            Self::NatGateway => "nat_gateway",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EniAttachment {
    pub id: EniAttachmentId,
    pub instance: InstanceId,
    pub instance_owner: AccountId,
    pub device_index: u32,
    pub network_card_index: u32,
    pub attached_at: Timestamp,
    pub delete_on_termination: bool,
}

/// How a service holds its ENI: there is an attachment, but no instance of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAttachment {
    pub id: ServiceAttachmentId,
    /// `amazon-aws`, `amazon-elb`, …
    pub instance_owner: String,
    pub device_index: u32,
    pub attached_at: Timestamp,
}

/// An attachment that is no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAttachment {
    pub attachment: EniAttachment,
    pub detached_at: Timestamp,
}

/// Idle timeouts, in seconds, where the user has set them (EC2 `ConnectionTrackingSpecification`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionTracking {
    pub tcp_established_secs: Option<u32>,
    pub udp_stream_secs: Option<u32>,
    pub udp_secs: Option<u32>,
}

impl Eni {
    /// Network address units: every address and every prefix is one, and so is each ENI of an instance after its first;
    /// what a service holds counts as six (VPC user guide, "Network Address Usage for your VPC").
    pub fn address_units(&self) -> usize {
        const OF_A_SERVICE: usize = 6;
        if self.requester_managed && self.interface_type != InterfaceType::Interface {
            return OF_A_SERVICE;
        }
        let held = self.private_ipv4.len() + self.ipv6.len() + self.ipv4_prefixes.len() + self.ipv6_prefixes.len();
        let is_additional = self.attachment.as_ref().is_some_and(|attachment| attachment.device_index > 0);
        held + usize::from(is_additional)
    }

    /// IPv4 addresses of its subnet that it holds, by itself or through prefixes.
    pub fn ipv4_slots(&self) -> usize {
        let of_prefix = 1 << (u32::BITS as u8 - crate::world::ENI_IPV4_PREFIX_LEN);
        self.private_ipv4.len() + self.ipv4_prefixes.len() * of_prefix
    }

    /// Lets go of the automatic public address, if it has one.
    pub fn release_public_ipv4(&mut self) {
        self.last_public_ipv4 = self.public_ipv4.take().or(self.last_public_ipv4);
    }

    pub fn primary_ipv4(&self) -> Option<Ipv4Addr> {
        self.private_ipv4.first().copied()
    }

    /// Every single address, IPv4 first. Prefixes are apart: see [`Eni::holds`].
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let v4 = self.private_ipv4.iter().copied().map(IpAddr::V4);
        v4.chain(self.ipv6.iter().copied().map(IpAddr::V6))
    }

    /// Is the address one of the ENI's own (prefixes included)? This is what the source/destination check asks.
    pub fn holds(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(a) => self.private_ipv4.contains(&a) || self.ipv4_prefixes.iter().any(|p| p.contains(&a)),
            IpAddr::V6(a) => self.ipv6.contains(&a) || self.ipv6_prefixes.iter().any(|p| p.contains(&a)),
        }
    }
}
