//! One packet that the flow table could not answer.
//!
//! ```text
//! parse → fill in a fragment's ports → trace → open connections → cache → translate, cut → send on, answer or drop
//! ```

use crate::clock::Now;
use crate::connections::Tracked;
use crate::engine::{Engine, Work};
use crate::kernel::{Kernel, KernelError};
use crate::ports::Side;
use bytemuck::Zeroable;
use gp_abi::FlowValue;
use gp_compile::{Cause, Upcall, rewrite};
use gp_model::{EniId, Mac, Region, World};
use gp_trace::{
    Connection, DropReason, Effect, Ingress, LocalService, Path, ROUTER_LINK_LOCAL, Reply, TraceError, Tracker,
    Verdict, trace,
};
use gp_wire::{IpPacket, Packet, Transport, protocol};
use std::net::{IpAddr, Ipv4Addr};

/// Who tells the outside that a packet of its own died: a link-local address, which stands for no VPC.
const UPLINK_ROUTER: Ipv4Addr = Ipv4Addr::new(169, 254, 0, 1);

const ETHERNET_HEADER_BYTES: usize = 14;
const ETHERNET_ADDRESSES_BYTES: usize = 12;
const ETHERTYPE_VLAN: u16 = 0x8100;

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Sent on to the guest behind the ENI.
    Delivered(EniId),
    /// Sent on to the outside.
    LeftRegion,
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
                Fate::Delivered(_) | Fate::LeftRegion => work.state.totals.delivered += 1,
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
        let Some(side) = self.state.ports.at(upcall.port).cloned() else {
            return Fate::Dropped(DropReason::UnknownEni);
        };
        let mut packet = match gp_wire::parse(frame) {
            Ok(packet) => packet,
            Err(error) => return Fate::Dropped(error.into()),
        };
        let Some(world) = self.world_of(&side) else { return Fate::Dropped(DropReason::UnknownEni) };
        if side.ingress == Ingress::Uplink
            && let Some(service) = gp_services::outside_asks(&packet)
        {
            return self.answer_outside(&world, &side, &packet, service);
        }
        if let Packet::Ip(ip) = &mut packet {
            self.state.fragments.complete(side.number, ip, self.now);
        }
        let mut path = trace(&world, &self.state.connections, side.ingress, &packet, self.now.wall);
        if upcall.cause == Cause::Reopen
            && let Ok(found) = &path
            && self.close_if_ended(&world, &side, found)
        {
            path = trace(&world, &self.state.connections, side.ingress, &packet, self.now.wall);
        }
        match path {
            Ok(path) => self.follow(&world, &side, &packet, &path, frame),
            Err(TraceError::UnknownEni(_)) => Fate::Dropped(DropReason::UnknownEni),
            Err(error) => {
                self.state.totals.failures += 1;
                if self.state.totals.failures.is_power_of_two() {
                    tracing::error!(%error, port = ?side.ingress, "no decision is possible; the packet is dropped");
                }
                Fate::Dropped(DropReason::UnknownEni)
            }
        }
    }

    /// Carries a path out.
    fn follow(&mut self, world: &World, side: &Side, packet: &Packet, path: &Path, frame: &mut [u8]) -> Fate {
        if let (Packet::Ip(ip), Verdict::Deliver { .. } | Verdict::Uplink) = (packet, path.verdict()) {
            self.note_packet(path, ip);
        }
        if let Err(reason) = self.open_connections(path, packet) {
            return Fate::Dropped(reason);
        }
        match path.verdict() {
            Verdict::LocalService(service) => self.answer(world, side, packet, frame, *service),
            Verdict::Drop(drop) => {
                if let Packet::Ip(ip) = packet
                    && !self.cache(side, path, ip)
                {
                    self.state.nats.dropped(path, 1, ip.frame_bytes.into());
                }
                if let Some(reply) = drop.reply {
                    self.reply(world, side, frame, reply);
                }
                Fate::Dropped(drop.reason)
            }
            Verdict::Deliver { .. } | Verdict::Uplink => {
                let Packet::Ip(ip) = packet else { return Fate::Dropped(DropReason::Malformed) };
                // The world may be ahead of this host: the ENI's interface is still being made.
                match self.delivery(&side.region, path) {
                    Some(to) => self.deliver(world, side, path, ip, frame, &to),
                    None => Fate::Dropped(DropReason::EniNotAttached),
                }
            }
        }
    }

    pub fn delivery(&self, region: &Region, path: &Path) -> Option<Delivery> {
        match path.verdict() {
            Verdict::Deliver { eni, src_mac, dst_mac } => {
                let side = self.state.ports.get(*eni)?.clone();
                Some(Delivery { side, src_mac: *src_mac, dst_mac: *dst_mac })
            }
            Verdict::Uplink => {
                let side = self.state.ports.uplink(region)?.clone();
                Some(Delivery { src_mac: side.own_mac, dst_mac: side.mac, side })
            }
            Verdict::LocalService(_) | Verdict::Drop(_) => None,
        }
    }

    fn deliver(
        &mut self,
        world: &World,
        from: &Side,
        path: &Path,
        packet: &IpPacket,
        frame: &mut [u8],
        to: &Delivery,
    ) -> Fate {
        let mtu = path.mtu().map_or(to.side.mtu, |mtu| mtu.min(to.side.mtu));
        let is_too_large = frame.len() > usize::from(mtu) + ETHERNET_HEADER_BYTES;
        let may_be_cut = packet.tuple.src.is_ipv4() && !packet.dont_fragment;
        let is_counted = self.cache(from, path, packet);
        self.cache_answer(world, path, to);
        self.know_pair(world, from, path, packet);
        if is_too_large && !may_be_cut {
            self.reply(world, from, frame, Reply::PacketTooBig { mtu });
            return Fate::Dropped(DropReason::TooLarge);
        }
        if let Err(reason) = self.charge(path, from, &to.side, frame.len().saturating_sub(ETHERNET_HEADER_BYTES) as u64)
        {
            return Fate::Dropped(reason);
        }
        let (tuple, related) = (path.translated(), path.related());
        // NAT64 makes another frame of it.
        let mut of_other_family = None;
        if tuple.src.is_ipv4() != packet.tuple.src.is_ipv4() {
            of_other_family = gp_wire::nat64::translate(frame, &tuple, related.as_ref());
            if of_other_family.is_none() {
                return Fate::Dropped(DropReason::NatProtocol);
            }
        } else if (tuple != path.tuple() || related.is_some())
            && gp_wire::translate(frame, &tuple, related.as_ref()).is_err()
        {
            return Fate::Dropped(DropReason::Malformed);
        }
        let frame = of_other_family.as_deref_mut().unwrap_or(frame);
        if let Some(mss) = gp_compile::mss(path, to.side.mtu) {
            gp_wire::lower_mss(frame, mss);
        }
        if !is_counted {
            self.note_gateways(path, packet.frame_bytes.into());
        }
        rewrite(frame, &FlowValue { src_mac: to.src_mac.0, dst_mac: to.dst_mac.0, ..Zeroable::zeroed() });
        if is_too_large {
            gp_wire::fragment(frame, mtu).iter().for_each(|piece| self.send(&to.side, piece));
        } else {
            self.send(&to.side, frame);
        }
        match to.side.ingress {
            Ingress::Eni(eni) => Fate::Delivered(eni),
            Ingress::Uplink => Fate::LeftRegion,
        }
    }

    fn answer(&mut self, world: &World, side: &Side, packet: &Packet, frame: &[u8], service: LocalService) -> Fate {
        let Some(eni) = side.ingress.eni().and_then(|eni| world.eni(eni)) else {
            return Fate::Dropped(DropReason::UnknownEni);
        };
        let Some(reply) = gp_services::reply(world, eni, packet, frame, service) else { return Fate::Ignored };
        self.send(side, &reply);
        Fate::Answered(service)
    }

    /// The outside asks who has an address of the region: we.
    fn answer_outside(&mut self, world: &World, side: &Side, packet: &Packet, service: LocalService) -> Fate {
        match gp_services::reply_outside(world, side.own_mac, packet) {
            Some(reply) => {
                self.send(side, &reply);
                Fate::Answered(service)
            }
            None => Fate::Dropped(DropReason::NoSuchAddress),
        }
    }

    /// Tells the sender of a packet that dies here.
    fn reply(&mut self, world: &World, to: &Side, frame: &[u8], reply: Reply) {
        let is_ipv4 = frame.get(12..14) == Some(&[0x08, 0x00]);
        let subnet = to.ingress.eni().and_then(|eni| world.subnet(world.eni(eni)?.subnet));
        let router = match subnet {
            _ if !is_ipv4 => IpAddr::V6(ROUTER_LINK_LOCAL),
            Some(subnet) => gp_trace::router_ipv4(subnet).unwrap_or(UPLINK_ROUTER).into(),
            None => UPLINK_ROUTER.into(),
        };
        let told = match reply {
            Reply::TcpReset => gp_wire::tcp_reset(frame),
            Reply::PacketTooBig { mtu } => gp_wire::packet_too_big(frame, router, mtu),
            Reply::TimeExceeded => gp_wire::time_exceeded(frame, router),
        };
        if let Some(told) = told {
            self.send(to, &told);
        }
    }

    /// Sends a frame out of a port, with the port's tag.
    fn send(&mut self, side: &Side, frame: &[u8]) {
        let sent = match side.vlan {
            0 => self.kernel.send(side.ifindex, frame),
            vlan => self.kernel.send(side.ifindex, &tagged(frame, vlan)),
        };
        if let Err(error) = sent {
            self.failed("send a packet", &error);
        }
    }

    /// Opens the connections that a path asks for: all or, where one has no room, none.
    fn open_connections(&mut self, path: &Path, packet: &Packet) -> Result<(), DropReason> {
        let mut trackers = path.effects().iter().map(|Effect::OpenConnection { tracker, .. }| *tracker);
        if let Some(tracker) = trackers.find(|tracker| !self.has_room(*tracker)) {
            self.state.connections.refuse(tracker);
            return Err(DropReason::ConnectionBudget);
        }
        for effect in path.effects() {
            let Effect::OpenConnection { tracker, connection } = *effect;
            self.open_connection(tracker, connection, packet)?;
        }
        if !path.effects().is_empty() {
            self.retrace_answers(path);
        }
        Ok(())
    }

    fn open_connection(&mut self, tracker: Tracker, connection: Connection, packet: &Packet) -> Result<(), DropReason> {
        let mut tracked = Tracked::new(connection, self.now.monotonic_ns);
        let flags = if let Packet::Ip(ip) = packet { tcp_flags(ip) } else { 0 };
        tracked.note(&connection.tuple, 1, flags, self.now.monotonic_ns);
        let (key, value) = tracked.record(tracker);
        match self.kernel.insert_connection(&key, &value) {
            Ok(()) => tracked.is_recorded = true,
            Err(KernelError::Full) => {
                self.state.connections.refuse(tracker);
                return Err(DropReason::ConnectionBudget);
            }
            // It would not survive a restart; it works all the same.
            Err(error) => self.failed("keep a connection", &error),
        }
        self.state.nats.opened(tracker, &connection);
        self.state.connections.insert(tracker, tracked);
        Ok(())
    }
}

/// The frame with a tag of IEEE 802.1Q behind its addresses.
fn tagged(frame: &[u8], vlan: u16) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(frame.len().min(ETHERNET_ADDRESSES_BYTES));
    [addresses, &ETHERTYPE_VLAN.to_be_bytes(), &vlan.to_be_bytes(), rest].concat()
}

/// Where a packet goes, with the Ethernet addresses that it must have there.
pub(crate) struct Delivery {
    pub side: Side,
    pub src_mac: Mac,
    pub dst_mac: Mac,
}

pub(crate) fn tcp_flags(packet: &IpPacket) -> u8 {
    match packet.transport {
        Transport::Tcp { flags } if packet.tuple.protocol == protocol::TCP => flags.0,
        _ => 0,
    }
}
