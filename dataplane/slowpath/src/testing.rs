//! A host without a kernel: fake tables, the executor of gp-compile as the fast path, and the engine behind it.

use crate::connections::Tracked;
use crate::engine::Engine;
use crate::kernel::{Kernel, KernelError};
use crate::{Allowance, Fate, Now, Port, Uplink};
use bytemuck::Zeroable;
use gp_abi::{
    AllowanceKey, AllowanceValue, Bucket, ConnectionKey, ConnectionValue, EniState, FlowKey, FlowValue, Opened,
    PairKey, UPCALL_MAGIC, UpcallHeader,
};
use gp_compile::{
    Arrival, Cause, FlowEntry, FlowTable, HostView, Outcome, Output, PairEntry, PairMaps, execute, tuple_of,
};
use gp_model::{Change, EniId, Generation, Mac, Record};
use gp_trace::{DropReason, Ingress, Tracker, Verdict, trace};
use gp_worlds::{Scenario, Sent};
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) const MTU: u16 = 9001;

#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub pairs: PairMaps,
    pub flows: BTreeMap<FlowKey, FlowValue>,
    pub connections: BTreeMap<ConnectionKey, ConnectionValue>,
    pub enis: BTreeMap<u32, EniState>,
    pub buckets: BTreeMap<u32, Bucket>,
    pub allowances: BTreeMap<AllowanceKey, AllowanceValue>,
    pub drops: BTreeMap<u16, u64>,
    pub sent: Vec<(u32, Vec<u8>)>,
    pub flows_max: usize,
    /// Flows that were written again.
    pub replaced: usize,
    /// How often the engine has been at work.
    pub jobs: usize,
}

impl FlowTable for Tables {
    fn flow(&mut self, key: &FlowKey) -> Option<&mut FlowValue> {
        self.flows.get_mut(key)
    }
    fn insert_flow(&mut self, key: &FlowKey, value: &FlowValue) -> bool {
        let is_new = !self.flows.contains_key(key) && self.flows.len() < self.flows_max;
        if is_new {
            self.flows.insert(*key, *value);
        }
        is_new
    }
    fn remove_flow(&mut self, key: &FlowKey) {
        self.flows.remove(key);
    }
    fn pairs(&mut self) -> &mut PairMaps {
        &mut self.pairs
    }
    fn eni(&mut self, ifindex: u32) -> Option<&mut EniState> {
        self.enis.get_mut(&ifindex)
    }
    fn bucket(&mut self, index: u32) -> Option<&mut Bucket> {
        self.buckets.get_mut(&index)
    }
    fn count_drop(&mut self, code: u16) {
        *self.drops.entry(code).or_default() += 1;
    }
}

#[derive(Default)]
pub(crate) struct FakeKernel {
    tables: Mutex<Tables>,
    /// Called whenever a flow is read, and a connection or a pair changes, with the engine at work.
    pub at_work: Mutex<Option<Box<dyn FnMut() + Send>>>,
}

impl FakeKernel {
    pub fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap()
    }

    fn be_at_work(&self) {
        if let Some(at_work) = &mut *self.at_work.lock().unwrap() {
            at_work();
        }
    }
}

