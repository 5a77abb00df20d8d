//! The tracked connections of this host's ENIs.
//!
//! The table here is the truth while the process runs; the copy in the kernel is what the next process starts from. A
//! connection is found by its tuple in either direction. At most [`PER_ENI_MAX`] for each ENI.

use crate::clock::Now;
use bytemuck::Zeroable;
use gp_abi::{ConnectionKey, ConnectionValue};
use gp_compile::{connection_key, connection_of};
use gp_model::{ConnectionTracking, EniId, NatGatewayId};
use gp_trace::{Activity, Connection, DirectionActivity, NatPorts, Tracker};
use gp_wire::{FiveTuple, TcpFlags};
use std::collections::HashMap;
use std::net::Ipv4Addr;

/// AWS does not publish what its instance types track; others measured some 54,000 on an m5.large.
pub(crate) const PER_ENI_MAX: usize = 65_536;

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
}

impl Tracked {
    pub fn new(connection: Connection, now_ns: u64) -> Self {
        Self { connection, created_ns: now_ns, last_seen_ns: now_ns, activity: Activity::default() }
    }

    /// Takes notice of packets with this tuple.
    pub fn note(&mut self, tuple: &FiveTuple, packets: u64, tcp_flags: u8, last_seen_ns: u64) {
        self.last_seen_ns = self.last_seen_ns.max(last_seen_ns);
        let is_forward = *tuple == self.connection.tuple;
        let side = if is_forward { &mut self.activity.forward } else { &mut self.activity.reverse };
        side.packets = side.packets.max(packets);
        side.tcp_flags = TcpFlags(side.tcp_flags.0 | tcp_flags);
    }

    /// Takes notice of one packet that no flow entry counts.
    pub fn note_one(&mut self, tuple: &FiveTuple, tcp_flags: u8, now_ns: u64) {
        let is_forward = *tuple == self.connection.tuple;
        let side = if is_forward { self.activity.forward } else { self.activity.reverse };
        self.note(tuple, side.packets + 1, tcp_flags, now_ns);
    }

    /// Has it seen FIN or RST, from either end?
    pub fn is_closing(&self) -> bool {
        let Activity { forward, reverse } = self.activity;
        (forward.tcp_flags.0 | reverse.tcp_flags.0) & (TcpFlags::FIN | TcpFlags::RST) != 0
    }

    /// Has nothing been heard of it for longer than its kind may be silent?
    pub fn is_idle(&self, settings: &ConnectionTracking, now: Now) -> bool {
        let allowed = gp_trace::idle_timeout_secs(self.connection.tuple.protocol, &self.activity, settings);
        now.secs_since(self.last_seen_ns) >= u64::from(allowed)
    }

    /// The entry for the kernel's copy.
    pub fn record(&self, eni: EniId) -> (ConnectionKey, ConnectionValue) {
        let (key, opened_by) = connection_key(eni, &self.connection);
        let value = ConnectionValue {
            created_ns: self.created_ns,
            last_seen_ns: self.last_seen_ns,
            opened_by,
            opener_tcp_flags: self.activity.forward.tcp_flags.0,
            answer_tcp_flags: self.activity.reverse.tcp_flags.0,
            opener_packets: u8::try_from(self.activity.forward.packets).unwrap_or(u8::MAX),
            answer_packets: u8::try_from(self.activity.reverse.packets).unwrap_or(u8::MAX),
            ..Zeroable::zeroed()
        };
        (key, value)
    }

    /// What the kernel's copy holds; `None` where another version wrote it.
    pub fn from_record(key: &ConnectionKey, value: &ConnectionValue) -> Option<(EniId, Self)> {
        let (eni, connection) = connection_of(key, value)?;
        let mut tracked = Self::new(connection, value.created_ns);
        tracked.last_seen_ns = value.last_seen_ns;
        let side = |packets: u8, flags| DirectionActivity { packets: packets.into(), tcp_flags: TcpFlags(flags) };
        tracked.activity.forward = side(value.opener_packets, value.opener_tcp_flags);
        tracked.activity.reverse = side(value.answer_packets, value.answer_tcp_flags);
        Some((eni, tracked))
    }
}

#[derive(Debug, Default)]
pub(crate) struct ConnectionTable {
    by_eni: HashMap<EniId, HashMap<FiveTuple, Tracked>>,
    /// Connections that found no room, while the ENI is here.
    refused: HashMap<EniId, u64>,
}

