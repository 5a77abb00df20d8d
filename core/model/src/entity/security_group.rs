//! Security groups and their rules.

use super::Tags;
use crate::{AccountId, PrefixListId, SecurityGroupId, SecurityGroupRuleId, VpcId};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    pub id: SecurityGroupId,
    pub owner: AccountId,
    pub vpc: VpcId,
    pub name: String,
    pub description: String,
    pub rules: BTreeMap<SecurityGroupRuleId, SecurityGroupRule>,
    pub tags: Tags,
}

impl SecurityGroup {
    pub fn rules(&self, direction: Direction) -> impl Iterator<Item = &SecurityGroupRule> {
        self.rules.values().filter(move |rule| rule.direction == direction)
    }
}

/// As seen from the ENI: ingress arrives at it, egress leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Ingress,
    Egress,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroupRule {
    pub id: SecurityGroupRuleId,
    pub direction: Direction,
    pub traffic: TrafficMatch,
    pub peer: RulePeer,
    pub description: Option<String>,
    pub tags: Tags,
}

/// Which packets a rule or a list entry is about, by protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrafficMatch {
    /// EC2's `-1`.
    All,
    Tcp(PortRange),
    Udp(PortRange),
    /// ICMP for IPv4; `None` is EC2's `-1`: every type, or every code of the type.
    Icmp {
        icmp_type: Option<u8>,
        code: Option<u8>,
    },
    /// ICMPv6.
    Icmpv6 {
        icmp_type: Option<u8>,
        code: Option<u8>,
    },
    /// Any other IP protocol number: ports don't matter.
    Protocol(u8),
}

/// Ports from `from` to `to`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortRange {
    pub from: u16,
    pub to: u16,
}

impl PortRange {
    pub const ALL: PortRange = PortRange { from: 0, to: u16::MAX };

    pub fn contains(self, port: u16) -> bool {
        self.from <= port && port <= self.to
    }
}

/// The other end that a rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RulePeer {
    Ipv4(Ipv4Net),
    Ipv6(Ipv6Net),
    /// The private addresses of every ENI in that group.
    Group {
        group: SecurityGroupId,
        owner: AccountId,
    },
    PrefixList(PrefixListId),
}

impl RulePeer {
    pub fn block(self) -> Option<IpNet> {
        match self {
            RulePeer::Ipv4(net) => Some(IpNet::V4(net)),
            RulePeer::Ipv6(net) => Some(IpNet::V6(net)),
            RulePeer::Group { .. } | RulePeer::PrefixList(_) => None,
        }
    }
}
