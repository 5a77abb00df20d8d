//! A packet on its way: what the stages share, and how a stage ends it.

use crate::{
    Component, Connections, Detail, Drop, DropReason, Effect, Hop, MissingPermission, Path, Read, Resource, Stage,
    Step, StepAction, TraceError, Verdict,
};
use gp_model::*;
use gp_wire::{FiveTuple, Packet};

/// A trace under way. Entities are fetched through it, so that no look escapes [`Path::reads`].
pub(crate) struct Journey<'a> {
    pub world: &'a World,
    pub connections: &'a dyn Connections,
    pub packet: &'a Packet,
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
    pub(crate) fn new(world: &'a World, connections: &'a dyn Connections, packet: &'a Packet) -> Self {
        // Most journeys cross five places and read some dozen entities.
        let (hops, reads) = (Vec::with_capacity(5), Vec::with_capacity(16));
        Self { world, connections, packet, hops, effects: Vec::new(), reads, cacheable: true }
    }

    fetches! {
        vpc: Vpc(VpcId) -> Vpc;
        subnet: Subnet(SubnetId) -> Subnet;
        security_group: SecurityGroup(SecurityGroupId) -> SecurityGroup;
        network_acl: NetworkAcl(NetworkAclId) -> NetworkAcl;
    }

    pub(crate) fn tuple(&self) -> FiveTuple {
        self.packet.tuple()
    }

    /// Of an ICMP error: the tuple that it is about, if the error goes to the sender of that packet.
    pub(crate) fn related(&self) -> Option<FiveTuple> {
        match self.packet {
            Packet::Ip(packet) => packet.related.filter(|related| related.src == packet.tuple.dst),
            Packet::Arp(_) => None,
        }
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
        Verdict::Drop(Drop { reason, resource, missing: None }).into()
    }

    /// Ends the journey with a drop that an API call could have prevented.
    pub(crate) fn refuse(&mut self, stage: Stage, reason: DropReason, missing: MissingPermission) -> Stop {
        let resource = missing.groups.first().map(|id| Resource::SecurityGroup { id: *id });
        let detail = Detail::NoRuleAllows { groups: missing.groups.len() };
        self.step(stage, StepAction::Drop, resource, detail);
        Verdict::Drop(Drop { reason, resource, missing: Some(missing) }).into()
    }

    pub(crate) fn finish(self, ingress: EniId, end: Stop) -> Result<Path, TraceError> {
        let Self { packet, hops, effects, mut reads, cacheable, .. } = self;
        match end {
            Stop::Undecidable(error) => Err(error),
            Stop::Verdict(verdict) => {
                reads.sort_unstable();
                reads.dedup();
                Ok(Path { ingress, tuple: packet.tuple(), hops, verdict: *verdict, effects, reads, cacheable })
            }
        }
    }
}
