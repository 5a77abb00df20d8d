//! The tracked connections of this host's ENIs and gateways.
//!
//! The table here is the truth while the process runs; the copy in the kernel, and the flows that the fast path has made
//! by itself, are what the next process starts from. A connection is found by its tuple in either direction, that of a NAT gateway also by its translated one. At most as many
//! for the ENIs of an instance as its type allows, and [`PER_GATEWAY_MAX`] for each gateway.

use crate::clock::Now;
use crate::places::{Keyed, Place, PlacedTable};
use foldhash::HashMap;
use gp_abi::{ConnectionKey, ConnectionValue};
use gp_compile::{connection_entry, connection_of};
use gp_model::{ConnectionTracking, NatGatewayId};
use gp_trace::{Activity, Connection, DirectionActivity, NatPorts, Tracker};
use gp_wire::{FiveTuple, TcpFlags, protocol};
use std::net::Ipv4Addr;

/// Of an ENI whose instance's type is not known.
pub(crate) const PER_ENI_MAX: usize = 65_536;

/// What eight addresses of a NAT gateway can have to one destination: 55,000 each (VPC user guide, "NAT gateways").
pub(crate) const PER_GATEWAY_MAX: usize = 440_000;

/// A connection and what was seen of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tracked {
    pub connection: Connection,
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub created_ns: u64,
    pub last_seen_ns: u64,
    /// Packets and TCP flags by direction. The packets are those of the busiest flow entry that there was, which is
    /// enough to tell one exchange from a stream.
    pub activity: Activity,
    /// Is there a copy in the kernel? Of a connection that the fast path has let begin there need be none, as long as the
    /// flow's entry is there: see opened.rs.
    pub is_recorded: bool,
}

impl Tracked {
    pub fn new(connection: Connection, now_ns: u64) -> Self {
        let activity = Activity::default();
        Self { connection, created_ns: now_ns, last_seen_ns: now_ns, activity, is_recorded: false }
    }

    /// Is it a tuple of the opener's packets, and not of their answers?
    pub fn is_forward(&self, tuple: &FiveTuple) -> bool {
        *tuple == self.connection.tuple || Some(*tuple) == self.connection.translated
    }

    /// Has TCP's handshake been answered?
    pub fn is_established(&self) -> bool {
        let both = TcpFlags::SYN | TcpFlags::ACK;
        self.connection.tuple.protocol == protocol::TCP && self.activity.reverse.tcp_flags.0 & both == both
    }

    /// Takes notice of packets with this tuple.
    pub fn note(&mut self, tuple: &FiveTuple, packets: u64, tcp_flags: u8, last_seen_ns: u64) {
        self.last_seen_ns = self.last_seen_ns.max(last_seen_ns);
        let side = if self.is_forward(tuple) { &mut self.activity.forward } else { &mut self.activity.reverse };
        side.packets = side.packets.max(packets);
        side.tcp_flags = TcpFlags(side.tcp_flags.0 | tcp_flags);
    }

    /// Takes notice of one packet that no flow entry counts.
    pub fn note_one(&mut self, tuple: &FiveTuple, tcp_flags: u8, now_ns: u64) {
        let side = if self.is_forward(tuple) { self.activity.forward } else { self.activity.reverse };
        self.note(tuple, side.packets + 1, tcp_flags, now_ns);
    }

    /// Has it seen FIN or RST, from either end?
    pub fn is_closing(&self) -> bool {
        let Activity { forward, reverse } = self.activity;
        (forward.tcp_flags.0 | reverse.tcp_flags.0) & (TcpFlags::FIN | TcpFlags::RST) != 0
    }

    /// Has nothing been heard of it for longer than its kind may be silent?
    pub fn is_idle(&self, tracker: Tracker, settings: &ConnectionTracking, now: Now) -> bool {
        let protocol = self.connection.tuple.protocol;
        let allowed = match tracker {
            Tracker::NatGateway(_) => gp_trace::nat_idle_timeout_secs(protocol, &self.activity),
            _ => gp_trace::idle_timeout_secs(protocol, &self.activity, settings),
        };
        now.secs_since(self.last_seen_ns) >= u64::from(allowed)
    }

