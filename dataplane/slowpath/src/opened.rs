//! Connections that the fast path has let begin: made known here as if the slow path had opened them.
//!
//! They have no records in the kernel while the entry is there that the program has made: it says the same, and so the next
//! process finds them.
//!
//! Every job under the engine's lock begins with this, so none of them meets a flow or a connection that it doesn't know
//! of, but for those that begin while it works.

use crate::connections::Tracked;
use crate::engine::{State, Work};
use crate::kernel::{Kernel, KernelError};
use gp_abi::{FlowKey, FlowValue, OPENS_AT_RECEIVER, OPENS_AT_SENDER, Opened};
use gp_compile::{FlowEntry, answer_key, forward_key, out_port, tuple_of};
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
                let mut tracked = new_connection(tuple, *opened_by, opened.opened_ns);
                tracked.note(&tuple, 1, opened.tcp_flags, opened.opened_ns);
                // It may be one that was there without a cached flow.
                if connections.insert_new(*tracker, tracked) {
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
        may_pass_now.iter().for_each(|key| self.retrace(key));
        ports
    }

    /// Makes an entry that is there say this; false where it is not there. Where it tells of other connections then, the
    /// records of those that it told of so far say from here on what it has seen.
    pub fn replace_flow(&mut self, entry: &FlowEntry) -> Result<bool, KernelError> {
        let Some(old) = self.kernel.flow(entry.key())? else { return Ok(false) };
        // Most of what a change makes us look at again stays as it is.
        if *entry.with_counters_of(&old).value() == old {
            return Ok(true);
        }
        if !entry.can_stand_for(&old) {
            self.note(entry.key(), &old, true);
            self.record_opened(entry.key(), &old);
        }
        self.kernel.replace_flow(entry)
    }

    /// Records the connections that a flow of the fast path's own making stands for: from here on the entry may go. Not
    /// afterwards, since a process that ends in between would leave nothing of them.
    pub fn record_opened(&mut self, key: &FlowKey, value: &FlowValue) {
        for (tracker, _) in self.opened_by_flow(key, value) {
            let Some(tracked) = self.state.connections.get_mut(tracker, &tuple_of(key)) else { continue };
            if !tracked.is_recorded {
                tracked.is_recorded = true;
                let (key, value) = tracked.record(tracker);
                self.keep(&key, &value);
            }
        }
    }

    /// The connections that a flow of the fast path's own making stands for, where no record does.
    pub fn adopt_opened(&mut self, key: &FlowKey, value: &FlowValue) {
        let tuple = tuple_of(key);
        for (tracker, opened_by) in self.opened_by_flow(key, value) {
            // When it began, nobody knows: all that its entries say is of it.
            let mut tracked = new_connection(tuple, opened_by, 0);
            tracked.note(&tuple, value.packets, value.tcp_flags, value.last_seen_ns);
            self.state.connections.insert_new(tracker, tracked);
        }
    }

    /// Who tracks the connections that an entry stands for, and how they began there.
    fn opened_by_flow(&self, key: &FlowKey, value: &FlowValue) -> Vec<(Tracker, Direction)> {
        let ends =
            [(OPENS_AT_SENDER, key.port, Direction::Egress), (OPENS_AT_RECEIVER, out_port(value), Direction::Ingress)];
        let opened = ends.into_iter().filter(|(bit, ..)| value.opens & bit != 0);
        let trackers = opened.filter_map(|(_, port, opened_by)| {
            let eni = self.state.ports.at(port)?.ingress.eni()?;
            Some((Tracker::Eni(eni), opened_by))
        });
        trackers.collect()
    }
}

fn new_connection(tuple: FiveTuple, opened_by: Direction, now_ns: u64) -> Tracked {
    Tracked::new(Connection { tuple, opened_by, translated: None }, now_ns)
}
