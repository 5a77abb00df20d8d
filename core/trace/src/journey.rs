//! A packet on its way: what the stages share, and how a stage ends it.

use crate::{
    Component, Connection, Connections, Detail, Drop, DropReason, Effect, Hop, Ingress, MissingPermission, Pass, Path,
    Read, Resource, Stage, Step, StepAction, TraceError, Tracker, Verdict,
};
use gp_model::*;
use gp_wire::{FiveTuple, Packet};

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
    passes: Vec<Pass>,
    hops: Vec<Hop>,
    effects: Vec<Effect>,
    reads: Vec<Read>,
    cacheable: bool,
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
            passes: Vec::with_capacity(2),
            // Most journeys cross five places and read some dozen entities.
            hops: Vec::with_capacity(5),
            effects: Vec::new(),
            reads: Vec::with_capacity(16),
            cacheable: true,
        }
    }

    fetches! {
        vpc: Vpc(VpcId) -> Vpc;
        subnet: Subnet(SubnetId) -> Subnet;
        security_group: SecurityGroup(SecurityGroupId) -> SecurityGroup;
        network_acl: NetworkAcl(NetworkAclId) -> NetworkAcl;
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

    /// Ends the journey with a drop that an API call could have prevented.
    pub(crate) fn refuse(&mut self, stage: Stage, reason: DropReason, missing: MissingPermission) -> Stop {
        let resource = missing.groups.first().map(|id| Resource::SecurityGroup { id: *id });
        let detail = Detail::NoRuleAllows { groups: missing.groups.len() };
        self.step(stage, StepAction::Drop, resource, detail);
        Verdict::Drop(Drop { reason, resource, missing: Some(missing), reply: None }).into()
    }

    pub(crate) fn finish(self, end: Stop) -> Result<Path, TraceError> {
        let Self { ingress, packet, tuple, mtu, passes, hops, effects, mut reads, cacheable, .. } = self;
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
                let translated = tuple;
                let tuple = packet.tuple();
                Ok(Path { ingress, tuple, translated, related, mtu, passes, hops, verdict, effects, reads, cacheable })
            }
        }
    }
}
