//! A connection table that forgets nothing: for tests that send packet after packet.

use gp_model::NatGatewayId;
use gp_trace::{Connection, Connections, Effect, NatPorts, Path, Tracker};
use gp_wire::FiveTuple;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

#[derive(Debug, Clone, Default)]
pub struct ConnectionTable {
    /// By each of the tuples that a connection is found by, reversed ones excepted.
    by_tuple: BTreeMap<(Tracker, FiveTuple), Connection>,
    ports: BTreeMap<NatGatewayId, NatPorts>,
    len: usize,
}

impl ConnectionTable {
    /// Does what a path asks for before its packet goes on.
    ///
    /// # Panics
    /// If a translated tuple is one that another connection has.
    pub fn apply(&mut self, path: &Path) {
        for effect in path.effects() {
            let Effect::OpenConnection { tracker, connection } = *effect;
            let old = self.by_tuple.insert((tracker, connection.tuple), connection);
            self.len += usize::from(old.is_none());
            if let (Tracker::NatGateway(gateway), Some(translated)) = (tracker, connection.translated) {
                assert!(self.ports.entry(gateway).or_default().take(&translated), "{translated} is taken");
                self.by_tuple.insert((tracker, translated), connection);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Connections for ConnectionTable {
    fn find(&self, tracker: Tracker, tuple: &FiveTuple) -> Option<Connection> {
        let either = |tuple| self.by_tuple.get(&(tracker, tuple)).copied();
        either(*tuple).or_else(|| either(tuple.reversed()))
    }

    fn free_port(
        &self,
        gateway: NatGatewayId,
        addresses: &[Ipv4Addr],
        limit: u32,
        wanted: &FiveTuple,
    ) -> Option<(Ipv4Addr, u16)> {
        let nothing = NatPorts::default();
        self.ports.get(&gateway).unwrap_or(&nothing).free(addresses, limit, wanted)
    }
}
