//! A packet on its way: what the stages share, and how a stage ends it.

use crate::ports::Ports;
use crate::traffic::covers;
use crate::{
    Component, Connection, Connections, Detail, Drop, DropReason, Effect, Hop, Ingress, MissingPermission, Pass, Path,
    Read, Reply, Resource, Stage, Step, StepAction, TraceError, Tracker, Verdict,
};
use gp_model::*;
use gp_wire::{FiveTuple, IpPacket, Packet, protocol};

/// Bytes of the headers of IPv4 and TCP, without options: what an MTU has and a segment has not (RFC 9293, 3.7.1).
const IPV4_TCP_BYTES: u16 = 40;
const IPV6_TCP_BYTES: u16 = 60;

/// A trace under way. Entities are fetched through it, so that no look escapes [`Path::reads`].
pub(crate) struct Journey<'a> {
    pub world: &'a World,
    pub connections: &'a dyn Connections,
    pub ingress: Ingress,
    /// As it came in.
    pub packet: &'a Packet,
    /// The packet's tuple as it is now.
    tuple: FiveTuple,
    /// Of an ICMP error: the tuple that it is about, as it is now, if the error goes to the sender of that packet.
    related: Option<FiveTuple>,
    mtu: Option<u16>,
    /// Does a place on the way lower the segments that SYNs announce?
    clamps_segments: bool,
    /// Of a sender whose groups let the packet go untracked: what it would have to track.
    untracked: Option<Effect>,
    passes: Vec<Pass>,
    hops: Vec<Hop>,
    effects: Vec<Effect>,
    reads: Vec<Read>,
    cacheable: bool,
    /// Where it is asked for: the ports with which everything so far would have been the same.
    ports: Option<Ports>,
}

/// The end of a journey. Stages return it as their `Err`, so that `?` leaves the list of stages.
pub(crate) enum Stop {
    /// Boxed, as every stage's result has room for it.
    Verdict(Box<Verdict>),
    Undecidable(TraceError),
}

impl From<Verdict> for Stop {
    fn from(verdict: Verdict) -> Self {
        Stop::Verdict(Box::new(verdict))
    }
}

impl From<TraceError> for Stop {
    fn from(error: TraceError) -> Self {
        Stop::Undecidable(error)
    }
}

macro_rules! fetches {
    ($($name:ident: $read:ident($id:ty) -> $entity:ty;)*) => {$(
        /// The entity, noted as read.
        pub(crate) fn $name(&mut self, id: $id) -> Result<&'a $entity, TraceError> {
            self.read(Read::$read(id));
            self.world.$name(id).map(|entity| &**entity).ok_or(TraceError::Dangling(Read::$read(id)))
        }
    )*};
}

impl<'a> Journey<'a> {
    pub(crate) fn new(
        world: &'a World,
        connections: &'a dyn Connections,
        ingress: Ingress,
        packet: &'a Packet,
    ) -> Self {
        let related = match packet {
            Packet::Ip(packet) => packet.related.filter(|related| related.src == packet.tuple.dst),
            Packet::Arp(_) => None,
        };
        Self {
            world,
            connections,
            ingress,
            packet,
            tuple: packet.tuple(),
            related,
            mtu: None,
            clamps_segments: false,
            untracked: None,
            passes: Vec::with_capacity(2),
            // Most journeys cross five places and read some dozen entities.
            hops: Vec::with_capacity(5),
            effects: Vec::new(),
            reads: Vec::with_capacity(16),
            cacheable: true,
            ports: None,
        }
    }

    /// From here on the journey notes which other ports would fare alike: that costs some comparisons.
    pub(crate) fn note_ports(mut self) -> Self {
        self.ports = Some(Ports::ALL);
        self
    }

    pub(crate) fn ports(&self) -> Option<Ports> {
        self.ports
    }

    /// Does `traffic` cover the packet as it is now? Notes which other ports would have been told the same.
    pub(crate) fn covers(&mut self, traffic: TrafficMatch) -> bool {
        if let Some(ports) = &mut self.ports {
            ports.compare_destination(traffic, &self.tuple);
        }
        covers(traffic, &self.tuple)
    }

