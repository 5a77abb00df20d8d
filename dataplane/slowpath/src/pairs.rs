//! Known pairs: what the fast path may begin by itself, and how many connections.
//!
//! ```text
//! first packet → trace::pair → table of pairs ─▶ fast path begins the next ones ─▶ ring ─▶ opened.rs
//!                              grants, per port ─▶ one each from both ends      ◀─ refilled there
//! ```
//!
//! Promises: a pair rests on what its paths have read, and goes before any of it changes; at every moment an ENI tracks
//! no more connections, granted ones included, than its instance's type allows.

use crate::cache::FLOWS_OF_PORT_MAX;
use crate::engine::{Work, key_at};
use crate::flows::ListId;
use crate::kernel::{Kernel, KernelError};
use crate::ports::Side;
use crate::upcall::tcp_flags;
use foldhash::{HashMap, HashSet};
use gp_abi::PairKey;
use gp_compile::{PairEntry, pair_key_of};
use gp_model::{Direction, EniId, World};
use gp_trace::{Effect, Path, Read, Tracker};
use gp_wire::{FiveTuple, IpPacket, TcpFlags, Transport};
use std::collections::BTreeSet;

/// Pairs that begin at one port. The oldest goes for another: who asks all ports of a peer pushes out only its own.
const PAIRS_OF_PORT_MAX: usize = 4096;

/// Pairs of which one first packet has come up are remembered, so that the second one makes them: who asks many ports of
/// many peers once each costs no more than without pairs. So many at a time, and then from the beginning.
const ASKED_MAX: usize = 1 << 16;

/// A pair for fewer source ports than this saves too little.
const SOURCE_PORTS_MIN: u16 = 1024;

/// Connections that may begin at a port, or to it, before the slow path has heard of one: as many as come in between
/// two looks at the ring, and some more. Not many more, since they count as if they had begun: some 500 ports at a time
/// can have them all. The ring holds those of 16 ports; what finds it full comes up.
const GRANTS_OF_PORT: u64 = 2048;

/// A pair that was not used for so long goes.
pub(crate) const PAIR_IDLE_SECS: u64 = 600;

/// What is known of a pair.
#[derive(Debug)]
pub(crate) struct Known {
    pub entry: PairEntry,
    /// Of the packet that was asked about.
    pub tuple: FiveTuple,
    /// What its flows rest on: the forward ones and the answers'.
    pub lists: [ListId; 2],
    /// Who tracks its connections, and how they begin there.
    pub trackers: Vec<(Tracker, Direction)>,
    pub used_ns: u64,
}

impl Known {
    /// Numbers of the ports at both ends.
    pub fn ports(&self) -> [u32; 2] {
        [self.entry.key().port, self.entry.value().answer_port]
    }
}

/// A port's cell of grants.
#[derive(Debug, Clone, Copy)]
struct Cell {
    index: u32,
    /// What the fast path may still take, or has taken without being heard of.
    granted: u64,
}

#[derive(Debug, Default)]
pub(crate) struct PairTable {
    by_number: HashMap<u64, Known>,
    by_key: HashMap<PairKey, u64>,
    /// Not pairs yet.
    asked: HashSet<PairKey>,
    /// By the port that they begin at; numbers grow, so the first is the oldest.
    by_port: HashMap<u32, BTreeSet<u64>>,
    last_number: u64,
    cells: HashMap<u32, Cell>,
    /// Of all cells together.
    granted: u64,
    free_cells: Vec<u32>,
    last_cell: u32,
}

impl PairTable {
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Known> {
        self.by_number.get_mut(&number)
    }

    pub fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// So many connections may further begin at the port.
    fn grant(&mut self, port: u32, more: u64) {
        if let Some(cell) = self.cells.get_mut(&port) {
            cell.granted += more;
            self.granted += more;
        }
    }

    /// So many that were granted to the port have begun, or never will.
    fn settle(&mut self, port: u32, count: u64) {
        if let Some(cell) = self.cells.get_mut(&port) {
            let settled = count.min(cell.granted);
            cell.granted -= settled;
            self.granted -= settled;
        }
    }

    /// One connection that was granted to the port has been heard of.
    pub fn heard(&mut self, port: u32) {
        self.settle(port, 1);
    }

    /// Has one of the same come up before? If not, the next one finds so.
    pub fn is_asked_again(&mut self, key: PairKey) -> bool {
        if self.asked.remove(&key) {
            return true;
        }
        if self.asked.len() >= ASKED_MAX {
            self.asked.clear();
        }
        self.asked.insert(key);
        false
    }

    /// Never one that an earlier process has used: the clock outlives it.
    fn next_number(&mut self, now_ns: u64) -> u64 {
        self.last_number = self.last_number.max(now_ns) + 1;
        self.last_number
    }

