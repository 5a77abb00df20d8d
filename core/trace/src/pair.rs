//! Pairs: two ENIs and a port of one of them, between which connections all begin alike.
//!
//! The host may then let further connections begin without asking again. What makes them alike is said here and by the
//! stages that compare ports, nowhere else. Promise: as long as nothing changes that the two paths have read, a packet
//! of the pair with any of its source ports, of which no connection is known, has the forward path with its own source
//! port; and what answers it then has the answer's.

use crate::journey::Journey;
use crate::ports::Ports;
use crate::question::{Opened, answer_to};
use crate::{Connections, Effect, Ingress, NoConnections, Path, TraceError, Tracker, Verdict, follow};
use gp_model::{EniId, PortRange, World};
use gp_wire::{IpPacket, Packet, protocol};

/// How connections begin from one ENI to one port of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    forward: Path,
    answer: Path,
    source_ports: PortRange,
}

impl Pair {
    /// Of the packet that was asked about.
    pub fn forward(&self) -> &Path {
        &self.forward
    }

    /// Of its answer, once the connections are open that the forward path opens.
    pub fn answer(&self) -> &Path {
        &self.answer
    }

    /// The packet's own source port, and those that would fare alike.
    pub fn source_ports(&self) -> PortRange {
        self.source_ports
    }
}

/// The pair that a TCP or UDP packet from `sender` belongs to. `None` where its connections don't begin alike, or where
/// it takes more than the two ENIs to say so: a gateway, a translation, an MTU on the way, a drop.
///
/// # Errors
/// As [`crate::trace`].
pub fn pair(world: &World, sender: EniId, packet: &IpPacket) -> Result<Option<Pair>, TraceError> {
    if !matches!(packet.tuple.protocol, protocol::TCP | protocol::UDP) {
        return Ok(None);
    }
    let (forward, ports) = trace_ports(world, &NoConnections, sender, packet)?;
    let Some(receiver) = plain_receiver(&forward, sender) else { return Ok(None) };
    let opened = Opened { earlier: &NoConnections, effects: forward.effects() };
    let (answer, answer_ports) = trace_ports(world, &opened, receiver, &answer_to(world, receiver, packet, &forward)?)?;
    if plain_receiver(&answer, receiver) != Some(sender) || !answer.effects().is_empty() {
        return Ok(None);
    }
    let (asked, answered) = (ports.source, answer_ports.destination);
    let source_ports = PortRange { from: asked.from.max(answered.from), to: asked.to.min(answered.to) };
    Ok(Some(Pair { forward, answer, source_ports }))
}

fn trace_ports(
    world: &World,
    connections: &dyn Connections,
    sender: EniId,
    packet: &IpPacket,
) -> Result<(Path, Ports), TraceError> {
    let packet = Packet::Ip(packet.clone());
    let mut journey = Journey::new(world, connections, Ingress::Eni(sender), &packet).note_ports();
    let Err(end) = follow(&mut journey);
    let ports = journey.ports().unwrap_or(Ports::ALL);
    Ok((journey.finish(end)?, ports))
}

/// Who gets the packet, if nobody but the two ENIs has a say that could differ for another packet.
fn plain_receiver(path: &Path, sender: EniId) -> Option<EniId> {
    let Verdict::Deliver { eni: receiver, .. } = *path.verdict() else { return None };
    let tuple = path.tuple();
    let is_end = |tracker: Tracker| [Tracker::Eni(sender), Tracker::Eni(receiver)].contains(&tracker);
    let is_plain = receiver != sender
        && path.is_cacheable()
        && path.translated() == tuple
        && path.related().is_none()
        && path.mtu().is_none()
        && path.passes().iter().all(|pass| is_end(pass.tracker) && pass.tuple == tuple)
        && path.effects().iter().all(|Effect::OpenConnection { tracker, connection }| {
            is_end(*tracker) && connection.tuple == tuple && connection.translated.is_none()
        });
    is_plain.then_some(receiver)
}
