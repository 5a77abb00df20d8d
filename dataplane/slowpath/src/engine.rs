//! The engine: one state under one lock, and the kernel beside it.
//!
//! First packets wait for the lock. Long jobs take it for a portion at a time, and who waits for it meanwhile gets it before
//! their next portion.

use crate::allowance::{AllowanceTable, BandwidthDrops};
use crate::clock::Now;
use crate::connections::ConnectionTable;
use crate::counters::{Counters, DropTotals, EniCounters, Totals};
use crate::flows::FlowIndex;
use crate::fragments::FragmentTable;
use crate::kernel::{HostKernel, Kernel, KernelError};
use crate::nat::NatTable;
use crate::pairs::PairTable;
use crate::ports::{Port, Ports, Side, Uplink};
use gp_abi::{ACTION_DELIVER, FlowKey, FlowValue, Opened};
use gp_compile::{HostView, key_of, out_port};
use gp_model::{EniId, Mac, Region, World};
use gp_trace::{DropReason, Ingress, Tracker};
use gp_wire::{FiveTuple, IpPacket, Packet, TcpFlags, Transport, protocol};
use std::sync::{Arc, Mutex, PoisonError};

/// Flows or connections that a long job works on before it lets others in: about a tenth of a millisecond.
pub(crate) const PORTION: usize = 64;

/// The slow path of one host. All methods work from every thread.
#[derive(Debug)]
pub struct Engine<K: Kernel = HostKernel> {
    pub(crate) kernel: K,
    state: Mutex<State>,
    /// Held while waiting for the state. Without it, who lets go of the state and takes it again at once gets it before
    /// those who wait.
    turn: Mutex<()>,
    /// Held by a sweep: what one has read of a flow must not be counted after what a later one has. When the last one began.
    pub(crate) sweeping: Mutex<Now>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub view: HostView,
    pub ports: Ports,
    pub connections: ConnectionTable,
    pub flows: FlowIndex,
    pub fragments: FragmentTable,
    pub nats: NatTable,
    pub allowances: AllowanceTable,
    pub pairs: PairTable,
    /// What is being heard of; empty between jobs.
    pub opened: Vec<Opened>,
    pub drops: DropTotals,
    pub totals: Totals,
}

/// The state, locked, with the kernel and the time: what every job of the engine works on.
pub(crate) struct Work<'a, K> {
    pub kernel: &'a K,
    pub state: &'a mut State,
    pub now: Now,
}

impl<K: Kernel> Engine<K> {
    pub fn new(kernel: K) -> Self {
        Self { kernel, state: Mutex::default(), turn: Mutex::default(), sweeping: Mutex::default() }
    }

