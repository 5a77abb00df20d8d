//! One packet that the flow table could not answer.
//!
//! ```text
//! parse → fill in a fragment's ports → trace → open connections → cache → send on, answer or drop
//! ```

use crate::clock::Now;
use crate::connections::Tracked;
use crate::engine::{Engine, Work, key_at, plain_packet};
use crate::kernel::{Kernel, KernelError};
use crate::ports::Port;
use bytemuck::Zeroable;
use gp_abi::{ConnectionKey, ConnectionValue, FlowKey, FlowValue};
use gp_compile::{Cause, FlowEntry, Upcall, out_port, rewrite, tuple_of};
use gp_model::{EniId, Mac, World};
use gp_trace::{Component, Connection, DropReason, Effect, LocalService, Path, TraceError, Tracker, Verdict, trace};
use gp_wire::{FiveTuple, IpPacket, Packet, TcpFlags, Transport, icmp, protocol};
use std::net::IpAddr;

const ETHERNET_HEADER_BYTES: usize = 14;
const ETHERNET_ADDRESSES_BYTES: usize = 12;
const ETHERTYPE_VLAN: u16 = 0x8100;

/// Flows of one ENI: an eighth of the table, so that one ENI can't push out everybody else's.
const FLOWS_OF_ENI_MAX: usize = 1 << 17;

/// Of so many flows of an ENI the longest idle ones are thrown out to make room. A sample, since ordering all would
/// cost seconds exactly when there is a flood.
const EVICTION_SAMPLE: usize = 256;
const EVICTED_AT_ONCE: usize = 64;

/// By how much the fast path's clock, which ticks a hundred times a second or more, may lag behind ours.
const CLOCK_LAG_NS: u64 = 20_000_000;

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Sent on to the guest behind the ENI.
    Delivered(EniId),
    /// Answered by the VPC itself.
    Answered(LocalService),
    Dropped(DropReason),
    /// Not an upcall, or the VPC keeps silent.
    Ignored,
}

impl<K: Kernel> Engine<K> {
    /// Decides on what the fast path handed up: header and frame. The frame is rewritten in place.
    pub fn handle_upcall(&self, bytes: &mut [u8], now: Now) -> Fate {
        let Some((upcall, frame)) = Upcall::split(bytes) else { return Fate::Ignored };
        let header_bytes = bytes.len() - frame.len();
        let frame = &mut bytes[header_bytes..];
        self.work(now, |work| {
            work.state.totals.upcalls += 1;
            let fate = work.handle(upcall, frame);
            match fate {
                Fate::Delivered(_) => work.state.totals.delivered += 1,
                Fate::Answered(_) => work.state.totals.answered += 1,
                Fate::Dropped(reason) => work.state.drops.count(reason),
                Fate::Ignored => {}
            }
            fate
        })
    }
}