    /// The entry for the kernel's copy.
    pub fn record(&self, tracker: Tracker) -> (ConnectionKey, ConnectionValue) {
        let (key, value) = connection_entry(tracker, &self.connection);
        let value = ConnectionValue {
            created_ns: self.created_ns,
            last_seen_ns: self.last_seen_ns,
            opener_tcp_flags: self.activity.forward.tcp_flags.0,
            answer_tcp_flags: self.activity.reverse.tcp_flags.0,
            opener_packets: u8::try_from(self.activity.forward.packets).unwrap_or(u8::MAX),
            answer_packets: u8::try_from(self.activity.reverse.packets).unwrap_or(u8::MAX),
            ..value
        };
        (key, value)
    }

    /// What the kernel's copy holds; `None` where another version wrote it.
    pub fn from_record(key: &ConnectionKey, value: &ConnectionValue) -> Option<(Tracker, Self)> {
        let (tracker, connection) = connection_of(key, value)?;
        let mut tracked = Self::new(connection, value.created_ns);
        tracked.last_seen_ns = value.last_seen_ns;
        tracked.is_recorded = true;
        let side = |packets: u8, flags| DirectionActivity { packets: packets.into(), tcp_flags: TcpFlags(flags) };
        tracked.activity.forward = side(value.opener_packets, value.opener_tcp_flags);
        tracked.activity.reverse = side(value.answer_packets, value.answer_tcp_flags);
        Some((tracker, tracked))
    }
}

#[derive(Debug, Default)]
pub(crate) struct ConnectionTable {
    by_tracker: HashMap<Tracker, OfTracker>,
    /// Connections that found no room, while the tracker is here.
    refused: HashMap<Tracker, u64>,
}

impl Keyed for Tracked {
    type Key = FiveTuple;

    fn key(&self) -> FiveTuple {
        canonical(&self.connection.tuple)
    }
}

#[derive(Debug, Default)]
struct OfTracker {
    connections: PlacedTable<Tracked>,
    /// The place of the connection that is translated to this tuple.
    by_translated: HashMap<FiveTuple, Place>,
    ports: NatPorts,
}

/// The same for a tuple and its reverse.
pub(crate) fn canonical(tuple: &FiveTuple) -> FiveTuple {
    (*tuple).min(tuple.reversed())
}

impl OfTracker {
    fn place_of(&self, tuple: &FiveTuple) -> Option<Place> {
        let tuple = canonical(tuple);
        self.connections.find(&tuple).or_else(|| self.by_translated.get(&tuple).copied())
    }

    /// What is there with this tuple goes.
    fn insert(&mut self, tracked: Tracked) {
        self.remove(&tracked.connection.tuple);
        self.put(tracked);
    }

    /// What is there with this tuple stays; says whether nothing was.
    fn insert_new(&mut self, tracked: Tracked) -> bool {
        !self.by_translated.contains_key(&tracked.key()) && self.put(tracked)
    }

    /// Leaves what began with this tuple, and says so.
    fn put(&mut self, tracked: Tracked) -> bool {
        let (place, is_new) = self.connections.find_or_insert(tracked);
        if is_new && let Some(translated) = tracked.connection.translated {
            self.by_translated.insert(canonical(&translated), place);
            self.ports.take(&translated);
        }
        is_new
    }

    fn remove(&mut self, tuple: &FiveTuple) -> Option<Tracked> {
        let removed = self.connections.remove(self.place_of(tuple)?)?;
        if let Some(translated) = removed.connection.translated {
            self.by_translated.remove(&canonical(&translated));
            self.ports.release(&translated);
        }
        Some(removed)
    }
}

