//! The seam to the kernel: its tables and its links, as the engine uses them. Tests put a fake here.

use gp_abi::{
    AllowanceKey, AllowanceValue, Bucket, ConnectionKey, ConnectionValue, EniState, FlowKey, FlowValue, Opened, PairKey,
};
use gp_compile::{FlowEntry, PairEntry};
use gp_linux::{PacketSender, TapDrops};
use gp_maps::{
    Allowances, Buckets, Connections, DropCounters, EniStates, Fastpath, Flows, Grants, MapError, OpenedRing, Pairs,
};
use gp_trace::DropReason;
use std::os::fd::{AsFd, BorrowedFd};

/// What the kernel could not do.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The table holds as many entries as it may.
    #[error("the kernel's table is full")]
    Full,
    #[error(transparent)]
    Map(MapError),
    #[error(transparent)]
    Link(#[from] gp_linux::LinuxError),
    /// The kernel counts interfaces up for as long as it runs.
    #[error("interface {ifindex} with tag {vlan} can't be a port: a port's number has no room for it")]
    PortNumber { ifindex: u32, vlan: u16 },
}

impl From<MapError> for KernelError {
    fn from(error: MapError) -> Self {
        match error {
            // Throwing out flows would not make room for another adjacency: many flows share one.
            MapError::Full { map } if map != gp_maps::ADJACENCIES => Self::Full,
            other => Self::Map(other),
        }
    }
}

/// Tables and links. Every method works from every thread.
///
/// # Errors
/// All methods: what the kernel refuses; `Full` only where a new entry has no room.
pub trait Kernel: Send + Sync {
    fn flow(&self, key: &FlowKey) -> Result<Option<FlowValue>, KernelError>;
    fn insert_flow(&self, entry: &FlowEntry) -> Result<(), KernelError>;
    /// Puts another decision into an entry that is there, keeping its counters; false where it is gone.
    fn replace_flow(&self, entry: &FlowEntry) -> Result<bool, KernelError>;
    fn remove_flow(&self, key: &FlowKey) -> Result<Option<FlowValue>, KernelError>;
    fn scan_flows(&self, visit: &mut dyn FnMut(&FlowKey, &FlowValue)) -> Result<(), KernelError>;
    /// The same, and frees what no flow and no pair needs any more. By one caller at a time, who takes the engine's lock
    /// between two such walks: see [`Flows::sweep`].
    fn sweep_flows(&self, visit: &mut dyn FnMut(&FlowKey, &FlowValue)) -> Result<(), KernelError> {
        self.scan_flows(visit)
    }

    fn insert_connection(&self, key: &ConnectionKey, value: &ConnectionValue) -> Result<(), KernelError>;
    fn remove_connection(&self, key: &ConnectionKey) -> Result<bool, KernelError>;
    fn scan_connections(&self, visit: &mut dyn FnMut(&ConnectionKey, &ConnectionValue)) -> Result<(), KernelError>;

    fn insert_pair(&self, entry: &PairEntry) -> Result<(), KernelError>;
    fn remove_pair(&self, key: &PairKey) -> Result<bool, KernelError>;
    fn scan_pairs(&self, visit: &mut dyn FnMut(&PairKey)) -> Result<(), KernelError>;
    /// Takes what the fast path has told of connections that it has let begin. None is missing of a pair that was
    /// removed before.
    fn take_opened(&self, into: &mut Vec<Opened>);
    /// Readable while there is something to take.
    fn opened_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Cells for grants; the first is 1.
    fn grant_cells(&self) -> u32;
    /// Lets the fast path begin so many more connections.
    fn add_grants(&self, index: u32, grants: u64);
    /// Takes back what is left in a cell.
    fn take_back_grants(&self, index: u32) -> u64;

    /// Lets the port with this number send.
    fn ensure_eni(&self, port: u32) -> Result<(), KernelError>;
    /// Drops from now on what comes from there.
    fn remove_eni(&self, port: u32) -> Result<(), KernelError>;
    fn eni(&self, port: u32) -> Result<Option<EniState>, KernelError>;
    fn scan_enis(&self, visit: &mut dyn FnMut(u32)) -> Result<(), KernelError>;

    /// The bucket of bandwidth with this index.
    fn bucket(&self, index: u32) -> Option<Bucket>;
    fn set_bucket(&self, index: u32, bucket: &Bucket);
    /// Adds what the time has earned.
    fn refill_bucket(&self, index: u32, now_ns: u64);
    /// Takes bytes from a bucket; false where it has nothing left.
    fn take_bandwidth(&self, index: u32, bytes: u64, now_ns: u64) -> bool;

    /// Slots for allowances; the first is 1.
    fn allowances_max(&self) -> u32;
    fn insert_allowance(&self, key: &AllowanceKey, value: &AllowanceValue) -> Result<(), KernelError>;
    fn remove_allowance(&self, key: &AllowanceKey) -> Result<(), KernelError>;
    fn scan_allowances(&self, visit: &mut dyn FnMut(&AllowanceKey, &AllowanceValue)) -> Result<(), KernelError>;

    /// Packets that the fast path dropped, by reason.
    fn drops(&self) -> Result<Vec<(DropReason, u64)>, KernelError>;

    /// Sends a frame out of a host side, to the guest behind it.
    fn send(&self, ifindex: u32, frame: &[u8]) -> Result<(), KernelError>;
}

/// The real kernel: the pinned maps, and raw sockets in Groundplane's network namespace.
#[derive(Debug)]
pub struct HostKernel {
    flows: Flows,
    enis: EniStates,
    drops: DropCounters,
    connections: Connections,
    buckets: Buckets,
    allowances: Allowances,
    pairs: Pairs,
    grants: Grants,
    opened: OpenedRing,
    sender: PacketSender,
    upcall_queue: TapDrops,
}

