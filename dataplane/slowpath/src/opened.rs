//! Connections that the fast path has let begin: made known here as if the slow path had opened them.
//!
//! Every job under the engine's lock begins with this, so none of them meets a flow or a connection that it doesn't know
//! of, but for those that begin while it works.

use crate::connections::Tracked;
use crate::engine::{State, Work};
use crate::kernel::Kernel;
use gp_abi::{FlowKey, FlowValue, OPENS_AT_RECEIVER, OPENS_AT_SENDER, Opened};
use gp_compile::{answer_key, forward_key, out_port, tuple_of};
use gp_model::Direction;
use gp_trace::{Connection, Tracker};
use gp_wire::FiveTuple;
use std::collections::BTreeSet;

impl<K: Kernel> Work<'_, K> {
    /// Hears of all connections that have begun so far, and lets further ones begin.
    pub fn catch_up(&mut self) {
        for port in self.hear_opened() {
            self.top_up(port);
        }
    }

    /// Hears of all connections that have begun so far. Answers the ports at their ends.
    pub fn hear_opened(&mut self) -> BTreeSet<u32> {
        let mut opened = std::mem::take(&mut self.state.opened);
        self.kernel.take_opened(&mut opened);
        let ports = if opened.is_empty() { BTreeSet::new() } else { self.note_opened(&opened) };
        opened.clear();
        self.state.opened = opened;
        ports
    }

    fn note_opened(&mut self, all: &[Opened]) -> BTreeSet<u32> {
        let State { pairs, flows, connections, totals, .. } = &mut *self.state;
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        let mut ports = BTreeSet::new();
        let mut may_pass_now = Vec::new();
        for opened in all {
            // Another process's pair: adoption finds what it has begun.
            let Some(known) = pairs.get_mut(opened.pair) else { continue };
            known.used_ns = known.used_ns.max(opened.opened_ns);
            let ends = known.ports();
            let forward = forward_key(known.entry.key(), opened.src_port);
            let answer = answer_key(&forward, known.entry.value());
            let tuple = FiveTuple { src_port: opened.src_port, ..known.tuple };
            for (key, list) in [forward, answer].into_iter().zip(known.lists) {
                flows.set_passes(&key, &[]);
                flows.insert_listed(key, list);
            }
            for (tracker, opened_by) in &known.trackers {
                // It may be one that was there without a cached flow.
                if connections.get(*tracker, &tuple).is_none() {
                    let mut tracked = new_connection(tuple, *opened_by, opened.opened_ns);
                    tracked.note(&tuple, 1, opened.tcp_flags, opened.opened_ns);
                    let (key, value) = tracked.record(*tracker);
                    keys.push(key);
                    values.push(value);
                    connections.insert(*tracker, tracked);
                    may_pass_now.extend(flows.of_connection(*tracker, &tuple));
                }
            }
            for port in ends {
                pairs.heard(port);
                ports.insert(port);
            }
            totals.opened += 1;
            totals.installed += 2;
        }
        if let Err(error) = self.kernel.insert_connections(&keys, &values) {
            // They would not survive a restart; they work all the same.
            self.failed("keep connections", &error);
        }
        may_pass_now.iter().for_each(|key| self.retrace(key));
        ports
    }

    /// The connections that a flow of the fast path's own making stands for, where no earlier process has heard of them.
    pub fn adopt_opened(&mut self, key: &FlowKey, value: &FlowValue) {
        let ends =
            [(OPENS_AT_SENDER, key.port, Direction::Egress), (OPENS_AT_RECEIVER, out_port(value), Direction::Ingress)];
        for (_, port, opened_by) in ends.into_iter().filter(|(bit, ..)| value.opens & bit != 0) {
            let Some(eni) = self.state.ports.at(port).and_then(|side| side.ingress.eni()) else { continue };
            let (tracker, tuple) = (Tracker::Eni(eni), tuple_of(key));
            if self.state.connections.get(tracker, &tuple).is_some() {
                continue;
            }
            let tracked = new_connection(tuple, opened_by, value.last_seen_ns);
            let (key, value) = tracked.record(tracker);
            if let Err(error) = self.kernel.insert_connection(&key, &value) {
                self.failed("keep a connection", &error);
            }
            self.state.connections.insert(tracker, tracked);
        }
    }
}

fn new_connection(tuple: FiveTuple, opened_by: Direction, now_ns: u64) -> Tracked {
    Tracked::new(Connection { tuple, opened_by, translated: None }, now_ns)
}