impl ConnectionTable {
    pub fn get(&self, tracker: Tracker, tuple: &FiveTuple) -> Option<&Tracked> {
        let of = self.by_tracker.get(&tracker)?;
        of.connections.get(of.place_of(tuple)?)
    }

    pub fn get_mut(&mut self, tracker: Tracker, tuple: &FiveTuple) -> Option<&mut Tracked> {
        let of = self.by_tracker.get_mut(&tracker)?;
        let place = of.place_of(tuple)?;
        of.connections.get_mut(place)
    }

    /// Is there room for one more of this tracker?
    pub fn has_room(&self, tracker: Tracker) -> bool {
        let most = if matches!(tracker, Tracker::Eni(_)) { PER_ENI_MAX } else { PER_GATEWAY_MAX };
        self.len_of(tracker) < most
    }

    /// Takes a connection in; what is there with its tuple goes.
    pub fn insert(&mut self, tracker: Tracker, tracked: Tracked) {
        self.by_tracker.entry(tracker).or_default().insert(tracked);
    }

    /// Takes a connection in if there is none with its tuple. Says whether it is new.
    pub fn insert_new(&mut self, tracker: Tracker, tracked: Tracked) -> bool {
        self.by_tracker.entry(tracker).or_default().insert_new(tracked)
    }

    pub fn remove(&mut self, tracker: Tracker, tuple: &FiveTuple) -> Option<Tracked> {
        let of = self.by_tracker.get_mut(&tracker)?;
        let removed = of.remove(tuple);
        if of.connections.is_empty() {
            self.by_tracker.remove(&tracker);
        }
        removed
    }

    /// Takes all connections of a tracker out.
    pub fn remove_tracker(&mut self, tracker: Tracker) -> Vec<Tracked> {
        self.refused.remove(&tracker);
        self.by_tracker.remove(&tracker).map(|of| of.connections.into_entries().collect()).unwrap_or_default()
    }

    /// Counts a connection that found no room.
    pub fn refuse(&mut self, tracker: Tracker) {
        *self.refused.entry(tracker).or_default() += 1;
    }

    pub fn refused_of(&self, tracker: Tracker) -> u64 {
        self.refused.get(&tracker).copied().unwrap_or(0)
    }

    pub fn len_of(&self, tracker: Tracker) -> usize {
        self.by_tracker.get(&tracker).map_or(0, |of| of.connections.len())
    }

    /// Has a connection of this NAT gateway been translated to the address?
    pub fn uses_address(&self, gateway: NatGatewayId, address: Ipv4Addr) -> bool {
        self.by_tracker.get(&Tracker::NatGateway(gateway)).is_some_and(|of| of.ports.uses(address))
    }

    pub fn len(&self) -> usize {
        self.by_tracker.values().map(|of| of.connections.len()).sum()
    }

    pub fn trackers(&self) -> impl Iterator<Item = Tracker> + '_ {
        self.by_tracker.keys().copied()
    }

    /// The connections of a tracker in the `count` places before `end`, and where that portion begins. Whoever goes on from
    /// there meets all of them but those that have come meanwhile.
    pub fn portion(&self, tracker: Tracker, end: usize, count: usize) -> (impl Iterator<Item = &Tracked>, usize) {
        let connections = self.by_tracker.get(&tracker).map(|of| &of.connections);
        let end = end.min(connections.map_or(0, PlacedTable::places));
        (connections.into_iter().flat_map(move |all| all.before(end, count)), end.saturating_sub(count))
    }

    pub fn of_tracker(&self, tracker: Tracker) -> impl Iterator<Item = &Tracked> {
        self.by_tracker.get(&tracker).into_iter().flat_map(|of| of.connections.iter())
    }
}

impl gp_trace::Connections for ConnectionTable {
    /// Connections are taken out when they have been idle too long, by a sweep every few seconds; until then they count.
    fn find(&self, tracker: Tracker, tuple: &FiveTuple) -> Option<Connection> {
        self.get(tracker, tuple).map(|tracked| tracked.connection)
    }