impl Kernel for Arc<FakeKernel> {
    fn flow(&self, key: &FlowKey) -> Result<Option<FlowValue>, KernelError> {
        self.be_at_work();
        Ok(self.tables().flows.get(key).copied())
    }
    fn insert_flow(&self, entry: &FlowEntry) -> Result<(), KernelError> {
        let mut tables = self.tables();
        if tables.flows.len() >= tables.flows_max && !tables.flows.contains_key(entry.key()) {
            return Err(KernelError::Full);
        }
        tables.flows.insert(*entry.key(), *entry.value());
        Ok(())
    }
    fn replace_flow(&self, entry: &FlowEntry) -> Result<bool, KernelError> {
        let mut tables = self.tables();
        tables.replaced += 1;
        let Some(old) = tables.flows.get_mut(entry.key()) else { return Ok(false) };
        *old = *entry.with_counters_of(old).value();
        Ok(true)
    }
    fn remove_flow(&self, key: &FlowKey) -> Result<Option<FlowValue>, KernelError> {
        Ok(self.tables().flows.remove(key))
    }
    fn scan_flows(&self, visit: &mut dyn FnMut(&FlowKey, &FlowValue)) -> Result<(), KernelError> {
        // The visitor may call us.
        let flows = self.tables().flows.clone();
        flows.iter().for_each(|(key, value)| visit(key, value));
        Ok(())
    }
    fn insert_connection(&self, key: &ConnectionKey, value: &ConnectionValue) -> Result<(), KernelError> {
        self.tables().connections.insert(*key, *value);
        Ok(())
    }
    fn remove_connection(&self, key: &ConnectionKey) -> Result<bool, KernelError> {
        self.be_at_work();
        Ok(self.tables().connections.remove(key).is_some())
    }
    fn scan_connections(&self, visit: &mut dyn FnMut(&ConnectionKey, &ConnectionValue)) -> Result<(), KernelError> {
        self.tables().connections.iter().for_each(|(key, value)| visit(key, value));
        Ok(())
    }
    fn insert_pair(&self, entry: &PairEntry) -> Result<(), KernelError> {
        self.tables().pairs.pairs.insert(*entry.key(), *entry.value());
        Ok(())
    }
    fn remove_pair(&self, key: &PairKey) -> Result<bool, KernelError> {
        self.be_at_work();
        Ok(self.tables().pairs.pairs.remove(key).is_some())
    }
    fn scan_pairs(&self, visit: &mut dyn FnMut(&PairKey)) -> Result<(), KernelError> {
        self.tables().pairs.pairs.keys().for_each(visit);
        Ok(())
    }
    fn take_opened(&self, into: &mut Vec<Opened>) {
        let mut tables = self.tables();
        tables.jobs += 1;
        into.append(&mut tables.pairs.opened);
    }
    fn opened_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    fn grant_cells(&self) -> u32 {
        100
    }
    fn add_grants(&self, index: u32, grants: u64) {
        *self.tables().pairs.grants.entry(index).or_default() += grants;
    }
    fn take_back_grants(&self, index: u32) -> u64 {
        self.tables().pairs.grants.insert(index, 0).unwrap_or(0)
    }
    fn ensure_eni(&self, ifindex: u32) -> Result<(), KernelError> {
        let state = EniState { tokens: 1 << 30, upcall_burst: 1 << 30, upcall_rate: 1 << 30, ..EniState::zeroed() };
        self.tables().enis.insert(ifindex, state);
        Ok(())
    }
    fn remove_eni(&self, ifindex: u32) -> Result<(), KernelError> {
        self.tables().enis.remove(&ifindex);
        Ok(())
    }
    fn eni(&self, ifindex: u32) -> Result<Option<EniState>, KernelError> {
        Ok(self.tables().enis.get(&ifindex).copied())
    }
    fn scan_enis(&self, visit: &mut dyn FnMut(u32)) -> Result<(), KernelError> {
        self.tables().enis.keys().for_each(|ifindex| visit(*ifindex));
        Ok(())
    }
    fn bucket(&self, index: u32) -> Option<Bucket> {
        self.tables().buckets.get(&index).copied()
    }
    fn set_bucket(&self, index: u32, bucket: &Bucket) {
        self.tables().buckets.insert(index, *bucket);
    }
    fn refill_bucket(&self, index: u32, now_ns: u64) {
        if let Some(bucket) = self.tables().buckets.get_mut(&index) {
            gp_compile::refill_in_place(bucket, now_ns);
        }
    }
    fn take_bandwidth(&self, index: u32, bytes: u64, now_ns: u64) -> bool {
        self.tables().buckets.get_mut(&index).is_none_or(|bucket| gp_compile::take(bucket, bytes, now_ns))
    }
    fn allowances_max(&self) -> u32 {
        3
    }
    fn insert_allowance(&self, key: &AllowanceKey, value: &AllowanceValue) -> Result<(), KernelError> {
        self.tables().allowances.insert(*key, *value);
        Ok(())
    }
    fn remove_allowance(&self, key: &AllowanceKey) -> Result<(), KernelError> {
        self.tables().allowances.remove(key);
        Ok(())
    }
    fn scan_allowances(&self, visit: &mut dyn FnMut(&AllowanceKey, &AllowanceValue)) -> Result<(), KernelError> {
        self.tables().allowances.iter().for_each(|(key, value)| visit(key, value));
        Ok(())
    }
    fn drops(&self) -> Result<Vec<(DropReason, u64)>, KernelError> {
        let tables = self.tables();
        let known = tables.drops.iter().filter_map(|(code, count)| Some((DropReason::from_code(*code)?, *count)));
        Ok(known.collect())
    }
    fn send(&self, ifindex: u32, frame: &[u8]) -> Result<(), KernelError> {
        self.tables().sent.push((ifindex, frame.to_vec()));
        Ok(())
    }
}

