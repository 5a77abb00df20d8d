//! Forgetting what has gone quiet.
//!
//! The flow table is read without the lock, in batches by the kernel; what follows from it is done in portions, and so is the
//! look at the connections: upcalls wait for one portion at most. A flow that has seen nothing since the last sweep costs no
//! more than the reading of it.

use crate::cache::holder;
use crate::clock::{Now, may_be_after};
use crate::connections::Tracked;
use crate::engine::{Engine, PORTION, Work, key_at};
use crate::kernel::{Kernel, KernelError};
use gp_abi::{ACTION_DELIVER, FlowKey, FlowValue};
use gp_catalog::catalog;
use gp_model::{ConnectionTracking, Eni, EniId, World};
use gp_trace::Tracker;
use gp_wire::{FiveTuple, TcpFlags, protocol};
use std::sync::PoisonError;

/// A flow entry is only a cache: dropping an idle one costs an upcall for its next packet, keeping it costs memory.
const FLOW_IDLE_SECS: u64 = 60;

/// Of an open TCP connection: while no agent runs there is nobody to answer an upcall, and an idle session must still
/// be there when its user comes back. (Its entries go with the connection, where that is tracked.)
const TCP_FLOW_IDLE_SECS: u64 = 3600;

impl<K: Kernel> Engine<K> {
    /// Hears what flows have counted, and removes flows and connections that have been idle for too long. To be called
    /// every few seconds. Returns how many went.
    ///
    /// # Errors
    /// The kernel's flow table can't be read.
    pub fn expire(&self, now: Now) -> Result<usize, KernelError> {
        let mut last = self.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
        let mut expired = 0;
        let mut portion: Vec<(FlowKey, FlowValue)> = Vec::with_capacity(PORTION);
        self.kernel.sweep_flows(&mut |key, value| {
            if !is_idle(key, value, now) && !may_be_after(value.last_seen_ns, last.monotonic_ns) {
                return;
            }
            portion.push((*key, *value));
            if portion.len() == PORTION {
                expired += self.work(now, |work| work.expire_flows(&portion));
                portion.clear();
            }
        })?;
        expired += self.work(now, |work| work.expire_flows(&portion));
        let trackers: Vec<Tracker> = self.work(now, |work| work.state.connections.trackers().collect());
        for tracker in trackers {
            let mut rest = usize::MAX;
            while rest > 0 {
                expired += self.work(now, |work| work.expire_connections(tracker, &mut rest));
            }
        }
        self.work(now, |work| {
            work.state.totals.expired += expired as u64;
            work.sweep_allowances();
            work.sweep_pairs();
        });
        *last = now;
        Ok(expired)
    }
}

fn is_idle(key: &FlowKey, value: &FlowValue, now: Now) -> bool {
    now.secs_since(value.last_seen_ns) >= flow_idle_secs(key, value)
}

fn flow_idle_secs(key: &FlowKey, value: &FlowValue) -> u64 {
    let has_ended = value.tcp_flags & (TcpFlags::FIN | TcpFlags::RST) != 0;
    let is_open = key.protocol == protocol::TCP && value.action == ACTION_DELIVER && value.packets > 0 && !has_ended;
    if is_open { TCP_FLOW_IDLE_SECS } else { FLOW_IDLE_SECS }
}

/// An ENI's timeouts: its own where they are set, else those of its instance's type (newer ones have shorter defaults).
fn timeouts(world: &World, eni: &Eni) -> ConnectionTracking {
    let instance = eni.attachment.as_ref().and_then(|attachment| world.instance(attachment.instance));
    let Some(kind) = instance.and_then(|instance| catalog().get(&instance.instance_type)) else {
        return eni.connection_tracking;
    };
    let ConnectionTracking { tcp_established_secs, udp_stream_secs, udp_secs } = eni.connection_tracking;
    ConnectionTracking {
        tcp_established_secs: tcp_established_secs.or(Some(kind.conntrack.tcp_established_secs)),
        udp_stream_secs: udp_stream_secs.or(Some(kind.conntrack.udp_stream_secs)),
        udp_secs: udp_secs.or(Some(kind.conntrack.udp_secs)),
    }
}

