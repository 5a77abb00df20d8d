//! Ports of fragmented packets: only the first fragment carries them.
//!
//! A later fragment takes its ports from the first one of its packet. Fragments that overtake their first one are
//! dropped: holding them back would let a guest fill memory with halves of packets, and Linux sends them in order.
//! Source: RFC 791, 3.2; RFC 8200, 4.5.

use crate::clock::Now;
use gp_wire::{FiveTuple, Fragment, IpPacket, Transport};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// How long fragments of one packet may be apart, in seconds (RFC 8200 gives reassembly 60; Linux 30).
const LIFETIME_SECS: u64 = 30;

/// Packets that may be in pieces at the same time, over all ports; the oldest make room.
const PACKETS_MAX: usize = 4096;

/// Of these at most so many for one port, so that one can't push out all others'.
const PACKETS_OF_PORT_MAX: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct PacketId {
    port: u32,
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
    id: u32,
}

impl PacketId {
    fn of(port: u32, packet: &IpPacket, fragment: Fragment) -> Self {
        let FiveTuple { src, dst, protocol, .. } = packet.tuple;
        Self { port, src, dst, protocol, id: fragment.id }
    }
}

#[derive(Debug, Clone, Copy)]
struct First {
    src_port: u16,
    dst_port: u16,
    transport: Transport,
    seen_ns: u64,
}

#[derive(Debug, Default)]
pub(crate) struct FragmentTable {
    firsts: HashMap<PacketId, First>,
    /// Oldest first.
    order: VecDeque<PacketId>,
    of_port: HashMap<u32, usize>,
}

impl FragmentTable {
    /// Makes a fragment tell its ports: notes those of a first one, fills in those of a later one. A later one whose
    /// first is unknown stays as it is, and the trace drops it.
    pub fn complete(&mut self, port: u32, packet: &mut IpPacket, now: Now) {
        let Some(fragment) = packet.fragment else { return };
        self.forget_old(now);
        if fragment.offset == 0 {
            let (src_port, dst_port) = (packet.tuple.src_port, packet.tuple.dst_port);
            let first = First { src_port, dst_port, transport: packet.transport, seen_ns: now.monotonic_ns };
            self.insert(PacketId::of(port, packet, fragment), first);
        } else {
            self.recall(port, packet, now);
        }
    }

    /// Fills in the ports of a later fragment, as far as its first is known.
    pub fn recall(&self, port: u32, packet: &mut IpPacket, now: Now) {
        let Some(fragment) = packet.fragment.filter(|fragment| fragment.offset > 0) else { return };
        let Some(first) = self.firsts.get(&PacketId::of(port, packet, fragment)) else { return };
        if now.secs_since(first.seen_ns) < LIFETIME_SECS {
            packet.tuple.src_port = first.src_port;
            packet.tuple.dst_port = first.dst_port;
            packet.transport = first.transport;
            // With its ports known it is judged as its first fragment was.
            packet.fragment = Some(Fragment { offset: 0, ..fragment });
        }
    }

    fn insert(&mut self, id: PacketId, first: First) {
        if self.firsts.insert(id, first).is_some() {
            return;
        }
        self.order.push_back(id);
        let of_port = self.of_port.entry(id.port).or_default();
        *of_port += 1;
        if *of_port > PACKETS_OF_PORT_MAX
            && let Some(place) = self.order.iter().position(|other| other.port == id.port)
        {
            self.remove_at(place);
        } else if self.order.len() > PACKETS_MAX {
            self.remove_at(0);
        }
    }

    fn forget_old(&mut self, now: Now) {
        while let Some(oldest) = self.order.front() {
            let seen_ns = self.firsts.get(oldest).map_or(0, |first| first.seen_ns);
            if now.secs_since(seen_ns) < LIFETIME_SECS {
                return;
            }
            self.remove_at(0);
        }
    }

    fn remove_at(&mut self, place: usize) {
        let Some(id) = self.order.remove(place) else { return };
        self.firsts.remove(&id);
        if let Some(count) = self.of_port.get_mut(&id.port) {
            *count -= 1;
            if *count == 0 {
                self.of_port.remove(&id.port);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_model::Mac;
    use gp_wire::FiveTuple;

    fn fragment(id: u32, offset: u32) -> IpPacket {
        let (src, dst) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let ports = if offset == 0 { (1000, 53) } else { (0, 0) };
        IpPacket {
            src_mac: Mac([2; 6]),
            dst_mac: Mac([4; 6]),
            tuple: FiveTuple { protocol: 17, src, dst, src_port: ports.0, dst_port: ports.1 },
            transport: if offset == 0 { Transport::Udp } else { Transport::Other },
            ttl: 64,
            fragment: Some(Fragment { id, offset, more: true }),
            dont_fragment: false,
            related: None,
            solicited: None,
            frame_bytes: 1500,
        }
    }

    fn at(secs: u64) -> Now {
        Now { monotonic_ns: secs * 1_000_000_000, ..Now::default() }
    }

    fn ports(table: &mut FragmentTable, port: u32, mut packet: IpPacket, now: Now) -> (u16, u16) {
        table.complete(port, &mut packet, now);
        (packet.tuple.src_port, packet.tuple.dst_port)
    }

    #[test]
    fn a_later_fragment_has_the_ports_of_its_first() {
        let mut table = FragmentTable::default();
        assert_eq!(ports(&mut table, 1, fragment(7, 1480), at(1)), (0, 0), "its first has not come yet");
        ports(&mut table, 1, fragment(7, 0), at(1));
        assert_eq!(ports(&mut table, 1, fragment(7, 1480), at(2)), (1000, 53));
        assert_eq!(ports(&mut table, 1, fragment(8, 1480), at(2)), (0, 0), "another packet");
        assert_eq!(ports(&mut table, 2, fragment(7, 1480), at(2)), (0, 0), "another port");
        assert_eq!(ports(&mut table, 1, fragment(7, 1480), at(31)), (0, 0), "too late");
    }

    #[test]
    fn a_flood_of_first_fragments_is_bounded_and_hurts_nobody_else() {
        let mut table = FragmentTable::default();
        ports(&mut table, 2, fragment(1, 0), at(0));
        for id in 0..100_000 {
            ports(&mut table, 1, fragment(id, 0), at(1));
        }
        assert_eq!(table.order.len(), PACKETS_OF_PORT_MAX + 1);
        assert_eq!(table.firsts.len(), table.order.len());
        assert_eq!(ports(&mut table, 2, fragment(1, 1480), at(2)), (1000, 53));
        assert_eq!(ports(&mut table, 1, fragment(99_999, 1480), at(2)), (1000, 53));
    }
}
