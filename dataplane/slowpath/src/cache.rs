//! Paths in the flow table: what is put there, for which packets, and what makes room.

use crate::engine::{Work, key_at, plain_packet};
use crate::kernel::{Kernel, KernelError};
use crate::ports::Side;
use crate::upcall::Delivery;
use bytemuck::Zeroable;
use gp_abi::{ACTION_DELIVER, FlowKey, FlowValue};
use gp_compile::FlowEntry;
use gp_model::{EniId, World};
use gp_trace::{Component, Effect, Pass, Path, Tracker, Verdict, trace};
use gp_wire::{IpPacket, Packet, icmp};
use std::net::IpAddr;

/// Flows of one port: an eighth of the table, so that one can't push out everybody else's.
pub(crate) const FLOWS_OF_PORT_MAX: usize = 1 << 17;

/// Of so many flows of a port the longest idle ones are thrown out to make room. A sample, since ordering all would
/// cost seconds exactly when there is a flood.
const EVICTION_SAMPLE: usize = 128;
const EVICTED_AT_ONCE: usize = 64;

impl<K: Kernel> Work<'_, K> {
    /// A new connection may let pass what was dropped before: cached drops that have asked its tracker for it.
    pub fn retrace_answers(&mut self, path: &Path) {
        let mut keys = Vec::new();
        for effect in path.effects() {
            let Effect::OpenConnection { tracker, connection } = effect;
            let tuples = [Some(connection.tuple), connection.translated];
            keys.extend(tuples.iter().flatten().flat_map(|tuple| self.state.flows.of_connection(*tracker, tuple)));
        }
        keys.iter().for_each(|key| self.retrace(key));
    }

    /// The key of the answers to a path's packets, at its far end.
    pub fn far_key(&self, world: &World, side: &Side, path: &Path) -> Option<FlowKey> {
        key_at(&self.far_side(world, side, path)?, path.translated().reversed())
    }

    /// The port at the packet's far end, if it is on this host: the one that the path came to, else the holder of the
    /// destination.
    fn far_side(&self, world: &World, side: &Side, path: &Path) -> Option<Side> {
        if let Verdict::Deliver { .. } | Verdict::Uplink = path.verdict() {
            return self.delivery(&side.region, path).map(|to| to.side);
        }
        let ingress = side.ingress.eni();
        let mut enis = path.hops().iter().filter_map(|hop| match hop.component {
            Component::Eni(eni) if Some(eni) != ingress => Some(eni),
            _ => None,
        });
        let reached = enis.next_back();
        let peer = reached.or_else(|| holder(world, ingress?, path.translated().dst))?;
        self.state.ports.get(peer).cloned()
    }

    /// Puts a path into the flow table, with this packet counted. Says whether an entry counts it.
    pub fn cache(&mut self, side: &Side, path: &Path, packet: &IpPacket) -> bool {
        // The outside may hold more than the peer that we know. Who talks to itself by its public address answers itself:
        // the next packet meets the connection that this one has opened.
        if packet.src_mac != side.mac || meets_own_connection(path) {
            return false;
        }
        let Some(entry) = FlowEntry::from_path(path, &self.state.ports.in_region(&side.region)) else { return false };
        // A burst of first packets is handed up before the first of them is cached.
        if self.state.flows.contains(entry.key()) && self.replace_flow(&entry).is_ok_and(|there| there) {
            self.index(entry.key(), entry.value(), path);
            return false;
        }
        self.install(entry.with_first_packet(packet, self.now.monotonic_ns), path)
    }

    /// Caches the answer's direction too where it is certain, so that an answer needs no upcall.
    pub fn cache_answer(&mut self, world: &World, path: &Path, to: &Delivery) {
        let tuple = path.translated();
        let is_request =
            !tuple.is_icmp() || matches!(tuple.icmp_type(), Some(icmp::ECHO_REQUEST | icmp::V6_ECHO_REQUEST));
        if !is_request || !path.is_cacheable() {
            return;
        }
        let answer = Packet::Ip(plain_packet(tuple.reversed(), to.dst_mac, to.src_mac));
        let Ok(path) = trace(world, &self.state.connections, to.side.ingress, &answer, self.now.wall) else { return };
        if !matches!(path.verdict(), Verdict::Deliver { .. } | Verdict::Uplink) || !path.effects().is_empty() {
            return;
        }
        let Some(entry) = FlowEntry::from_path(&path, &self.state.ports.in_region(&to.side.region)) else { return };
        if !self.state.flows.contains(entry.key()) {
            // Not a packet, but as fresh as one: it must not be the first to be thrown out.
            let unused = FlowValue { last_seen_ns: self.now.monotonic_ns, ..Zeroable::zeroed() };
            self.install(entry.with_counters_of(&unused), &path);
        }
    }

    fn install(&mut self, entry: FlowEntry, path: &Path) -> bool {
        let port = entry.key().port;
        if self.state.flows.len_of(port) >= FLOWS_OF_PORT_MAX {
            self.evict_from(port);
        }
        let mut done = self.kernel.insert_flow(&entry);
        if matches!(done, Err(KernelError::Full))
            && let Some(largest) = self.state.flows.largest()
        {
            self.evict_from(largest);
            done = self.kernel.insert_flow(&entry);
        }
        match done {
            Ok(()) => {
                self.state.totals.installed += 1;
                self.index(entry.key(), entry.value(), path);
                true
            }
            // Its packets go on by the slow path.
            Err(KernelError::Full) => false,
            Err(error) => {
                self.failed("cache a flow", &error);
                false
            }
        }
    }

    /// Notes what a cached path rests on, and who must hear of its packets.
    pub fn index(&mut self, key: &FlowKey, value: &FlowValue, path: &Path) {
        self.state.flows.insert(*key, path.reads());
        let ends = [key.port, gp_compile::out_port(value)].map(|number| {
            let side = self.state.ports.at(number)?;
            Some(Tracker::Eni(side.ingress.eni()?))
        });
        let is_plain = |pass: &Pass| pass.tuple == path.tuple() && ends.contains(&Some(pass.tracker));
        let passes = path.passes();
        // A drop is found by its trackers, so that it ends when one of them opens a connection for it.
        let is_found_by_key = value.action == ACTION_DELIVER && passes.iter().all(is_plain);
        self.state.flows.set_passes(key, if is_found_by_key { &[] } else { passes });
    }

    /// Throws out the longest idle flows of a sample of one ENI's.
    fn evict_from(&mut self, port: u32) {
        let sample = self.state.flows.sample(port, EVICTION_SAMPLE);
        let read = |key: FlowKey| (key, self.kernel.flow(&key).ok().flatten());
        let mut by_age: Vec<(FlowKey, Option<FlowValue>)> = sample.into_iter().map(read).collect();
        by_age.sort_unstable_by_key(|(_, value)| value.map(|value| value.last_seen_ns));
        for (key, value) in by_age.into_iter().take(EVICTED_AT_ONCE) {
            self.remove_seen_flow(&key, value);
            self.state.totals.evicted += 1;
        }
    }
}

fn meets_own_connection(path: &Path) -> bool {
    path.effects().iter().any(|effect| {
        let Effect::OpenConnection { tracker, connection } = effect;
        let answer = Pass { tracker: *tracker, tuple: connection.tuple.reversed() };
        path.passes().contains(&answer)
    })
}

/// The ENI that holds an address as seen from another one.
pub(crate) fn holder(world: &World, from: EniId, address: IpAddr) -> Option<EniId> {
    let subnet = world.subnet(world.eni(from)?.subnet)?;
    gp_trace::holder(world, subnet, address, &mut |_| ()).map(|eni| eni.id)
}
