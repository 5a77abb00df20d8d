//! NAT gateway: many private addresses behind few, for connections that are opened from inside.
//!
//! Source: VPC user guide, "NAT gateways", "NAT gateway basics" and "Compare NAT gateways and NAT instances": TCP, UDP and
//! ICMP alone; fragments of UDP alone; 55,000 connections to one destination for each address; a reset for what
//! comes after 350 idle seconds; no answer to pings; NAT64 for 64:ff9b::/96. Which ICMP messages open a connection is not
//! documented: here echo requests. EC2 API reference, "DisassociateNatGatewayAddress": connections by an address that
//! drains go on, new ones have other addresses. "NAT gateway basics": the MSS of all connections is clamped.

use crate::journey::{Journey, Stop};
use crate::way::{self, Place};
use crate::{Component, Connection, Detail, DropReason, Effect, Reply, Resource, Stage, StepAction, Tracker};
use gp_model::{Direction, Eni, NatConnectivity, NatGateway, NatGatewayAddress, NatGatewayState, Subnet};
use gp_wire::nat64;
use gp_wire::{FiveTuple, IpPacket, Packet, TcpFlags, Transport, icmp, protocol};
use std::net::{IpAddr, Ipv4Addr};

/// Largest IP packet, in bytes, that a NAT gateway takes (VPC user guide, "NAT gateway basics").
const NAT_MTU: u16 = 8500;

/// Through the gateway that `eni` belongs to: in to its own address, else out.
pub(crate) fn pass<'a>(
    journey: &mut Journey<'a>,
    gateway: &'a NatGateway,
    eni: &'a Eni,
    subnet: &'a Subnet,
) -> Result<Place<'a>, Stop> {
    let resource = Resource::NatGateway { id: gateway.id };
    if journey.has_passed(Component::NatGateway(gateway.id)) {
        return Err(way::looped(journey, Some(resource)));
    }
    journey.enter(Component::NatGateway(gateway.id));
    journey.read(crate::Read::NatGateway(gateway.id));
    let mut nat = Nat { journey, gateway, tracker: Tracker::NatGateway(gateway.id), resource };
    if gateway.state != NatGatewayState::Available {
        return Err(nat.drop(DropReason::Blackhole, Detail::TargetNotAvailable));
    }
    nat.check_kind()?;
    if eni.holds(nat.journey.tuple().dst) {
        nat.enter()?
    } else {
        nat.leave()?
    }
    Ok(Place::Leaving { subnet, mac: eni.mac })
}

struct Nat<'j, 'a> {
    journey: &'j mut Journey<'a>,
    gateway: &'a NatGateway,
    tracker: Tracker,
    resource: Resource,
}

impl Nat<'_, '_> {
    fn drop(&mut self, reason: DropReason, detail: Detail) -> Stop {
        self.journey.drop(Stage::NatGateway, reason, Some(self.resource), detail)
    }

    fn step(&mut self, action: StepAction, detail: Detail) {
        self.journey.step(Stage::NatGateway, action, Some(self.resource), detail);
    }

    /// Can packets of this kind be translated at all?
    fn check_kind(&mut self) -> Result<(), Stop> {
        let tuple = self.journey.tuple();
        let is_translated = match (tuple.protocol, tuple.dst) {
            (protocol::TCP | protocol::UDP | protocol::ICMP, IpAddr::V4(_)) => true,
            (protocol::TCP | protocol::UDP | protocol::ICMPV6, IpAddr::V6(dst)) => nat64::embedded(dst).is_some(),
            _ => false,
        };
        if !is_translated {
            return Err(self.drop(DropReason::NatProtocol, Detail::NotTranslated(tuple.protocol)));
        }
        let is_fragment = matches!(self.journey.packet, Packet::Ip(IpPacket { fragment: Some(_), .. }));
        if is_fragment && (tuple.protocol != protocol::UDP || tuple.dst.is_ipv6()) {
            return Err(self.drop(DropReason::NatFragment, Detail::FragmentNotTranslated));
        }
        self.journey.clamp_segments();
        self.journey.limit_mtu(Stage::NatGateway, NAT_MTU, self.resource)
    }