impl<K: Kernel> Work<'_, K> {
    fn expire_flows(&mut self, flows: &[(FlowKey, FlowValue)]) -> usize {
        let mut expired = 0;
        for (key, value) in flows {
            self.note(key, value, false);
            // What is in the table but not in the index can't be traced again after a change. It may just have been
            // removed by another thread, too.
            if is_idle(key, value, self.now) || !self.state.flows.contains(key) {
                self.remove_seen_flow(key, Some(*value));
                expired += 1;
            }
        }
        expired
    }

    /// Takes the idle ones of a portion of a tracker's connections out; `rest` is how many places are still to be looked at.
    fn expire_connections(&mut self, tracker: Tracker, rest: &mut usize) -> usize {
        let end = std::mem::take(rest);
        if !self.is_there(tracker) {
            return self.remove_tracker(tracker);
        }
        let settings = match tracker {
            Tracker::Eni(eni) => {
                let world = self.state.ports.get(eni).and_then(|side| self.world_of(side));
                let Some(world) = world else { return 0 };
                world.eni(eni).map(|eni| timeouts(&world, eni)).unwrap_or_default()
            }
            _ => ConnectionTracking::default(),
        };
        let now = self.now;
        let is_idle = |tracked: &Tracked| tracked.is_idle(tracker, &settings, now);
        let (portion, start) = self.state.connections.portion(tracker, end, PORTION);
        let idle: Vec<Tracked> = portion.filter(|tracked| is_idle(tracked)).copied().collect();
        *rest = start;
        let mut expired = 0;
        for tracked in idle {
            let tuple = tracked.connection.tuple;
            self.remove_flows_of(tracker, &tracked);
            let still = self.state.connections.get(tracker, &tuple).filter(|tracked| is_idle(tracked)).copied();
            if let Some(tracked) = still {
                self.state.connections.remove(tracker, &tuple);
                self.remove_record(tracker, &tracked);
                if !tracked.is_closing() {
                    self.state.nats.idled(tracker);
                }
                expired += 1;
            }
        }
        expired
    }

    /// Takes out what is cached of a connection, in both directions and at both ends. It rests on the connection, and
    /// may have seen a packet since it was read: taking it out brings its last word. If there was a packet, the next
    /// one just caches it again.
    fn remove_flows_of(&mut self, tracker: Tracker, tracked: &Tracked) {
        let mut keys = self.gateway_flows_of(tracker, tracked);
        if let Tracker::Eni(eni) = tracker {
            keys.extend(self.flows_at_ends(eni, &tracked.connection.tuple));
        }
        for key in keys {
            if self.state.flows.contains(&key) {
                self.remove_flow(&key);
            }
        }
    }

    fn flows_at_ends(&self, eni: EniId, tuple: &FiveTuple) -> Vec<FlowKey> {
        let Some(side) = self.state.ports.get(eni) else { return Vec::new() };
        let Some(world) = self.world_of(side) else { return Vec::new() };
        let far_ends = [tuple.dst, tuple.src].map(|address| holder(&world, eni, address));
        let peers = far_ends.into_iter().flatten().filter_map(|eni| self.state.ports.get(eni));
        let sides = peers.chain([side]);
        sides.flat_map(|side| [key_at(side, *tuple), key_at(side, tuple.reversed())]).flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_model::{Change, Instance};
    use gp_worlds::Scenario;

    #[test]
    fn what_an_eni_leaves_open_its_instance_type_says() {
        let scenario: Scenario =
            "vpc a 10.0.0.0/16; subnet s a 10.0.1.0/24; sg g a; eni e s 10.0.1.10 sg g".parse().unwrap();
        let mut world = scenario.world.clone();
        let mut eni = (**world.eni(scenario.eni("e")).unwrap()).clone();
        let instance = world.instance(eni.attachment.as_ref().unwrap().instance).unwrap();
        let newer = Instance { instance_type: "c8a.12xlarge".into(), ..(**instance).clone() };
        world.apply(Change::Put(newer.into()));
        assert_eq!(timeouts(&world, &eni).tcp_established_secs, Some(350));
        eni.connection_tracking.tcp_established_secs = Some(120);
        assert_eq!(timeouts(&world, &eni).tcp_established_secs, Some(120));
    }
}
