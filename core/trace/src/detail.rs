//! What a step found, as a value. It becomes a sentence only when somebody reads it: most paths are never printed.

use crate::LocalService;
use gp_model::{Direction, InstanceState, Mac};
use gp_wire::FiveTuple;
use ipnet::IpNet;
use serde::{Serialize, Serializer};
use std::fmt;
use std::net::IpAddr;

/// What a step found. `Display` gives one sentence for people; JSON has that sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    OwnSource,
    SourceNotChecked,
    NoSourceYet,
    ForeignMac(Mac),
    ForeignSource(IpAddr),
    FirstFragmentMissing,
    NotAttached,
    InstanceState(InstanceState),
    InstanceGone,
    Neighbor { target: IpAddr, mac: Mac },
    Answered(LocalService),
    Announcement,
    InvalidSolicitation,
    NobodyHolds(IpAddr),
    ToGroup(IpAddr),
    ToRouter(IpAddr),
    ServiceNotOffered(IpAddr),
    LinkLocal(IpAddr),
    ConnectionTracked { opened_by: Direction },
    RelatedTo(FiveTuple),
    RuleAllows { tracked: bool },
    NoRuleAllows { groups: usize },
    OwnPacket,
    WithinSubnet,
    EntryAllows,
    EntryDenies,
    NoEntryMatches,
    RouteTo(IpNet),
    NoRouteTo(IpAddr),
    GatewayGone,
    GatewayDetached,
    TargetGone,
    TargetNotAvailable,
    NoPublicAddress(IpAddr),
    AddressesStay,
    SourceIsNow(IpAddr),
    DestinationIsNow(IpAddr),
    TupleIsNow(FiveTuple),
    NotOfTheInternet(IpAddr),
    NobodyBehind(IpAddr),
    NotFromOutside(IpAddr),
    NoGateway,
    FromOutside,
    ToOutside,
    OpenedFromInside,
    NotOpenedFromInside,
    NotTranslated(u8),
    FragmentNotTranslated,
    NoTranslation,
    NoConnectionToContinue,
    PortsTaken { addresses: usize },
    LargerThan { bytes: u32, mtu: u16 },
    ComesBack,
    Reserved(IpAddr),
    OwnDestination,
    DestinationNotChecked,
    ForeignDestination(IpAddr),
    ToGuest { src_mac: Mac, dst_mac: Mac },
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnSource => f.write_str("the source address is the ENI's own"),
            Self::SourceNotChecked => f.write_str("the source address is foreign, and the check is off"),
            Self::NoSourceYet => f.write_str("the sender has no address yet"),
            Self::ForeignMac(mac) => write!(f, "the source MAC address {mac} is not the ENI's"),
            Self::ForeignSource(address) => write!(f, "the source address {address} is not the ENI's"),
            Self::FirstFragmentMissing => f.write_str("the fragment with the ports is not known"),
            Self::NotAttached => f.write_str("the ENI is not attached to an instance"),
            Self::InstanceState(state) => write!(f, "the ENI's instance is {}", state.name()),
            Self::InstanceGone => f.write_str("the ENI's instance is gone"),
            Self::Neighbor { target, mac } => write!(f, "{target} is at {mac}"),
            Self::Answered(service) => write!(f, "the VPC answers: {}", service.name()),
            Self::Announcement => f.write_str("announcements, answers and probes of own addresses get no answer"),
            Self::InvalidSolicitation => f.write_str("the neighbour solicitation is not valid"),
            Self::NobodyHolds(address) => write!(f, "no ENI holds {address}"),
            Self::ToGroup(address) => write!(f, "{address} is a broadcast or multicast address"),
            Self::ToRouter(address) => write!(f, "{address} is the router, which answers ARP and DHCP alone"),
            Self::ServiceNotOffered(address) => write!(f, "no service is offered at {address}"),
            Self::LinkLocal(address) => write!(f, "the link-local address {address} is never routed"),
            Self::ConnectionTracked { opened_by: Direction::Egress } => {
                f.write_str("part of a connection that the ENI opened")
            }
            Self::ConnectionTracked { opened_by: Direction::Ingress } => {
                f.write_str("part of a connection that was opened towards the ENI")
            }
            Self::RelatedTo(tuple) => write!(f, "an error about the tracked connection {tuple}"),
            Self::RuleAllows { tracked: true } => f.write_str("a rule allows it; its connection is tracked"),
            Self::RuleAllows { tracked: false } => {
                f.write_str("a rule allows it from or to anywhere, and another one its answers: not tracked")
            }
            Self::NoRuleAllows { groups: 0 } => f.write_str("the ENI has no security group"),
            Self::NoRuleAllows { groups: 1 } => f.write_str("no rule of the ENI's security group allows it"),
            Self::NoRuleAllows { groups } => write!(f, "no rule of the ENI's {groups} security groups allows it"),
            Self::OwnPacket => f.write_str("the ENI sends to itself"),
            Self::WithinSubnet => f.write_str("the packet stays inside the subnet"),
            Self::EntryAllows => f.write_str("the entry allows it"),
            Self::EntryDenies => f.write_str("the entry denies it"),
            Self::NoEntryMatches => f.write_str("no entry matches, so the final one denies it"),
            Self::RouteTo(destination) => write!(f, "the route to {destination} matches best"),
            Self::NoRouteTo(address) => write!(f, "no route matches {address}"),
            Self::GatewayGone => f.write_str("the internet gateway does not exist any more"),
            Self::GatewayDetached => f.write_str("the internet gateway is not attached to the VPC"),
            Self::TargetGone => f.write_str("the route's target does not exist any more"),
            Self::TargetNotAvailable => f.write_str("the route's target is not available"),
            Self::NoPublicAddress(address) => write!(f, "no public address belongs to {address}"),
            Self::AddressesStay => f.write_str("IPv6 addresses stay as they are"),
            Self::SourceIsNow(address) => write!(f, "the source is {address} from here on"),
            Self::DestinationIsNow(address) => write!(f, "the destination is {address} from here on"),
            Self::TupleIsNow(tuple) => write!(f, "the packet is {tuple} from here on"),
            Self::NotOfTheInternet(address) => write!(f, "{address} is no address of the internet"),
            Self::NobodyBehind(address) => write!(f, "no network interface stands behind {address}"),
            Self::NotFromOutside(address) => write!(f, "{address} can't be the source of what comes from outside"),
            Self::NoGateway => f.write_str("no internet gateway is attached to the VPC"),
            Self::FromOutside => f.write_str("the packet comes from outside of the region"),
            Self::ToOutside => f.write_str("the packet leaves the region"),
            Self::OpenedFromInside => f.write_str("a connection from inside; its answers may come in"),
            Self::NotOpenedFromInside => f.write_str("no connection from inside that this would answer"),
            Self::NotTranslated(protocol) => write!(f, "protocol {protocol} to there is not translated"),
            Self::FragmentNotTranslated => f.write_str("fragments are translated of UDP over IPv4 alone"),
            Self::NoTranslation => f.write_str("no connection of the NAT gateway that this belongs to"),
            Self::NoConnectionToContinue => {
                f.write_str("no connection that this segment continues: idle for too long, or never opened")
            }
            Self::PortsTaken { addresses } => {
                write!(f, "every port towards this destination is taken, on all of {addresses} addresses")
            }
            Self::LargerThan { bytes, mtu } => write!(f, "{bytes} bytes are more than {mtu}, and must not be cut"),
            Self::ComesBack => f.write_str("the routes lead the packet in a circle"),
            Self::Reserved(address) => write!(f, "{address} is reserved in its subnet"),
            Self::OwnDestination => f.write_str("the destination address is the ENI's own"),
            Self::DestinationNotChecked => f.write_str("the destination address is foreign, and the check is off"),
            Self::ForeignDestination(address) => write!(f, "the destination address {address} is not the ENI's"),
            Self::ToGuest { src_mac, dst_mac } => write!(f, "from {src_mac} to {dst_mac}"),
        }
    }
}

impl Serialize for Detail {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