    /// The port's cell; `None` where all are taken.
    fn cell_of(&mut self, port: u32, cells: u32) -> Option<u32> {
        if let Some(cell) = self.cells.get(&port) {
            return Some(cell.index);
        }
        let index = match self.free_cells.pop() {
            Some(index) => index,
            None if self.last_cell < cells => {
                self.last_cell += 1;
                self.last_cell
            }
            None => return None,
        };
        self.cells.insert(port, Cell { index, granted: 0 });
        Some(index)
    }

    fn granted(&self, port: u32) -> u64 {
        self.cells.get(&port).map_or(0, |cell| cell.granted)
    }

    fn insert(&mut self, number: u64, known: Known) {
        self.by_key.insert(*known.entry.key(), number);
        self.by_port.entry(known.entry.key().port).or_default().insert(number);
        self.by_number.insert(number, known);
    }

    fn remove(&mut self, number: u64) -> Option<Known> {
        let known = self.by_number.remove(&number)?;
        let key = known.entry.key();
        self.by_key.remove(key);
        if let Some(numbers) = self.by_port.get_mut(&key.port) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_port.remove(&key.port);
            }
        }
        Some(known)
    }
}

/// May the fast path begin a connection with such a packet?
fn begins(packet: &IpPacket) -> bool {
    match packet.transport {
        Transport::Tcp { flags } => flags.opens() && tcp_flags(packet) & TcpFlags::FIN == 0,
        Transport::Udp => true,
        _ => false,
    }
}