    /// Runs a job under the lock, with all known that the fast path has done before.
    pub(crate) fn work<T>(&self, now: Now, job: impl FnOnce(&mut Work<'_, K>) -> T) -> T {
        // A job that panicked leaves at worst a cached flow too many or too few, which the next change or sweep mends;
        // a host that stops forwarding would be worse.
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(turn);
        let mut work = Work { kernel: &self.kernel, state: &mut state, now };
        work.catch_up();
        job(&mut work)
    }

    /// Hears of the connections that the fast path has let begin. Any other call does so first, too.
    pub(crate) fn catch_up(&self, now: Now) {
        self.work(now, |_| ());
    }

    /// Lets an ENI send and receive on this host; it must be in the world that was applied last, or come with the next.
    ///
    /// # Errors
    /// The kernel refuses, mostly since there are as many ENIs as there may be; or interface or tag are out of range.
    pub fn add_port(&self, port: Port, now: Now) -> Result<(), KernelError> {
        let side = Side::of_port(port)?;
        self.work(now, |work| work.add_side(side))
    }

    /// Takes an ENI off this host: its flows and connections go, and nothing more from it or to it passes. To be called
    /// before its interface goes. Says whether it was there.
    pub fn remove_port(&self, eni: EniId, now: Now) -> bool {
        self.work(now, |work| work.remove_port(eni))
    }

    /// Gives a region its way to the outside.
    ///
    /// # Errors
    /// As [`Engine::add_port`].
    pub fn set_uplink(&self, uplink: Uplink, now: Now) -> Result<(), KernelError> {
        let side = Side::of_uplink(uplink)?;
        self.work(now, |work| work.add_side(side))
    }

    /// Takes a region's way to the outside. To be called before its interface goes. Says whether it was there.
    pub fn remove_uplink(&self, region: &Region, now: Now) -> bool {
        self.work(now, |work| work.remove_uplink(region))
    }

    /// The ENIs that are on this host.
    pub fn ports(&self) -> Vec<Port> {
        self.work(Now::default(), |work| work.state.ports.ports().collect())
    }

    /// The worlds as they were applied last.
    pub fn view(&self) -> HostView {
        self.work(Now::default(), |work| work.state.view.clone())
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        let kernel_drops = self.kernel.drops().unwrap_or_else(|error| {
            tracing::warn!(%error, "the kernel's drop counters can't be read");
            Vec::new()
        });
        self.work(Now::default(), |work| {
            let state = &work.state;
            let in_kernel =
                |reason| kernel_drops.iter().filter(move |(r, _)| *r == reason).map(|(_, n)| n).sum::<u64>();
            let all =
                DropReason::ALL.iter().map(|reason| (reason.name(), state.drops.get(*reason) + in_kernel(*reason)));
            Counters {
                drops: all.filter(|(_, count)| *count > 0).collect(),
                enis: state.ports.len() as u64,
                flows: state.flows.len() as u64,
                connections: state.connections.len() as u64,
                totals: state.totals,
            }
        })
    }

    /// What is counted for one ENI, if it is here.
    pub fn eni_counters(&self, eni: EniId) -> Option<EniCounters> {
        self.work(Now::default(), |work| {
            let state = &work.state;
            let number = state.ports.get(eni)?.number;
            let tracker = Tracker::Eni(eni);
            let mut kernel = work.kernel.eni(number).ok().flatten()?;
            let BandwidthDrops { out, r#in } = state.allowances.dropped_of(eni);
            kernel.bandwidth_out_drops += out;
            kernel.bandwidth_in_drops += r#in;
            Some(EniCounters {
                flows: state.flows.len_of(number),
                connections: state.connections.len_of(tracker),
                connections_free: work.connections_free(eni),
                connections_refused: state.connections.refused_of(tracker),
                kernel,
            })
        })
    }
}

impl<K: Kernel> Work<'_, K> {
    fn add_side(&mut self, mut side: Side) -> Result<(), KernelError> {
        let holder = |side: &Side| side.allowance.map(|allowance| (allowance.instance, allowance.card));
        if let Some(old) = self.state.ports.find(side.ingress, &side.region)
            && (old.number, holder(old)) != (side.number, holder(&side))
        {
            match side.ingress {
                Ingress::Eni(eni) => self.remove_port(eni),
                Ingress::Uplink => self.remove_uplink(&side.region),
            };
        }
        side.slot = side.allowance.as_ref().map_or(Ok(0), |allowance| self.allot(allowance))?;
        self.kernel.ensure_eni(side.number)?;
        let is_changed = self.state.ports.find(side.ingress, &side.region).is_some_and(|old| *old != side);
        if let Some(eni) = side.ingress.eni().filter(|_| is_changed) {
            self.forget_pairs_resting_on(&[gp_trace::Read::Eni(eni)]);
            self.take_back_grants(eni);
        }
        self.state.ports.insert(side);
        Ok(())
    }

    fn remove_side(&mut self, ingress: Ingress, region: &Region) -> Option<Side> {
        let side = self.state.ports.remove(ingress, region)?;
        if let Err(error) = self.kernel.remove_eni(side.number) {
            self.failed("forget a port", &error);
        }
        let own: Vec<FlowKey> = self.state.flows.of_port(side.number).copied().collect();
        own.iter().for_each(|key| self.remove_flow(key));
        self.give_back_cell(side.number);
        self.release(&side);
        Some(side)
    }

    pub fn remove_port(&mut self, eni: EniId) -> bool {
        let Some(region) = self.state.ports.get(eni).map(|side| side.region.clone()) else { return false };
        self.forget_pairs_resting_on(&[gp_trace::Read::Eni(eni)]);
        self.remove_side(Ingress::Eni(eni), &region);
        // All flows to it: each of them has read the ENI.
        for key in self.state.flows.resting_on(&[gp_trace::Read::Eni(eni)]) {
            self.remove_flow(&key);
        }
        self.remove_tracker(Tracker::Eni(eni));
        true
    }

    fn remove_uplink(&mut self, region: &Region) -> bool {
        let Some(side) = self.remove_side(Ingress::Uplink, region) else { return false };
        let mut towards = Vec::new();
        let scanned = self.kernel.scan_flows(&mut |key, value| {
            if value.action == ACTION_DELIVER && out_port(value) == side.number {
                towards.push(*key);
            }
        });
        if let Err(error) = scanned {
            self.failed("walk the flows", &error);
        }
        towards.iter().for_each(|key| self.remove_flow(key));
        true
    }

    /// Forgets all connections of a tracker. Says how many there were.
    pub fn remove_tracker(&mut self, tracker: Tracker) -> usize {
        let connections = self.state.connections.remove_tracker(tracker);
        connections.iter().for_each(|tracked| self.remove_record(tracker, tracked));
        connections.len()
    }

    /// The world that a port of this host is in.
    pub fn world_of(&self, side: &Side) -> Option<Arc<World>> {
        self.state.view.regions.get(&side.region).cloned()
    }

    /// Removes a flow from the index and the kernel; what it counted goes to its connections.
    pub fn remove_flow(&mut self, key: &FlowKey) {
        let seen = self.kernel.flow(key).ok().flatten();
        self.remove_seen_flow(key, seen);
    }

    /// The same, where the entry has just been read.
    pub fn remove_seen_flow(&mut self, key: &FlowKey, seen: Option<FlowValue>) {
        // What stands for connections is written down before it goes.
        let seen = seen.filter(|value| value.opens != 0);
        if let Some(value) = &seen {
            self.note(key, value, true);
            self.record_opened(key, value);
        }
        match self.kernel.remove_flow(key) {
            Ok(Some(last)) if Some(last) != seen => {
                self.note(key, &last, true);
                self.record_opened(key, &last);
            }
            Ok(_) => {}
            Err(error) => self.failed("remove a flow", &error),
        }
        self.state.flows.remove(key);
    }

    pub fn remove_record(&mut self, tracker: Tracker, tracked: &crate::connections::Tracked) {
        if !tracked.is_recorded {
            return;
        }
        let (key, _) = tracked.record(tracker);
        if let Err(error) = self.kernel.remove_connection(&key) {
            self.failed("remove a connection", &error);
        }
    }

    /// Counts what the kernel refused, and tells the log of the first, second, fourth, … time: guests can make some of
    /// it happen as often as they like.
    pub fn failed(&mut self, what: &str, error: &KernelError) {
        self.state.totals.failures += 1;
        let failures = self.state.totals.failures;
        if failures.is_power_of_two() {
            tracing::warn!(%error, failures, "the kernel refuses to {what}");
        }
    }
}

/// A packet with this tuple and nothing particular about it: what a flow entry stands for.
pub(crate) fn plain_packet(tuple: FiveTuple, src_mac: Mac, dst_mac: Mac) -> IpPacket {
    let transport = match tuple.protocol {
        protocol::TCP => Transport::Tcp { flags: TcpFlags(TcpFlags::ACK) },
        protocol::UDP => Transport::Udp,
        protocol::ICMP | protocol::ICMPV6 => {
            let [icmp_type, code] = tuple.dst_port.to_be_bytes();
            Transport::Icmp { icmp_type, code, id: tuple.src_port }
        }
        _ => Transport::Other,
    };
    let frame_bytes = 0;
    IpPacket {
        src_mac,
        dst_mac,
        tuple,
        transport,
        ttl: 64,
        fragment: None,
        dont_fragment: true,
        related: None,
        solicited: None,
        frame_bytes,
    }
}

/// The key under which packets with this tuple from this port are cached.
pub(crate) fn key_at(side: &Side, tuple: FiveTuple) -> Option<FlowKey> {
    key_of(&Packet::Ip(plain_packet(tuple, side.mac, side.mac)), side.number)
}
