//! A connection table that forgets nothing: for tests that send packet after packet.

use gp_model::EniId;
use gp_trace::{Connection, Connections, Effect, Path};
use gp_wire::FiveTuple;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
pub struct ConnectionTable(BTreeMap<(EniId, FiveTuple), Connection>);

impl ConnectionTable {
    /// Does what a path asks for before its packet goes on.
    pub fn apply(&mut self, path: &Path) {
        for effect in path.effects() {
            let Effect::OpenConnection { eni, connection } = *effect;
            self.0.insert((eni, connection.tuple), connection);
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Connections for ConnectionTable {
    fn find(&self, eni: EniId, tuple: &FiveTuple) -> Option<Connection> {
        let either = |tuple| self.0.get(&(eni, tuple)).copied();
        either(*tuple).or_else(|| either(tuple.reversed()))
    }
}
