//! The engine: one state under one lock, and the kernel beside it.

use crate::clock::Now;
use crate::connections::{ConnectionTable, PER_ENI_MAX};
use crate::counters::{Counters, DropTotals, EniCounters, Totals};
use crate::flows::FlowIndex;
use crate::fragments::FragmentTable;
use crate::kernel::{HostKernel, Kernel, KernelError};
use crate::ports::{Port, Ports};
use gp_abi::FlowKey;
use gp_compile::{HostView, key_of};
use gp_model::{EniId, Mac, World};
use gp_trace::DropReason;
use gp_wire::{FiveTuple, IpPacket, Packet, TcpFlags, Transport, protocol};
use std::sync::{Arc, Mutex, PoisonError};

/// The slow path of one host. All methods work from every thread.
#[derive(Debug)]
pub struct Engine<K: Kernel = HostKernel> {
    pub(crate) kernel: K,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub view: HostView,
    pub ports: Ports,
    pub connections: ConnectionTable,
    pub flows: FlowIndex,
    pub fragments: FragmentTable,
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
        Self { kernel, state: Mutex::new(State::default()) }
    }

    /// Runs a job under the lock.
    pub(crate) fn work<T>(&self, now: Now, job: impl FnOnce(&mut Work<'_, K>) -> T) -> T {
        // A job that panicked leaves at worst a cached flow too many or too few, which the next change or sweep mends;
        // a host that stops forwarding would be worse.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        job(&mut Work { kernel: &self.kernel, state: &mut state, now })
    }

    /// Lets an ENI send and receive on this host; it must be in the world that was applied last, or come with the next.
    ///
    /// # Errors
    /// The kernel refuses, mostly since there are as many ENIs as there may be; or interface or tag are out of range.
    pub fn add_port(&self, port: Port, now: Now) -> Result<(), KernelError> {
        let number = port.check_number()?;
        self.work(now, |work| {
            if let Some(old) = work.state.ports.get(port.eni).filter(|old| old.number() != number) {
                let old = old.eni;
                work.remove_port(old);
            }
            work.kernel.ensure_eni(number)?;
            work.state.ports.insert(port);
            Ok(())
        })
    }

    /// Takes an ENI off this host: its flows and connections go, and nothing more from it or to it passes. To be called
    /// before its interface goes. Says whether it was there.
    pub fn remove_port(&self, eni: EniId, now: Now) -> bool {
        self.work(now, |work| work.remove_port(eni))
    }

    /// The ENIs that are on this host.
    pub fn ports(&self) -> Vec<Port> {
        self.work(Now::default(), |work| work.state.ports.iter().cloned().collect())
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
        let (number, flows, connections, connections_refused) = self.work(Now::default(), |work| {
            let state = &work.state;
            let number = state.ports.get(eni)?.number();
            let connections = state.connections.len_of(eni);
            Some((number, state.flows.len_of(number), connections, state.connections.refused_of(eni)))
        })?;
        let kernel = self.kernel.eni(number).ok().flatten()?;
        let connections_free = PER_ENI_MAX.saturating_sub(connections);
        Some(EniCounters { flows, connections, connections_free, connections_refused, kernel })
    }
}

impl<K: Kernel> Work<'_, K> {
    pub fn remove_port(&mut self, eni: EniId) -> bool {
        let Some(port) = self.state.ports.remove(eni) else { return false };
        if let Err(error) = self.kernel.remove_eni(port.number()) {
            self.failed("forget an ENI", &error);
        }
        // All flows from it and to it: each of them has read the ENI.
        let reading = self.state.flows.resting_on(&[gp_trace::Read::Eni(eni)]);
        let own: Vec<FlowKey> = self.state.flows.of_port(port.number()).copied().collect();
        for key in own.iter().chain(&reading) {
            self.remove_flow(key);
        }
        let connections: Vec<_> = self.state.connections.remove_eni(eni).collect();
        for tracked in connections {
            self.remove_record(eni, &tracked);
        }
        true
    }

    /// The world that an ENI of this host is in.
    pub fn world_of(&self, port: &Port) -> Option<Arc<World>> {
        self.state.view.regions.get(&port.region).cloned()
    }

    /// Removes a flow from the index and the kernel; what it counted goes to its connections.
    pub fn remove_flow(&mut self, key: &FlowKey) {
        self.state.flows.remove(key);
        match self.kernel.remove_flow(key) {
            Ok(Some(last)) => self.note(key, &last, true),
            Ok(None) => {}
            Err(error) => self.failed("remove a flow", &error),
        }
    }

    pub fn remove_record(&mut self, eni: EniId, tracked: &crate::connections::Tracked) {
        let (key, _) = tracked.record(eni);
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

/// The key under which packets with this tuple from this ENI are cached.
pub(crate) fn key_at(port: &Port, tuple: FiveTuple) -> Option<FlowKey> {
    key_of(&Packet::Ip(plain_packet(tuple, port.mac, port.mac)), port.number())
}