/// What became of a packet, and who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The flow table answered.
    Hit(Fate),
    /// The slow path did, for this cause.
    Upcall(Cause, Fate),
}

impl Seen {
    pub fn fate(self) -> Fate {
        match self {
            Seen::Hit(fate) | Seen::Upcall(_, fate) => fate,
        }
    }
}

pub(crate) struct Host {
    pub scenario: Scenario,
    pub engine: Engine<Arc<FakeKernel>>,
    pub kernel: Arc<FakeKernel>,
    pub now: Now,
    /// What the ENIs' instances allow; the others are not limited.
    pub allowances: BTreeMap<EniId, Allowance>,
    generation: u64,
}

impl Host {
    /// A host that has every ENI of the world.
    pub fn new(text: &str) -> Self {
        let kernel = Arc::new(FakeKernel::default());
        kernel.tables().flows_max = 1000;
        let scenario: Scenario = text.parse().unwrap();
        let now = Now { monotonic_ns: 1_000_000_000_000, ..Now::default() };
        let engine = Engine::new(Arc::clone(&kernel));
        let mut host = Self { scenario, engine, kernel, now, allowances: BTreeMap::new(), generation: 0 };
        host.plug_in();
        host
    }

    /// Another process: an engine that knows nothing, over the same kernel.
    pub fn restart(&mut self) -> (usize, usize) {
        self.engine = Engine::new(Arc::clone(&self.kernel));
        self.plug_in();
        self.engine.adopt(self.now).unwrap()
    }

    fn plug_in(&mut self) {
        self.apply_world();
        self.add_ports();
    }

    /// Tells the engine again what the ENIs' instances allow.
    pub fn plug_again(&mut self) {
        self.add_ports();
    }

    fn add_ports(&mut self) {
        let region = self.scenario.world.region.clone();
        let output = Output::Peer;
        let uplink = Uplink { region, ifindex: UPLINK, output, mac: OWN, peer_mac: PEER, mtu: 1500 };
        self.engine.set_uplink(uplink, self.now).unwrap();
        let enis: Vec<_> = self.scenario.world.tables().enis.values().cloned().collect();
        for eni in enis {
            let region = self.scenario.world.region.clone();
            let port = Port {
                eni: eni.id,
                region,
                ifindex: ifindex(eni.id),
                vlan: 0,
                output: Output::Peer,
                mac: eni.mac,
                mtu: MTU,
                allowance: self.allowances.get(&eni.id).copied(),
            };
            self.engine.add_port(port, self.now).unwrap();
        }
    }

    fn apply_world(&mut self) -> usize {
        self.generation += 1;
        self.apply_view()
    }

    /// Tells the engine the world as it is; returns how many flows were traced again.
    pub fn apply_view(&self) -> usize {
        let world = &self.scenario.world;
        let regions = [(world.region.clone(), Arc::new(world.clone()))].into_iter().collect();
        self.engine.apply(HostView { generation: Generation(self.generation), regions }, self.now)
    }

    /// Changes the world; returns how many flows were traced again.
    pub fn change(&mut self, text: &str) -> usize {
        self.scenario.apply(text).unwrap();
        let retraced = self.apply_world();
        self.add_ports();
        retraced
    }

    /// Stores an entity; returns how many flows were traced again.
    pub fn put(&mut self, entity: impl Into<Record>) -> usize {
        self.scenario.world.apply(Change::Put(entity.into()));
        self.apply_world()
    }

    pub fn wait(&mut self, secs: u64) {
        self.now.monotonic_ns += secs * 1_000_000_000;
    }

