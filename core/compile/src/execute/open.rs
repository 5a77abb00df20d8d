//! Letting a connection begin between peers of a known pair: `lib/open.h`.

use super::flow::Seen;
use super::parse::Parsed;
use super::{Arrival, FlowTable};
use crate::pair::{answer_key, pair_key_of};
use gp_abi::{FlowValue, Opened, PairKey, PairValue};
use gp_wire::{TcpFlags, protocol};
use std::collections::BTreeMap;

/// The maps that pairs need, as plain values.
#[derive(Debug, Clone, Default)]
pub struct PairMaps {
    pub pairs: BTreeMap<PairKey, PairValue>,
    /// Cells by their indices.
    pub grants: BTreeMap<u32, u64>,
    /// What user space has not taken yet.
    pub opened: Vec<Opened>,
    /// At most so many.
    pub opened_max: usize,
}

impl PairMaps {
    /// Takes one from a cell; false where nothing is left.
    fn take_grant(&mut self, index: u32) -> bool {
        let left = self.grants.get_mut(&index).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_some()
    }

    fn give_grant(&mut self, index: u32) {
        if let Some(left) = self.grants.get_mut(&index) {
            *left += 1;
        }
    }

    fn take_grants(&mut self, [sender, receiver]: [u32; 2]) -> bool {
        if !self.take_grant(sender) {
            return false;
        }
        let both = self.take_grant(receiver);
        if !both {
            self.give_grant(sender);
        }
        both
    }
}

/// For a packet without an entry: true where it has one now, false where it is for user space.
pub(super) fn open(table: &mut impl FlowTable, parsed: &Parsed, frame_bytes: usize, arrival: &Arrival) -> bool {
    if !may_open(parsed) {
        return false;
    }
    let maps = table.pairs();
    let Some(pair) = maps.pairs.get(&pair_key_of(&parsed.key)).copied() else { return false };
    let has_room = maps.opened.len() < maps.opened_max;
    if !has_room || !is_of_pair(&pair, parsed, frame_bytes, arrival) || !maps.take_grants(pair.grants) {
        return false;
    }
    if !insert(table, &pair, parsed, arrival.now_ns) {
        pair.grants.iter().for_each(|index| table.pairs().give_grant(*index));
        return false;
    }
    table.pairs().opened.push(Opened {
        pair: pair.number,
        opened_ns: arrival.now_ns,
        src_port: parsed.key.src_port,
        tcp_flags: parsed.tcp_flags,
        reserved: [0; 5],
    });
    true
}

fn may_open(parsed: &Parsed) -> bool {
    let beginning = TcpFlags::FIN | TcpFlags::SYN | TcpFlags::RST | TcpFlags::ACK;
    match parsed.key.protocol {
        protocol::UDP => true,
        protocol::TCP => parsed.tcp_flags & beginning == TcpFlags::SYN,
        _ => false,
    }
}

fn is_of_pair(pair: &PairValue, parsed: &Parsed, frame_bytes: usize, arrival: &Arrival) -> bool {
    let is_in_range = (pair.src_port_from..=pair.src_port_to).contains(&parsed.key.src_port);
    is_in_range && !Seen::of(frame_bytes, parsed, arrival.gso).is_too_large(&pair.forward)
}

/// Both entries or none.
fn insert(table: &mut impl FlowTable, pair: &PairValue, parsed: &Parsed, now_ns: u64) -> bool {
    let answer = answer_key(&parsed.key, pair);
    if !table.insert_flow(&answer, &FlowValue { last_seen_ns: now_ns, ..pair.answer }) {
        return false;
    }
    let inserted = table.insert_flow(&parsed.key, &FlowValue { last_seen_ns: now_ns, ..pair.forward });
    if !inserted {
        table.remove_flow(&answer);
    }
    inserted
}