    fn free_port(
        &self,
        gateway: NatGatewayId,
        addresses: &[Ipv4Addr],
        limit: u32,
        wanted: &FiveTuple,
    ) -> Option<(Ipv4Addr, u16)> {
        match self.by_tracker.get(&Tracker::NatGateway(gateway)) {
            Some(of) => of.ports.free(addresses, limit, wanted),
            None => NatPorts::default().free(addresses, limit, wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_model::{Direction, EniId};
    use gp_trace::Connections;
    use gp_wire::protocol;

    fn echo() -> Connection {
        let (src, dst) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        Connection {
            tuple: FiveTuple::icmp(protocol::ICMP, src, dst, 8, 0, 77),
            opened_by: Direction::Egress,
            translated: None,
        }
    }

    #[test]
    fn a_connection_is_found_from_both_sides_but_only_at_its_eni() {
        let (eni, other) = (Tracker::Eni(EniId::from_bits(1)), Tracker::Eni(EniId::from_bits(2)));
        let mut table = ConnectionTable::default();
        table.insert(eni, Tracked::new(echo(), 5));
        assert_eq!(table.find(eni, &echo().tuple), Some(echo()));
        assert_eq!(table.find(eni, &echo().tuple.reversed()), Some(echo()));
        assert_eq!(table.find(other, &echo().tuple), None);
        assert!(table.remove(eni, &echo().tuple.reversed()).is_some());
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_connection_survives_the_way_through_the_kernels_copy() {
        let eni = Tracker::Eni(EniId::from_bits(9));
        let mut tracked = Tracked { is_recorded: true, ..Tracked::new(echo(), 5) };
        tracked.note(&echo().tuple, 7, 2, 10);
        tracked.note(&echo().tuple.reversed(), 1, 0x12, 8);
        let (key, value) = tracked.record(eni);
        assert_eq!(Tracked::from_record(&key, &value), Some((eni, tracked)));
        assert_eq!((tracked.created_ns, tracked.last_seen_ns), (5, 10));
        assert_eq!((value.opener_tcp_flags, value.answer_tcp_flags), (2, 0x12));
    }

    #[test]
    fn a_translated_connection_is_found_from_outside_and_gives_its_port_back() {
        let gateway = NatGatewayId::from_bits(3);
        let nat = Tracker::NatGateway(gateway);
        let inside = FiveTuple {
            protocol: protocol::TCP,
            src: "10.0.1.5".parse().unwrap(),
            dst: "203.0.113.7".parse().unwrap(),
            src_port: 4000,
            dst_port: 443,
        };
        let own: Ipv4Addr = "10.0.0.9".parse().unwrap();
        let outside = FiveTuple { src: own.into(), ..inside };
        let connection = Connection { tuple: inside, opened_by: Direction::Egress, translated: Some(outside) };
        let mut table = ConnectionTable::default();
        table.insert(nat, Tracked::new(connection, 5));
        for tuple in [inside, inside.reversed(), outside, outside.reversed()] {
            assert_eq!(table.find(nat, &tuple), Some(connection), "{tuple}");
        }
        table.get_mut(nat, &outside.reversed()).unwrap().note(&outside.reversed(), 3, 0x12, 6);
        assert_eq!(table.get(nat, &inside).unwrap().activity.reverse.packets, 3);
        assert_eq!(table.free_port(gateway, &[own], 1, &outside), None, "one port is all that the limit allows");
        assert!(table.uses_address(gateway, own));
        assert!(table.remove(nat, &outside.reversed()).is_some());
        assert!(!table.uses_address(gateway, own));
        assert_eq!(table.free_port(gateway, &[own], 1, &outside), Some((own, 4000)));
        assert_eq!((table.find(nat, &outside), table.len()), (None, 0));
    }
}
