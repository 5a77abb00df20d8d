//! The answer of a trace: hops of steps, ending in one verdict, with what must change and what was read.

use crate::connection::Connection;
use crate::detail::Detail;
use crate::drop_reason::DropReason;
use crate::read::Read;
use gp_model::{
    EniId, InternetGatewayId, NetworkAclId, RouteTableId, SecurityGroupId, SecurityGroupRuleId, SubnetId, VpcId,
};
use gp_wire::FiveTuple;
use serde::Serialize;
use std::net::IpAddr;

/// Where one packet goes and why. Made by [`crate::trace`] alone: its fields are private to this crate, so nothing
/// else can claim that a packet may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub(crate) ingress: EniId,
    pub(crate) tuple: FiveTuple,
    pub(crate) hops: Vec<Hop>,
    pub(crate) verdict: Verdict,
    pub(crate) effects: Vec<Effect>,
    pub(crate) reads: Vec<Read>,
    pub(crate) cacheable: bool,
}

impl Path {
    /// The ENI that the packet left its guest by.
    pub fn ingress(&self) -> EniId {
        self.ingress
    }
    pub fn tuple(&self) -> FiveTuple {
        self.tuple
    }
    pub fn hops(&self) -> &[Hop] {
        &self.hops
    }
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }
    /// What the slow path must do before the packet goes on.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }
    /// What the answer depends on, sorted and without doubles. A change of none of these can't change the answer.
    pub fn reads(&self) -> &[Read] {
        &self.reads
    }
    /// May the answer be replayed for later packets of the same tuple? Not for fragments and local services.
    pub fn is_cacheable(&self) -> bool {
        self.cacheable
    }
}

/// A place that the packet passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hop {
    pub component: Component,
    pub steps: Vec<Step>,
}

/// One decision at a hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    pub stage: crate::Stage,
    pub action: StepAction,
    /// The rule, list or route that decided.
    pub resource: Option<Resource>,
    pub detail: Detail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepAction {
    /// Looked at and let through.
    Pass,
    /// Let through because a connection is tracked, whatever the rules say.
    Tracked,
    /// The stage has no say over this packet.
    Exempt,
    Forward,
    Deliver,
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "id", rename_all = "kebab-case")]
pub enum Component {
    Eni(EniId),
    Subnet(SubnetId),
    Router(VpcId),
    InternetGateway(InternetGatewayId),
}

/// Something with an id that a step or a drop can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Resource {
    Eni { id: EniId },
    Subnet { id: SubnetId },
    Vpc { id: VpcId },
    SecurityGroup { id: SecurityGroupId },
    SecurityGroupRule { id: SecurityGroupRuleId, group: SecurityGroupId },
    NetworkAcl { id: NetworkAclId, rule_number: u32 },
    RouteTable { id: RouteTableId },
    InternetGateway { id: InternetGatewayId },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// To the guest behind this ENI, with the Ethernet addresses that it must see.
    Deliver {
        eni: EniId,
        src_mac: gp_model::Mac,
        dst_mac: gp_model::Mac,
    },
    LocalService(LocalService),
    Drop(Drop),
}

/// A packet's end, with the resource that caused it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drop {
    pub reason: DropReason,
    pub resource: Option<Resource>,
    /// What was missing, where the remedy is an API call: who would have to let in what from whom.
    pub missing: Option<MissingPermission>,
}

/// The permission that would have let the packet through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissingPermission {
    pub groups: Vec<SecurityGroupId>,
    pub direction: gp_model::Direction,
    /// The other end of the packet, as the groups see it.
    pub peer: IpAddr,
    /// The first group of the other end's ENI, where that is in the same VPC: a rule may name it.
    pub peer_group: Option<SecurityGroupId>,
    pub protocol: u8,
    /// Destination port, or ICMP type and code.
    pub port: Option<u16>,
    pub icmp: Option<(u8, u8)>,
}

/// What the VPC itself answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocalService {
    Arp,
    NeighborDiscovery,
    Dhcp,
}

impl LocalService {
    pub fn name(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::NeighborDiscovery => "neighbor-discovery",
            Self::Dhcp => "dhcp",
        }
    }
}

/// A change of state that the packet causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    OpenConnection { eni: EniId, connection: Connection },
}