    /// Notes that rules may look at both the packet's and its answer's port with this traffic.
    pub(crate) fn compare_both_ports(&mut self, traffic: TrafficMatch) {
        if let Some(ports) = &mut self.ports {
            ports.compare_destination(traffic, &self.tuple);
            ports.compare_source(traffic, &self.tuple);
        }
    }

    fetches! {
        vpc: Vpc(VpcId) -> Vpc;
        subnet: Subnet(SubnetId) -> Subnet;
        security_group: SecurityGroup(SecurityGroupId) -> SecurityGroup;
        network_acl: NetworkAcl(NetworkAclId) -> NetworkAcl;
    }

    /// A group's rules for one direction, noted as read.
    pub(crate) fn rules(&mut self, id: SecurityGroupId, direction: Direction) -> Result<&'a RuleCells, TraceError> {
        let read = Read::SecurityGroup(id);
        self.read(read);
        self.world.rules_of_group(id).map(|index| index.rules(direction)).ok_or(TraceError::Dangling(read))
    }

    /// The packet's tuple as it is now.
    pub(crate) fn tuple(&self) -> FiveTuple {
        self.tuple
    }

    /// Of an ICMP error: the tuple that it is about, as it is now, if the error goes to the sender of that packet.
    pub(crate) fn related(&self) -> Option<FiveTuple> {
        self.related
    }

    /// The tracker's connection that the packet, as it is now, is a part of.
    pub(crate) fn find_connection(&mut self, tracker: Tracker) -> Option<Connection> {
        self.passes.push(Pass { tracker, tuple: self.tuple });
        self.connections.find(tracker, &self.tuple)
    }

    /// The tracker's connection that the ICMP error at hand is about, with the tuple that it quotes.
    pub(crate) fn find_related(&mut self, tracker: Tracker) -> Option<(FiveTuple, Connection)> {
        let related = self.related?;
        // Errors about different flows share one tuple.
        self.depends_on_more_than_the_tuple();
        self.passes.push(Pass { tracker, tuple: related });
        Some((related, self.connections.find(tracker, &related)?))
    }

    /// Changes the packet, and what it quotes if it is an ICMP error that is followed.
    pub(crate) fn change(&mut self, tuple: impl FnOnce(&mut FiveTuple), quoted: impl FnOnce(&mut FiveTuple)) {
        tuple(&mut self.tuple);
        if let Some(related) = &mut self.related {
            quoted(related);
        }
    }

    /// Notes what the sender would track if its flow had to be.
    pub(crate) fn leave_untracked(&mut self, effect: Effect) {
        self.untracked = Some(effect);
    }

    /// Behind some gateways all flows are tracked (EC2 user guide, "Automatically tracked connections").
    pub(crate) fn track_sender(&mut self) {
        self.effects.extend(self.untracked.take());
    }

    /// Notes a gateway's MTU, and drops what is larger and must not be cut.
    pub(crate) fn limit_mtu(&mut self, stage: Stage, mtu: u16, resource: Resource) -> Result<(), Stop> {
        self.mtu = Some(self.mtu.map_or(mtu, |other| other.min(mtu)));
        let Packet::Ip(packet) = self.packet else { return Ok(()) };
        if packet.packet_bytes() <= u32::from(mtu) || !packet.dont_fragment {
            return Ok(());
        }
        let bytes = packet.packet_bytes();
        self.step(stage, StepAction::Drop, Some(resource), Detail::LargerThan { bytes, mtu });
        Err(self.drop_with_reply(DropReason::TooLarge, resource, Some(Reply::PacketTooBig { mtu })))
    }

    /// Notes that segments are to fit the smallest MTU of the way, and that SYNs are to say so.
    pub(crate) fn clamp_segments(&mut self) {
        self.clamps_segments = true;
    }

    /// The largest segment that fits, if SYNs are to say so. Where the family changes on the way, the larger of the two
    /// headers counts, since a packet is judged by its size in either.
    fn largest_segment(&self) -> Option<u16> {
        let Packet::Ip(IpPacket { tuple, .. }) = self.packet else { return None };
        if !self.clamps_segments || tuple.protocol != protocol::TCP {
            return None;
        }
        let is_ipv4 = tuple.src.is_ipv4() && self.tuple.src.is_ipv4();
        let headers = if is_ipv4 { IPV4_TCP_BYTES } else { IPV6_TCP_BYTES };
        self.mtu.map(|mtu| mtu.saturating_sub(headers))
    }

    /// Where the packet is.
    pub(crate) fn place(&self) -> Option<Component> {
        self.hops.last().map(|hop| hop.component)
    }

    pub(crate) fn has_passed(&self, component: Component) -> bool {
        self.hops.iter().any(|hop| hop.component == component)
    }

    pub(crate) fn read(&mut self, read: Read) {
        self.reads.push(read);
    }

    /// Says that another packet with the same tuple may fare otherwise, so this answer must not be replayed.
    pub(crate) fn depends_on_more_than_the_tuple(&mut self) {
        self.cacheable = false;
    }

    pub(crate) fn enter(&mut self, component: Component) {
        self.hops.push(Hop { component, steps: Vec::with_capacity(4) });
    }

    pub(crate) fn step(&mut self, stage: Stage, action: StepAction, resource: Option<Resource>, detail: Detail) {
        if let Some(hop) = self.hops.last_mut() {
            hop.steps.push(Step { stage, action, resource, detail });
        }
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Ends the journey with a drop.
    pub(crate) fn drop(
        &mut self,
        stage: Stage,
        reason: DropReason,
        resource: Option<Resource>,
        detail: Detail,
    ) -> Stop {
        self.step(stage, StepAction::Drop, resource, detail);
        Verdict::Drop(Drop { reason, resource, missing: None, reply: None }).into()
    }

    /// Ends the journey, after its last step, with a drop that the sender may be told of.
    pub(crate) fn drop_with_reply(&mut self, reason: DropReason, resource: Resource, reply: Option<Reply>) -> Stop {
        self.depends_on_more_than_the_tuple();
        Verdict::Drop(Drop { reason, resource: Some(resource), missing: None, reply }).into()
    }

    /// Ends the journey with a drop that an API call could have prevented.
    pub(crate) fn refuse(&mut self, stage: Stage, reason: DropReason, missing: MissingPermission) -> Stop {
        let resource = missing.groups.first().map(|id| Resource::SecurityGroup { id: *id });
        let detail = Detail::NoRuleAllows { groups: missing.groups.len() };
        self.step(stage, StepAction::Drop, resource, detail);
        Verdict::Drop(Drop { reason, resource, missing: Some(missing), reply: None }).into()
    }

    pub(crate) fn finish(self, end: Stop) -> Result<Path, TraceError> {
        let mss = self.largest_segment();
        let Self { ingress, packet, tuple, mtu, passes, hops, mut effects, mut reads, mut cacheable, .. } = self;
        let quoted = match packet {
            Packet::Ip(packet) => packet.related,
            Packet::Arp(_) => None,
        };
        let related = self.related.filter(|related| Some(*related) != quoted);
        match end {
            Stop::Undecidable(error) => Err(error),
            Stop::Verdict(verdict) => {
                reads.sort_unstable();
                reads.dedup();
                let verdict = *verdict;
                if matches!(verdict, Verdict::Drop(_)) && discard_translations(&mut effects) {
                    // Whether there was a port to be had may change.
                    cacheable = false;
                }
                let translated = tuple;
                let tuple = packet.tuple();
                Ok(Path {
                    ingress,
                    tuple,
                    translated,
                    related,
                    mtu,
                    mss,
                    passes,
                    hops,
                    verdict,
                    effects,
                    reads,
                    cacheable,
                })
            }
        }
    }
}

/// A packet that dies behind a NAT gateway leaves its port free: no answer will ever come. Says whether it had one.
fn discard_translations(effects: &mut Vec<Effect>) -> bool {
    let before = effects.len();
    effects.retain(|Effect::OpenConnection { tracker, .. }| !matches!(tracker, Tracker::NatGateway(_)));
    effects.len() < before
}