/// The same for a tuple and its reverse.
fn canonical(tuple: &FiveTuple) -> FiveTuple {
    (*tuple).min(tuple.reversed())
}

impl ConnectionTable {
    pub fn get(&self, eni: EniId, tuple: &FiveTuple) -> Option<&Tracked> {
        self.by_eni.get(&eni)?.get(&canonical(tuple))
    }

    pub fn get_mut(&mut self, eni: EniId, tuple: &FiveTuple) -> Option<&mut Tracked> {
        self.by_eni.get_mut(&eni)?.get_mut(&canonical(tuple))
    }

    /// Is there room for one more of this ENI?
    pub fn has_room(&self, eni: EniId) -> bool {
        self.by_eni.get(&eni).is_none_or(|connections| connections.len() < PER_ENI_MAX)
    }

    pub fn insert(&mut self, eni: EniId, tracked: Tracked) {
        self.by_eni.entry(eni).or_default().insert(canonical(&tracked.connection.tuple), tracked);
    }

    pub fn remove(&mut self, eni: EniId, tuple: &FiveTuple) -> Option<Tracked> {
        let connections = self.by_eni.get_mut(&eni)?;
        let removed = connections.remove(&canonical(tuple));
        if connections.is_empty() {
            self.by_eni.remove(&eni);
        }
        removed
    }

    /// Takes all connections of an ENI out.
    pub fn remove_eni(&mut self, eni: EniId) -> impl Iterator<Item = Tracked> + use<> {
        self.refused.remove(&eni);
        self.by_eni.remove(&eni).into_iter().flat_map(HashMap::into_values)
    }

    /// Counts a connection that found no room.
    pub fn refuse(&mut self, eni: EniId) {
        *self.refused.entry(eni).or_default() += 1;
    }

    pub fn refused_of(&self, eni: EniId) -> u64 {
        self.refused.get(&eni).copied().unwrap_or(0)
    }

    pub fn len_of(&self, eni: EniId) -> usize {
        self.by_eni.get(&eni).map_or(0, HashMap::len)
    }

    pub fn len(&self) -> usize {
        self.by_eni.values().map(HashMap::len).sum()
    }

    pub fn enis(&self) -> impl Iterator<Item = EniId> + '_ {
        self.by_eni.keys().copied()
    }

    pub fn of_eni(&self, eni: EniId) -> impl Iterator<Item = &Tracked> {
        self.by_eni.get(&eni).into_iter().flat_map(HashMap::values)
    }
}

impl gp_trace::Connections for ConnectionTable {
    /// Connections are taken out when they have been idle too long, by a sweep every few seconds; until then they count.
    fn find(&self, tracker: Tracker, tuple: &FiveTuple) -> Option<Connection> {
        match tracker {
            Tracker::Eni(eni) => self.get(eni, tuple).map(|tracked| tracked.connection),
            Tracker::NatGateway(_) | Tracker::EgressOnlyInternetGateway(_) => None,
        }
    }

    fn free_port(
        &self,
        _: NatGatewayId,
        addresses: &[Ipv4Addr],
        limit: u32,
        wanted: &FiveTuple,
    ) -> Option<(Ipv4Addr, u16)> {
        NatPorts::default().free(addresses, limit, wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_model::Direction;
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
        let (eni, other) = (EniId::from_bits(1), EniId::from_bits(2));
        let mut table = ConnectionTable::default();
        table.insert(eni, Tracked::new(echo(), 5));
        assert_eq!(table.find(Tracker::Eni(eni), &echo().tuple), Some(echo()));
        assert_eq!(table.find(Tracker::Eni(eni), &echo().tuple.reversed()), Some(echo()));
        assert_eq!(table.find(Tracker::Eni(other), &echo().tuple), None);
        assert!(table.remove(eni, &echo().tuple.reversed()).is_some());
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_connection_survives_the_way_through_the_kernels_copy() {
        let eni = EniId::from_bits(9);
        let mut tracked = Tracked::new(echo(), 5);
        tracked.note(&echo().tuple, 7, 2, 10);
        tracked.note(&echo().tuple.reversed(), 1, 0x12, 8);
        let (key, value) = tracked.record(eni);
        assert_eq!(Tracked::from_record(&key, &value), Some((eni, tracked)));
        assert_eq!((tracked.created_ns, tracked.last_seen_ns), (5, 10));
        assert_eq!((value.opener_tcp_flags, value.answer_tcp_flags), (2, 0x12));
    }
}
