//! What packets tell of the connections that they belong to.

use crate::clock::may_be_after;
use crate::connections::Tracked;
use crate::engine::{Work, key_at};
use crate::flows::News;
use crate::kernel::Kernel;
use crate::ports::Side;
use crate::upcall::tcp_flags;
use gp_abi::{ACTION_DELIVER, ConnectionKey, ConnectionValue, FlowKey, FlowValue};
use gp_compile::{out_port, tuple_of};
use gp_model::World;
use gp_trace::{Pass, Path, Tracker};
use gp_wire::{FiveTuple, IpPacket, TcpFlags};

impl<K: Kernel> Work<'_, K> {
    /// Forgets the connections of a tuple that is being used again, in both directions and at every tracker on its way,
    /// if one of its ends has closed them. Else the packet is just a SYN that was sent again.
    pub fn close_if_ended(&mut self, world: &World, side: &Side, path: &Path) -> bool {
        let keys = [key_at(side, path.tuple()), self.far_key(world, side, path)];
        let mut has_ended = false;
        for key in keys.iter().flatten() {
            if let Ok(Some(value)) = self.kernel.flow(key) {
                self.note(key, &value, false);
                has_ended |= value.tcp_flags & (TcpFlags::FIN | TcpFlags::RST) != 0;
            }
        }
        let tracked = |pass: &Pass| self.state.connections.get(pass.tracker, &pass.tuple).copied();
        let connections: Vec<(Tracker, Tracked)> =
            path.passes().iter().filter_map(|pass| Some((pass.tracker, tracked(pass)?))).collect();
        has_ended |= connections.iter().any(|(_, tracked)| tracked.is_closing());
        if has_ended {
            keys.iter().flatten().for_each(|key| self.remove_flow(key));
            connections.iter().for_each(|(tracker, tracked)| self.close(*tracker, tracked));
        }
        has_ended
    }

    /// Forgets a connection with the flows that pass a gateway by it.
    pub fn close(&mut self, tracker: Tracker, tracked: &Tracked) {
        for key in self.gateway_flows_of(tracker, tracked) {
            self.remove_flow(&key);
        }
        let tuple = tracked.connection.tuple;
        if let Some(tracked) = self.state.connections.remove(tracker, &tuple) {
            self.remove_record(tracker, &tracked);
        }
    }

    /// The flows of a connection, in both directions, that pass more trackers than those of their ends.
    pub fn gateway_flows_of(&self, tracker: Tracker, tracked: &Tracked) -> Vec<FlowKey> {
        let tuples = [Some(tracked.connection.tuple), tracked.connection.translated];
        tuples.iter().flatten().flat_map(|tuple| self.state.flows.of_connection(tracker, tuple)).collect()
    }

    /// Takes notice of what a flow entry has seen, for the connections on its way.
    pub fn note(&mut self, key: &FlowKey, value: &FlowValue, is_final: bool) {
        // An entry that was put there in advance has not seen its first packet.
        if value.packets == 0 {
            return;
        }
        let tuple = tuple_of(key);
        match self.state.flows.news(key, value) {
            Some(News { passes, packets, bytes }) => {
                for pass in passes.iter() {
                    self.note_at(pass.tracker, &pass.tuple, value, is_final);
                    let is_dropped = value.action != ACTION_DELIVER;
                    self.count_at(pass.tracker, &pass.tuple, packets, bytes, is_dropped);
                }
            }
            None => {
                for number in [key.port, out_port(value)] {
                    let eni = self.state.ports.at(number).and_then(|side| side.ingress.eni());
                    if let Some(eni) = eni {
                        self.note_at(Tracker::Eni(eni), &tuple, value, is_final);
                    }
                }
            }
        }
    }

    fn note_at(&mut self, tracker: Tracker, tuple: &FiveTuple, value: &FlowValue, is_final: bool) {
        let Some(tracked) = self.state.connections.get_mut(tracker, tuple) else { return };
        // A sweep may have read the entry of a connection that has since ended, and of whose tuple this is the next.
        if !may_be_after(value.last_seen_ns, tracked.created_ns) {
            return;
        }
        let was_established = tracked.is_established();
        tracked.note(tuple, value.packets, value.tcp_flags, value.last_seen_ns);
        if !was_established && tracked.is_established() {
            self.state.nats.established(tracker);
        }
        if is_final {
            // From now on only the connection's own record tells.
            tracked.is_recorded = true;
            let (key, value) = tracked.record(tracker);
            self.keep(&key, &value);
        }
    }

    fn count_at(&mut self, tracker: Tracker, tuple: &FiveTuple, packets: u64, bytes: u64, is_dropped: bool) {
        let Tracker::NatGateway(gateway) = tracker else { return };
        let Some(tracked) = self.state.connections.get(tracker, tuple) else { return };
        self.state.nats.carried(gateway, tracked.is_forward(tuple), packets, bytes, is_dropped);
    }

    /// Counts a packet that no flow entry counts, at the gateways on its way.
    pub fn note_gateways(&mut self, path: &Path, bytes: u64) {
        for pass in path.passes() {
            self.count_at(pass.tracker, &pass.tuple, 1, bytes, false);
        }
    }

    /// Takes notice of a packet that the slow path carries on by itself, at connections that were there before it: of
    /// packets that are never cached no flow entry will tell.
    pub fn note_packet(&mut self, path: &Path, packet: &IpPacket) {
        // An error tells of a connection, but is no packet of it.
        if packet.related.is_some() {
            return;
        }
        for pass in path.passes() {
            let Some(tracked) = self.state.connections.get_mut(pass.tracker, &pass.tuple) else { continue };
            let was_established = tracked.is_established();
            tracked.note_one(&pass.tuple, tcp_flags(packet), self.now.monotonic_ns);
            if !was_established && tracked.is_established() {
                self.state.nats.established(pass.tracker);
            }
            tracked.is_recorded = true;
            let (key, value) = tracked.record(pass.tracker);
            self.keep(&key, &value);
        }
    }

    pub fn keep(&mut self, key: &ConnectionKey, value: &ConnectionValue) {
        if let Err(error) = self.kernel.insert_connection(key, value) {
            self.failed("keep a connection", &error);
        }
    }
}