    // === from inside ===

    fn leave(&mut self) -> Result<(), Stop> {
        let tuple = self.journey.tuple();
        if tuple.dst.is_ipv6() {
            self.journey.depends_on_more_than_the_tuple();
        }
        let known = self.journey.find_connection(self.tracker).filter(|connection| connection.tuple == tuple);
        self.journey.track_sender();
        if let Some(translated) = known.and_then(|connection| connection.translated) {
            self.step(StepAction::Tracked, Detail::TupleIsNow(translated));
            self.journey.change(|tuple| *tuple = translated, |_| ());
            return Ok(());
        }
        if self.journey.related().is_some() { self.leave_related() } else { self.open(tuple) }
    }

    /// An error from inside about an answer that came in: it speaks of the answer as it was outside.
    fn leave_related(&mut self) -> Result<(), Stop> {
        let found = self.journey.find_related(self.tracker);
        let found = found.filter(|(related, connection)| connection.tuple.reversed() == *related);
        let Some(translated) = found.and_then(|(_, connection)| connection.translated) else {
            return Err(self.drop(DropReason::NatNoConnection, Detail::NoTranslation));
        };
        let outer = self.journey.tuple();
        let Some(outer) = to_ipv4(&outer, translated.src, translated.dst) else {
            return Err(self.drop(DropReason::NatProtocol, Detail::NotTranslated(outer.protocol)));
        };
        self.step(StepAction::Tracked, Detail::SourceIsNow(translated.src));
        self.journey.change(|tuple| *tuple = outer, |quoted| *quoted = translated.reversed());
        Ok(())
    }

    fn open(&mut self, tuple: FiveTuple) -> Result<(), Stop> {
        self.check_opens(&tuple)?;
        let anybody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let wanted = match tuple.dst {
            IpAddr::V4(_) => Some(FiveTuple { src: anybody, ..tuple }),
            IpAddr::V6(dst) => nat64::embedded(dst).and_then(|dst| to_ipv4(&tuple, anybody, dst.into())),
        };
        let Some(wanted) = wanted else {
            return Err(self.drop(DropReason::NatProtocol, Detail::NotTranslated(tuple.protocol)));
        };
        let addresses: Vec<Ipv4Addr> = addresses_for_new(self.gateway).collect();
        let limit = self.gateway.port_limit();
        let free = self.journey.connections.free_port(self.gateway.id, &addresses, limit, &wanted);
        let Some((address, port)) = free else {
            // A connection that ends makes room.
            self.journey.depends_on_more_than_the_tuple();
            return Err(self.drop(DropReason::NatPortExhausted, Detail::PortsTaken { addresses: addresses.len() }));
        };
        let translated = FiveTuple { src: address.into(), src_port: port, ..wanted };
        let connection = Connection { tuple, opened_by: Direction::Egress, translated: Some(translated) };
        self.journey.effect(Effect::OpenConnection { tracker: self.tracker, connection });
        self.step(StepAction::Forward, Detail::TupleIsNow(translated));
        self.journey.change(|tuple| *tuple = translated, |_| ());
        Ok(())
    }

    /// Only a beginning opens a connection.
    fn check_opens(&mut self, tuple: &FiveTuple) -> Result<(), Stop> {
        let Packet::Ip(packet) = self.journey.packet else { return Ok(()) };
        match packet.transport {
            Transport::Tcp { flags } if !flags.opens() => {
                let reply = (flags.0 & TcpFlags::RST == 0).then_some(Reply::TcpReset);
                self.step(StepAction::Drop, Detail::NoConnectionToContinue);
                Err(self.journey.drop_with_reply(DropReason::NatIdleTimeout, self.resource, reply))
            }
            Transport::Icmp { .. } if !is_echo_request(tuple) => {
                Err(self.drop(DropReason::NatNoConnection, Detail::NoTranslation))
            }
            _ => Ok(()),
        }
    }