impl HostKernel {
    pub fn new(fastpath: &Fastpath, sender: PacketSender, upcall_queue: TapDrops) -> Self {
        Self {
            flows: fastpath.flows().clone(),
            enis: fastpath.enis().clone(),
            drops: fastpath.drops().clone(),
            connections: fastpath.connections().clone(),
            buckets: fastpath.buckets().clone(),
            allowances: fastpath.allowances().clone(),
            pairs: fastpath.pairs().clone(),
            grants: fastpath.grants().clone(),
            opened: fastpath.opened().clone(),
            sender,
            upcall_queue,
        }
    }
}

impl Kernel for HostKernel {
    fn flow(&self, key: &FlowKey) -> Result<Option<FlowValue>, KernelError> {
        Ok(self.flows.get(key)?)
    }
    fn insert_flow(&self, entry: &FlowEntry) -> Result<(), KernelError> {
        Ok(self.flows.insert(entry)?)
    }
    fn replace_flow(&self, entry: &FlowEntry) -> Result<bool, KernelError> {
        Ok(self.flows.replace(entry)?)
    }
    fn remove_flow(&self, key: &FlowKey) -> Result<Option<FlowValue>, KernelError> {
        Ok(self.flows.remove(key)?)
    }
    fn scan_flows(&self, visit: &mut dyn FnMut(&FlowKey, &FlowValue)) -> Result<(), KernelError> {
        Ok(self.flows.scan(visit)?)
    }
    fn sweep_flows(&self, visit: &mut dyn FnMut(&FlowKey, &FlowValue)) -> Result<(), KernelError> {
        Ok(self.flows.sweep(visit)?)
    }
    fn insert_connection(&self, key: &ConnectionKey, value: &ConnectionValue) -> Result<(), KernelError> {
        Ok(self.connections.insert(key, value)?)
    }
    fn remove_connection(&self, key: &ConnectionKey) -> Result<bool, KernelError> {
        Ok(self.connections.remove(key)?)
    }
    fn scan_connections(&self, visit: &mut dyn FnMut(&ConnectionKey, &ConnectionValue)) -> Result<(), KernelError> {
        Ok(self.connections.scan(visit)?)
    }
    fn insert_pair(&self, entry: &PairEntry) -> Result<(), KernelError> {
        Ok(self.pairs.insert(entry)?)
    }
    fn remove_pair(&self, key: &PairKey) -> Result<bool, KernelError> {
        Ok(self.pairs.remove(key)?)
    }
    fn scan_pairs(&self, visit: &mut dyn FnMut(&PairKey)) -> Result<(), KernelError> {
        Ok(self.pairs.scan(visit)?)
    }
    fn take_opened(&self, into: &mut Vec<Opened>) {
        self.opened.take(into);
    }
    fn opened_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.opened.as_fd())
    }
    fn grant_cells(&self) -> u32 {
        self.grants.cells()
    }
    fn add_grants(&self, index: u32, grants: u64) {
        self.grants.add(index, grants);
    }
    fn take_back_grants(&self, index: u32) -> u64 {
        self.grants.take_back(index)
    }
    fn ensure_eni(&self, port: u32) -> Result<(), KernelError> {
        Ok(self.enis.ensure(port, crate::UPCALL_BUDGET)?)
    }
    fn remove_eni(&self, port: u32) -> Result<(), KernelError> {
        self.enis.remove(port)?;
        Ok(())
    }
    fn eni(&self, port: u32) -> Result<Option<EniState>, KernelError> {
        Ok(self.enis.get(port)?)
    }
    fn scan_enis(&self, visit: &mut dyn FnMut(u32)) -> Result<(), KernelError> {
        Ok(self.enis.scan(|port, _| visit(port))?)
    }
    fn bucket(&self, index: u32) -> Option<Bucket> {
        self.buckets.get(index)
    }
    fn set_bucket(&self, index: u32, bucket: &Bucket) {
        self.buckets.set(index, bucket);
    }
    fn refill_bucket(&self, index: u32, now_ns: u64) {
        self.buckets.refill(index, now_ns);
    }
    fn take_bandwidth(&self, index: u32, bytes: u64, now_ns: u64) -> bool {
        self.buckets.take(index, bytes, now_ns)
    }
    fn allowances_max(&self) -> u32 {
        self.buckets.allowances()
    }
    fn insert_allowance(&self, key: &AllowanceKey, value: &AllowanceValue) -> Result<(), KernelError> {
        Ok(self.allowances.insert(key, value)?)
    }
    fn remove_allowance(&self, key: &AllowanceKey) -> Result<(), KernelError> {
        self.allowances.remove(key)?;
        Ok(())
    }
    fn scan_allowances(&self, visit: &mut dyn FnMut(&AllowanceKey, &AllowanceValue)) -> Result<(), KernelError> {
        Ok(self.allowances.scan(visit)?)
    }
    fn drops(&self) -> Result<Vec<(DropReason, u64)>, KernelError> {
        let mut drops = self.drops.read()?;
        drops.push((DropReason::UpcallQueue, self.upcall_queue.count()?));
        Ok(drops)
    }
    fn send(&self, ifindex: u32, frame: &[u8]) -> Result<(), KernelError> {
        Ok(self.sender.send(ifindex, frame)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_table_is_a_reason_to_throw_out_flows() {
        assert!(matches!(MapError::Full { map: "gp_flows" }.into(), KernelError::Full));
        assert!(matches!(MapError::Full { map: gp_maps::ADJACENCIES }.into(), KernelError::Map(_)));
    }
}