    pub fn send(&mut self, text: &str) -> Seen {
        let Sent { ingress, packet } = self.scenario.packet(text).unwrap();
        self.send_frame_at(number(ingress), &mut gp_wire::build::emit(&packet))
    }

    /// What a fresh trace says to the packet of a text.
    pub fn verdict(&self, text: &str) -> Verdict {
        let Sent { ingress, packet } = self.scenario.packet(text).unwrap();
        let now = self.now;
        let path = self
            .engine
            .work(now, |work| trace(&self.scenario.world, &work.state.connections, ingress, &packet, now.wall));
        path.unwrap().verdict().clone()
    }

    pub fn send_frame(&mut self, eni: EniId, frame: &mut [u8]) -> Seen {
        self.send_frame_at(ifindex(eni), frame)
    }

    pub fn send_frame_at(&mut self, port: u32, frame: &mut [u8]) -> Seen {
        let arrival = Arrival { port, now_ns: self.now.monotonic_ns, gso: None };
        let outcome = execute(&mut *self.kernel.tables(), frame, &arrival);
        match outcome {
            Outcome::Deliver { port } => {
                self.kernel.tables().sent.push((port, frame.to_vec()));
                Seen::Hit(if port == UPLINK { Fate::LeftRegion } else { Fate::Delivered(self.eni_at(port)) })
            }
            Outcome::Drop { code } => Seen::Hit(Fate::Dropped(DropReason::from_code(code).unwrap())),
            Outcome::Upcall(cause) => {
                let header = UpcallHeader { magic: UPCALL_MAGIC, port, cause: cause.code(), reserved: [0; 5] };
                let mut bytes = [bytemuck::bytes_of(&header), frame].concat();
                Seen::Upcall(cause, self.engine.handle_upcall(&mut bytes, self.now))
            }
        }
    }

    fn eni_at(&self, at: u32) -> EniId {
        *self.scenario.world.tables().enis.keys().find(|eni| ifindex(**eni) == at).unwrap()
    }

    pub fn flows(&self) -> usize {
        let in_kernel = self.kernel.tables().flows.len();
        assert_eq!(in_kernel as u64, self.engine.counters().flows, "index and kernel agree");
        in_kernel
    }

    pub fn connections(&self) -> usize {
        let all = self.tracked();
        assert!(all.iter().all(|(tracker, tracked)| self.would_outlive(*tracker, tracked)), "table and kernel agree");
        assert!(self.kernel.tables().connections.len() <= all.len());
        all.len()
    }

    pub fn tracked(&self) -> Vec<(Tracker, Tracked)> {
        self.engine.work(self.now, |work| {
            let all = &work.state.connections;
            all.trackers().flat_map(|tracker| all.of_tracker(tracker).map(move |tracked| (tracker, *tracked))).collect()
        })
    }

    /// Would the next process know of the connection, if this one died now? By its record, or by the flow that opened it.
    fn would_outlive(&self, tracker: Tracker, tracked: &Tracked) -> bool {
        let tables = self.kernel.tables();
        let has_record = tables.connections.contains_key(&tracked.record(tracker).0);
        let opened = tables.flows.iter().filter(|(_, flow)| flow.opens != 0);
        let mut tuples = opened.map(|(key, _)| tuple_of(key));
        has_record == tracked.is_recorded && (has_record || tuples.any(|tuple| tuple == tracked.connection.tuple))
    }

    /// The frames sent since the last call.
    pub fn sent(&self) -> Vec<(u32, Vec<u8>)> {
        std::mem::take(&mut self.kernel.tables().sent)
    }
}

/// The uplink's port; those of ENIs are odd.
pub(crate) const UPLINK: u32 = 4096;
const OWN: Mac = Mac([0x12, 0, 0, 0, 0, 2]);
const PEER: Mac = Mac([0x12, 0, 0, 0, 0, 1]);

fn number(ingress: Ingress) -> u32 {
    ingress.eni().map_or(UPLINK, ifindex)
}

/// Interface indexes that follow from ids.
pub(crate) fn ifindex(eni: EniId) -> u32 {
    (eni.bits() as u32) & 0xfffff | 1
}