    // === from outside ===

    fn enter(&mut self) -> Result<(), Stop> {
        let tuple = self.journey.tuple();
        let known = self.journey.find_connection(self.tracker);
        if let Some(Connection { tuple: inside, translated: Some(outside), .. }) = known
            && outside.reversed() == tuple
        {
            let inside = inside.reversed();
            self.goes_to(&inside);
            self.step(StepAction::Tracked, Detail::TupleIsNow(inside));
            self.journey.change(|tuple| *tuple = inside, |_| ());
            return Ok(());
        }
        self.enter_related()
    }

    /// An error from outside about what a connection sent: it goes to the sender, and quotes what that has sent.
    fn enter_related(&mut self) -> Result<(), Stop> {
        let found = self.journey.find_related(self.tracker);
        let found = found.filter(|(related, connection)| connection.translated == Some(*related));
        let Some((_, Connection { tuple: inside, .. })) = found else {
            return Err(self.drop(DropReason::NatNoConnection, Detail::NoTranslation));
        };
        let outer = self.journey.tuple();
        let Some(outer) = to_family_of(&outer, inside.src) else {
            return Err(self.drop(DropReason::NatProtocol, Detail::NotTranslated(outer.protocol)));
        };
        self.goes_to(&outer);
        self.step(StepAction::Tracked, Detail::DestinationIsNow(inside.src));
        self.journey.change(|tuple| *tuple = outer, |quoted| *quoted = inside);
        Ok(())
    }

    /// A change of family is more than the fast path can do.
    fn goes_to(&mut self, tuple: &FiveTuple) {
        if tuple.dst.is_ipv6() {
            self.journey.depends_on_more_than_the_tuple();
        }
    }
}

/// The private addresses that new connections can have: of a public gateway those with a public one, and none that
/// drains.
pub(crate) fn addresses_for_new(gateway: &NatGateway) -> impl Iterator<Item = Ipv4Addr> {
    let is_private = gateway.connectivity == NatConnectivity::Private;
    let is_usable = move |address: &&NatGatewayAddress| {
        address.drains_until.is_none() && (is_private || address.allocation.is_some())
    };
    gateway.addresses.iter().filter(is_usable).map(|address| address.private_ip)
}

fn is_echo_request(tuple: &FiveTuple) -> bool {
    let wanted = if tuple.protocol == protocol::ICMP { icmp::ECHO_REQUEST } else { icmp::V6_ECHO_REQUEST };
    tuple.icmp_type() == Some(wanted)
}

/// The tuple between these IPv4 addresses, whatever its family was. `None` for ICMP messages that IPv4 does not have.
fn to_ipv4(tuple: &FiveTuple, src: IpAddr, dst: IpAddr) -> Option<FiveTuple> {
    if tuple.protocol != protocol::ICMPV6 {
        return Some(FiveTuple { src, dst, ..*tuple });
    }
    let dst_port = nat64::icmp_to_ipv4(tuple.dst_port)?;
    Some(FiveTuple { protocol: protocol::ICMP, src, dst, dst_port, ..*tuple })
}

/// An error's tuple with another receiver, of whatever family that is. `None` as above.
fn to_family_of(outer: &FiveTuple, receiver: IpAddr) -> Option<FiveTuple> {
    match (outer.src, receiver) {
        (IpAddr::V4(src), IpAddr::V6(_)) => {
            let dst_port = nat64::icmp_to_ipv6(outer.dst_port)?;
            let src = nat64::embed(src).into();
            Some(FiveTuple { protocol: protocol::ICMPV6, src, dst: receiver, dst_port, ..*outer })
        }
        _ => Some(FiveTuple { dst: receiver, ..*outer }),
    }
}