impl<K: Kernel> Work<'_, K> {
    fn handle(&mut self, upcall: Upcall, frame: &mut [u8]) -> Fate {
        let Some(port) = self.state.ports.at(upcall.port).cloned() else {
            return Fate::Dropped(DropReason::UnknownEni);
        };
        let mut packet = match gp_wire::parse(frame) {
            Ok(packet) => packet,
            Err(error) => return Fate::Dropped(error.into()),
        };
        let Some(world) = self.world_of(&port) else { return Fate::Dropped(DropReason::UnknownEni) };
        if let Packet::Ip(ip) = &mut packet {
            self.state.fragments.complete(port.eni, ip, self.now);
            if upcall.cause == Cause::Reopen {
                self.close_if_ended(&world, &port, &ip.tuple);
            }
        }
        match trace(&world, &self.state.connections, port.eni, &packet, self.now.wall) {
            Ok(path) => self.follow(&world, &port, &packet, &path, frame),
            Err(TraceError::UnknownEni(_)) => Fate::Dropped(DropReason::UnknownEni),
            Err(error) => {
                self.state.totals.failures += 1;
                if self.state.totals.failures.is_power_of_two() {
                    tracing::error!(%error, eni = %port.eni, "no decision is possible; the packet is dropped");
                }
                Fate::Dropped(DropReason::UnknownEni)
            }
        }
    }

    /// Carries a path out.
    fn follow(&mut self, world: &World, port: &Port, packet: &Packet, path: &Path, frame: &mut [u8]) -> Fate {
        if let (Packet::Ip(ip), Verdict::Deliver { eni, .. }) = (packet, path.verdict()) {
            self.note_packet(port.eni, ip);
            self.note_packet(*eni, ip);
        }
        if let Err(reason) = self.open_connections(world, path, packet) {
            return Fate::Dropped(reason);
        }
        match path.verdict() {
            // No host has an uplink yet.
            Verdict::Uplink => Fate::Dropped(DropReason::NoRoute),
            Verdict::LocalService(service) => self.answer(world, port, packet, frame, *service),
            Verdict::Drop(drop) => {
                if let Packet::Ip(ip) = packet {
                    self.cache(path, ip);
                }
                Fate::Dropped(drop.reason)
            }
            Verdict::Deliver { eni, src_mac, dst_mac } => {
                let Packet::Ip(ip) = packet else { return Fate::Dropped(DropReason::Malformed) };
                self.deliver(world, path, ip, frame, Delivery { eni: *eni, src_mac: *src_mac, dst_mac: *dst_mac })
            }
        }
    }

    fn deliver(&mut self, world: &World, path: &Path, packet: &IpPacket, frame: &mut [u8], to: Delivery) -> Fate {
        // The world may be ahead of this host: the ENI's interface is still being made.
        let Some(receiver) = self.state.ports.get(to.eni).cloned() else {
            return Fate::Dropped(DropReason::EniNotAttached);
        };
        self.cache(path, packet);
        self.cache_answer(world, path, &receiver, &to);
        if frame.len() > usize::from(receiver.mtu) + ETHERNET_HEADER_BYTES {
            return Fate::Dropped(DropReason::TooLarge);
        }
        rewrite(frame, &FlowValue { src_mac: to.src_mac.0, dst_mac: to.dst_mac.0, ..Zeroable::zeroed() });
        self.send(&receiver, frame);
        Fate::Delivered(to.eni)
    }

    fn answer(&mut self, world: &World, port: &Port, packet: &Packet, frame: &[u8], service: LocalService) -> Fate {
        let Some(eni) = world.eni(port.eni) else { return Fate::Dropped(DropReason::UnknownEni) };
        let Some(reply) = gp_services::reply(world, eni, packet, frame, service) else { return Fate::Ignored };
        self.send(port, &reply);
        Fate::Answered(service)
    }

    /// Sends a frame out of a port, with the port's tag.
    fn send(&mut self, port: &Port, frame: &[u8]) {
        let sent = match port.vlan {
            0 => self.kernel.send(port.ifindex, frame),
            vlan => self.kernel.send(port.ifindex, &tagged(frame, vlan)),
        };
        if let Err(error) = sent {
            self.failed("send a packet", &error);
        }
    }

    /// Opens the connections that a path asks for: all or, where one has no room, none.
    fn open_connections(&mut self, world: &World, path: &Path, packet: &Packet) -> Result<(), DropReason> {
        let full = |effect: &Effect| {
            let Effect::OpenConnection { tracker, .. } = effect;
            let Tracker::Eni(eni) = tracker else { return None };
            (!self.state.connections.has_room(*eni)).then_some(*eni)
        };
        if let Some(eni) = path.effects().iter().find_map(full) {
            self.state.connections.refuse(eni);
            return Err(DropReason::ConnectionBudget);
        }
        for effect in path.effects() {
            let Effect::OpenConnection { tracker, connection } = *effect;
            if let Tracker::Eni(eni) = tracker {
                self.open_connection(eni, connection, packet)?;
            }
        }
        if !path.effects().is_empty() {
            self.retrace_answers(world, path);
        }
        Ok(())
    }

    fn open_connection(&mut self, eni: EniId, connection: Connection, packet: &Packet) -> Result<(), DropReason> {
        let mut tracked = Tracked::new(connection, self.now.monotonic_ns);
        let flags = if let Packet::Ip(ip) = packet { tcp_flags(ip) } else { 0 };
        tracked.note(&connection.tuple, 1, flags, self.now.monotonic_ns);
        let (key, value) = tracked.record(eni);
        match self.kernel.insert_connection(&key, &value) {
            Ok(()) => {}
            Err(KernelError::Full) => return Err(DropReason::ConnectionBudget),
            // It would not survive a restart; it works all the same.
            Err(error) => self.failed("keep a connection", &error),
        }
        self.state.connections.insert(eni, tracked);
        Ok(())
    }

    /// A new connection may let pass what was dropped before: the flow in the other direction, if it is cached.
    fn retrace_answers(&mut self, world: &World, path: &Path) {
        let Some(ingress) = path.ingress().eni() else { return };
        let Some(peer) = self.peer_of(world, ingress, path) else { return };
        if let Some(key) = key_at(&peer, path.tuple().reversed())
            && self.state.flows.contains(&key)
        {
            self.retrace(&key);
        }
    }

    /// The ENI at the packet's far end, if it is on this host: the one that the path came to, else the holder of the
    /// destination.
    fn peer_of(&self, world: &World, ingress: EniId, path: &Path) -> Option<Port> {
        let mut enis = path.hops().iter().filter_map(|hop| match hop.component {
            Component::Eni(eni) if eni != ingress => Some(eni),
            _ => None,
        });
        let reached = enis.next_back();
        let peer = reached.or_else(|| holder(world, ingress, path.tuple().dst))?;
        self.state.ports.get(peer).cloned()
    }

    /// Puts a path into the flow table, with this packet counted.
    fn cache(&mut self, path: &Path, packet: &IpPacket) {
        let Some(entry) = FlowEntry::from_path(path, &self.state.ports) else { return };
        // A burst of first packets is handed up before the first of them is cached.
        if self.state.flows.contains(entry.key()) && self.kernel.replace_flow(&entry).is_ok_and(|there| there) {
            self.state.flows.insert(*entry.key(), path.reads());
            return;
        }
        self.install(entry.with_first_packet(packet, self.now.monotonic_ns), path);
    }

    /// Caches the answer's direction too where it is certain, so that an answer needs no upcall.
    fn cache_answer(&mut self, world: &World, path: &Path, receiver: &Port, to: &Delivery) {
        let tuple = path.tuple();
        let is_request =
            !tuple.is_icmp() || matches!(tuple.icmp_type(), Some(icmp::ECHO_REQUEST | icmp::V6_ECHO_REQUEST));
        if !is_request || !path.is_cacheable() {
            return;
        }
        let answer = Packet::Ip(plain_packet(tuple.reversed(), to.dst_mac, to.src_mac));
        let Ok(path) = trace(world, &self.state.connections, receiver.eni, &answer, self.now.wall) else { return };
        if !matches!(path.verdict(), Verdict::Deliver { .. }) || !path.effects().is_empty() {
            return;
        }
        let Some(entry) = FlowEntry::from_path(&path, &self.state.ports) else { return };
        if !self.state.flows.contains(entry.key()) {
            // Not a packet, but as fresh as one: it must not be the first to be thrown out.
            let unused = FlowValue { last_seen_ns: self.now.monotonic_ns, ..Zeroable::zeroed() };
            self.install(entry.with_counters_of(&unused), &path);
        }
    }

    fn install(&mut self, entry: FlowEntry, path: &Path) {
        let port = entry.key().port;
        if self.state.flows.len_of(port) >= FLOWS_OF_ENI_MAX {
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
                self.state.flows.insert(*entry.key(), path.reads());
            }
            // Its packets go on by the slow path.
            Err(KernelError::Full) => {}
            Err(error) => self.failed("cache a flow", &error),
        }
    }

    /// Throws out the longest idle flows of a sample of one ENI's.
    fn evict_from(&mut self, port: u32) {
        let sample: Vec<FlowKey> = self.state.flows.of_port(port).take(EVICTION_SAMPLE).copied().collect();
        let last_seen = |key: &FlowKey| self.kernel.flow(key).ok().flatten().map_or(0, |value| value.last_seen_ns);
        let mut by_age: Vec<(u64, FlowKey)> = sample.into_iter().map(|key| (last_seen(&key), key)).collect();
        by_age.sort_unstable();
        for (_, key) in by_age.iter().take(EVICTED_AT_ONCE) {
            self.remove_flow(key);
            self.state.totals.evicted += 1;
        }
    }

    /// Forgets the connection of a tuple that is being used again, in both directions and at both ENIs, if one of its
    /// ends has closed it. Else the packet is just a SYN that was sent again.
    fn close_if_ended(&mut self, world: &World, port: &Port, tuple: &FiveTuple) {
        let peer = holder(world, port.eni, tuple.dst).and_then(|eni| self.state.ports.get(eni).cloned());
        let ends: Vec<_> = [(Some(port.clone()), *tuple), (peer, tuple.reversed())]
            .into_iter()
            .filter_map(|(port, tuple)| Some((port?, tuple)))
            .collect();
        let mut has_ended = false;
        for (port, tuple) in &ends {
            let Some(key) = key_at(port, *tuple) else { continue };
            if let Ok(Some(value)) = self.kernel.flow(&key) {
                self.note(&key, &value, false);
                has_ended |= value.tcp_flags & (TcpFlags::FIN | TcpFlags::RST) != 0;
            }
        }
        has_ended |= ends.iter().any(|(port, tuple)| {
            self.state.connections.get(port.eni, tuple).is_some_and(crate::connections::Tracked::is_closing)
        });
        if has_ended {
            ends.iter().for_each(|(port, tuple)| self.close(port, tuple));
        }
    }

    fn close(&mut self, port: &Port, tuple: &FiveTuple) {
        if let Some(key) = key_at(port, *tuple) {
            self.remove_flow(&key);
        }
        if let Some(tracked) = self.state.connections.remove(port.eni, tuple) {
            self.remove_record(port.eni, &tracked);
        }
    }

    /// Takes notice of what a flow entry has seen, for the connections at its two ends.
    pub fn note(&mut self, key: &FlowKey, value: &FlowValue, is_final: bool) {
        // An entry that was put there in advance has not seen its first packet.
        if value.packets == 0 {
            return;
        }
        let tuple = tuple_of(key);
        for number in [key.port, out_port(value)] {
            let Some(eni) = self.state.ports.at(number).map(|port| port.eni) else { continue };
            let Some(tracked) = self.state.connections.get_mut(eni, &tuple) else { continue };
            // A sweep may have read the entry of a connection that has since ended, and of whose tuple this is the next.
            if value.last_seen_ns.saturating_add(CLOCK_LAG_NS) < tracked.created_ns {
                continue;
            }
            tracked.note(&tuple, value.packets, value.tcp_flags, value.last_seen_ns);
            if is_final {
                // From now on only the connection's own record tells.
                let (key, value) = tracked.record(eni);
                self.keep(&key, &value);
            }
        }
    }

    /// Takes notice of a packet that the slow path carries on by itself, at a connection that was there before it: of
    /// packets that are never cached no flow entry will tell.
    fn note_packet(&mut self, eni: EniId, packet: &IpPacket) {
        let Some(tracked) = self.state.connections.get_mut(eni, &packet.tuple) else { return };
        tracked.note_one(&packet.tuple, tcp_flags(packet), self.now.monotonic_ns);
        let (key, value) = tracked.record(eni);
        self.keep(&key, &value);
    }

    fn keep(&mut self, key: &ConnectionKey, value: &ConnectionValue) {
        if let Err(error) = self.kernel.insert_connection(key, value) {
            self.failed("keep a connection", &error);
        }
    }
}

/// The frame with a tag of IEEE 802.1Q behind its addresses.
fn tagged(frame: &[u8], vlan: u16) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(frame.len().min(ETHERNET_ADDRESSES_BYTES));
    [addresses, &ETHERTYPE_VLAN.to_be_bytes(), &vlan.to_be_bytes(), rest].concat()
}

struct Delivery {
    eni: EniId,
    src_mac: Mac,
    dst_mac: Mac,
}

/// The ENI that holds an address as seen from another one.
pub(crate) fn holder(world: &World, from: EniId, address: IpAddr) -> Option<EniId> {
    let subnet = world.subnet(world.eni(from)?.subnet)?;
    gp_trace::holder(world, subnet, address, &mut |_| ()).map(|eni| eni.id)
}

fn tcp_flags(packet: &IpPacket) -> u8 {
    match packet.transport {
        Transport::Tcp { flags } if packet.tuple.protocol == protocol::TCP => flags.0,
        _ => 0,
    }
}
