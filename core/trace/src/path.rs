//! The answer of a trace: hops of steps, ending in one verdict, with what must change and what was read.

use crate::connection::{Connection, Tracker};
use crate::detail::Detail;
use crate::drop_reason::DropReason;
use crate::read::Read;
use gp_model::{
    EgressOnlyInternetGatewayId, EniId, InternetGatewayId, NatGatewayId, NetworkAclId, RouteTableId, SecurityGroupId,
    SecurityGroupRuleId, SubnetId, VpcId,
};
use gp_wire::FiveTuple;
use serde::Serialize;
use std::net::IpAddr;

/// Where one packet goes and why. Made by [`crate::trace`] alone: its fields are private to this crate, so nothing
/// else can claim that a packet may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    pub(crate) ingress: Ingress,
    pub(crate) tuple: FiveTuple,
    pub(crate) translated: FiveTuple,
    pub(crate) related: Option<FiveTuple>,
    pub(crate) mtu: Option<u16>,
    pub(crate) mss: Option<u16>,
    pub(crate) passes: Vec<Pass>,
    pub(crate) hops: Vec<Hop>,
    pub(crate) verdict: Verdict,
    pub(crate) effects: Vec<Effect>,
    pub(crate) reads: Vec<Read>,
    pub(crate) cacheable: bool,
}

impl Path {
    pub fn ingress(&self) -> Ingress {
        self.ingress
    }
    /// As the packet came in.
    pub fn tuple(&self) -> FiveTuple {
        self.tuple
    }
    /// As the packet goes out, or as it was where it died.
    pub fn translated(&self) -> FiveTuple {
        self.translated
    }
    /// Of an ICMP error whose quoted packet must be rewritten: the tuple to write into it.
    pub fn related(&self) -> Option<FiveTuple> {
        self.related
    }
    /// The smallest IP MTU, in bytes, that a gateway on the way sets. A larger packet that got through may be cut in
    /// pieces: it is IPv4 without the flag that forbids it.
    pub fn mtu(&self) -> Option<u16> {
        self.mtu
    }
    /// The largest segment, in bytes, that a SYN may announce that goes this way: what is announced to be larger is lowered.
    pub fn mss(&self) -> Option<u16> {
        self.mss
    }
    /// Every tracker asked on the way, with the tuple as seen there.
    pub fn passes(&self) -> &[Pass] {
        &self.passes
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

/// Where a packet comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ingress {
    /// The ENI that the packet left its guest by.
    Eni(EniId),
    /// From outside of the region.
    Uplink,
}

impl Ingress {
    pub fn eni(self) -> Option<EniId> {
        match self {
            Self::Eni(eni) => Some(eni),
            Self::Uplink => None,
        }
    }
}

impl From<EniId> for Ingress {
    fn from(eni: EniId) -> Self {
        Self::Eni(eni)
    }
}

/// A tracker that was asked about the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass {
    pub tracker: Tracker,
    /// The packet's, as it was there.
    pub tuple: FiveTuple,
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
    EgressOnlyInternetGateway(EgressOnlyInternetGatewayId),
    NatGateway(NatGatewayId),
    /// The region's way to the outside.
    Uplink,
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
    EgressOnlyInternetGateway { id: EgressOnlyInternetGatewayId },
    NatGateway { id: NatGatewayId },
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
    /// Out of the region.
    Uplink,
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
    /// What the sender is told. Another packet of the same tuple may fare otherwise: such a drop is never cacheable.
    pub reply: Option<Reply>,
}

/// What the sender of a dropped packet is told: a reset from the packet's own destination, an ICMP error from its
/// subnet's router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    TcpReset,
    /// Fragmentation needed (RFC 1191) or packet too big (RFC 4443), with the largest IP packet that passes.
    PacketTooBig {
        mtu: u16,
    },
    TimeExceeded,
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
    OpenConnection { tracker: Tracker, connection: Connection },
}