impl<K: Kernel> Work<'_, K> {
    /// Lets the fast path begin the connections that are like this packet's, if the trace says that there are any.
    pub fn know_pair(&mut self, world: &World, from: &Side, path: &Path, packet: &IpPacket) {
        let is_plain = path.is_cacheable() && path.translated() == path.tuple() && path.mtu().is_none();
        let Some(eni) = from.ingress.eni() else { return };
        if !is_plain || !begins(packet) || packet.src_mac != from.mac {
            return;
        }
        let Some(key) = key_at(from, packet.tuple).as_ref().map(pair_key_of) else { return };
        if let Some(known) = self.state.pairs.by_key.get(&key).and_then(|number| self.state.pairs.by_number.get(number))
        {
            return known.ports().into_iter().for_each(|port| self.top_up(port));
        }
        if !self.state.pairs.is_asked_again(key) {
            return;
        }
        let Ok(Some(pair)) = gp_trace::pair(world, eni, packet) else { return };
        let ports = pair.source_ports();
        if ports.to - ports.from >= SOURCE_PORTS_MIN - 1 {
            self.install_pair(from, &pair);
        }
    }

    fn install_pair(&mut self, from: &Side, pair: &gp_trace::Pair) {
        let Some(to) = pair.answer().ingress().eni().and_then(|eni| self.state.ports.get(eni)).cloned() else { return };
        if let Some(oldest) = self.oldest_of_full(from.number) {
            self.forget_pairs([oldest]);
        }
        let cells = self.kernel.grant_cells();
        let pairs = &mut self.state.pairs;
        let (Some(sender), Some(receiver)) = (pairs.cell_of(from.number, cells), pairs.cell_of(to.number, cells))
        else {
            return;
        };
        let number = pairs.next_number(self.now.monotonic_ns);
        let entry = PairEntry::from_pair(pair, &self.state.ports.in_region(&from.region), number, [sender, receiver]);
        let Some(entry) = entry else { return };
        let sides = [(from.number, pair.forward()), (to.number, pair.answer())];
        let lists = sides.map(|(port, path)| self.state.flows.hold(port, path.reads(), number));
        let effects = pair.forward().effects().iter();
        let trackers = effects.map(|Effect::OpenConnection { tracker, connection }| (*tracker, connection.opened_by));
        let known = Known {
            entry,
            tuple: pair.forward().tuple(),
            lists,
            trackers: trackers.collect(),
            used_ns: self.now.monotonic_ns,
        };
        // Before the fast path can begin the first one.
        self.state.pairs.insert(number, known);
        match self.kernel.insert_pair(&entry) {
            Ok(()) => [from.number, to.number].into_iter().for_each(|port| self.top_up(port)),
            Err(KernelError::Full) => self.drop_pair(number),
            Err(error) => {
                self.failed("know a pair", &error);
                self.drop_pair(number);
            }
        }
    }

    fn oldest_of_full(&self, port: u32) -> Option<u64> {
        let numbers = self.state.pairs.by_port.get(&port).filter(|numbers| numbers.len() >= PAIRS_OF_PORT_MAX)?;
        numbers.first().copied()
    }

    /// Takes the pairs from the fast path that rest on one of these reads.
    pub fn forget_pairs_resting_on<'a>(&mut self, reads: impl IntoIterator<Item = &'a Read>) {
        let numbers = self.state.flows.pairs_resting_on(reads);
        self.forget_pairs(numbers);
    }

    /// Takes the pairs from the fast path that have not been used for long.
    pub fn sweep_pairs(&mut self) {
        let now = self.now;
        let is_idle = |known: &Known| now.secs_since(known.used_ns) >= PAIR_IDLE_SECS;
        let pairs = self.state.pairs.by_number.iter();
        let idle: Vec<u64> = pairs.filter(|(_, known)| is_idle(known)).map(|(number, _)| *number).collect();
        self.forget_pairs(idle);
    }

    /// When it returns, all connections that the pairs have begun are known here, and no further one begins.
    pub fn forget_pairs(&mut self, numbers: impl IntoIterator<Item = u64>) {
        let numbers: Vec<u64> = numbers.into_iter().collect();
        if numbers.is_empty() {
            return;
        }
        for number in &numbers {
            let key = self.state.pairs.by_number.get(number).map(|known| *known.entry.key());
            if let Some(Err(error)) = key.map(|key| self.kernel.remove_pair(&key)) {
                self.failed("forget a pair", &error);
            }
        }
        // Nothing may take a removed pair's place in the kernel's memory while a packet still looks at it.
        self.catch_up();
        numbers.into_iter().for_each(|number| self.drop_pair(number));
    }

    fn drop_pair(&mut self, number: u64) {
        let Some(known) = self.state.pairs.remove(number) else { return };
        known.lists.into_iter().for_each(|list| self.state.flows.release(list, number));
    }

    /// Removes what an earlier process has let begin: its numbers and cells mean nothing here.
    pub fn forget_foreign_pairs(&mut self) -> Result<(), KernelError> {
        let mut keys = Vec::new();
        self.kernel.scan_pairs(&mut |key| keys.push(*key))?;
        for key in keys.iter().filter(|key| !self.state.pairs.by_key.contains_key(*key)) {
            self.kernel.remove_pair(key)?;
        }
        self.catch_up();
        for index in self.state.pairs.last_cell + 1..=self.kernel.grant_cells() {
            self.kernel.take_back_grants(index);
        }
        Ok(())
    }

    /// Fills a port's cell up, as far as its ENI may have further connections and flows.
    pub fn top_up(&mut self, port: u32) {
        let Some(Cell { index, granted }) = self.state.pairs.cells.get(&port).copied() else { return };
        if granted > GRANTS_OF_PORT / 2 {
            return;
        }
        let more = self.grantable(port).min(GRANTS_OF_PORT - granted);
        if more > 0 {
            self.state.pairs.grant(port, more);
            self.kernel.add_grants(index, more);
        }
    }

    fn grantable(&self, port: u32) -> u64 {
        let Some(eni) = self.state.ports.at(port).and_then(|side| side.ingress.eni()) else { return 0 };
        let flows = FLOWS_OF_PORT_MAX.saturating_sub(self.state.flows.len_of(port)) as u64;
        let host = u64::from(gp_maps::Capacity::default().connections)
            .saturating_sub(self.state.connections.len() as u64)
            .saturating_sub(self.state.pairs.granted);
        self.unpromised(eni).min(flows.saturating_sub(self.state.pairs.granted(port))).min(host)
    }

    /// Further connections of an ENI that are not granted to the fast path either.
    pub fn unpromised(&self, eni: EniId) -> u64 {
        let granted: u64 = self.ports_with(eni).iter().map(|port| self.state.pairs.granted(*port)).sum();
        (self.connections_free(eni) as u64).saturating_sub(granted)
    }

    /// Takes back what was granted to an ENI, and to those that share its allowance. When it returns, their connections
    /// are all known here, and none is granted.
    pub fn take_back_grants(&mut self, eni: EniId) {
        for port in self.ports_with(eni) {
            let Some(index) = self.state.pairs.cells.get(&port).map(|cell| cell.index) else { continue };
            let left = self.kernel.take_back_grants(index);
            self.state.pairs.settle(port, left);
        }
        self.hear_opened();
    }

    /// A port that goes gives its cell back. Its pairs have gone before.
    pub fn give_back_cell(&mut self, port: u32) {
        self.state.pairs.settle(port, u64::MAX);
        let Some(cell) = self.state.pairs.cells.remove(&port) else { return };
        self.kernel.take_back_grants(cell.index);
        self.state.pairs.free_cells.push(cell.index);
    }

    /// The ports of an ENI and of those that share its allowance.
    fn ports_with(&self, eni: EniId) -> Vec<u32> {
        let Some(side) = self.state.ports.get(eni) else { return Vec::new() };
        match side.allowance {
            Some(allowance) => self.state.ports.of_instance(allowance.instance).map(|side| side.number).collect(),
            None => vec![side.number],
        }
    }
}
