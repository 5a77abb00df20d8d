//! The program in the kernel, run on frames by `BPF_PROG_TEST_RUN`: nothing is attached and nothing is sent.

use crate::sys;
use crate::table::RustTable;
use bytemuck::Zeroable;
use gp_abi::{Bucket, EniState, FlowKey, FlowValue, Opened, PairKey, PairValue};
use gp_compile::{Arrival, Gso};
use gp_maps::{Capacity, Fastpath, Flows, UpcallBudget};
use std::os::fd::OwnedFd;

/// The program dropped the frame.
pub const TC_ACT_SHOT: u32 = 2;
/// The program sent the frame elsewhere: to an ENI, or up with a header in front.
pub const TC_ACT_REDIRECT: u32 = 7;

/// The kernel takes test frames of less than a page, headroom and all.
const MAX_FRAME_BYTES: usize = 4096;
const ETHERNET_BYTES: usize = 14;

const ALLOWANCES: u32 = 16;
/// Places of buckets that there are.
pub const BUCKETS: u32 = (ALLOWANCES + 1) * gp_abi::BUCKETS_PER_ALLOWANCE;

/// Does the kernel take a frame for a test run? It refuses some that are too short for their EtherType; real ones reach
/// the program.
fn is_testable(frame: &[u8]) -> bool {
    let shortest = match frame.get(12..14) {
        Some([0x08, 0x00]) => 20,
        Some([0x86, 0xdd]) => 40,
        _ => 1,
    };
    frame.len() >= ETHERNET_BYTES + shortest
}

/// One loaded program with maps of its own. Test frames can come in at the interfaces of the calling thread's network
/// namespace: see [`crate::with_interfaces`].
pub struct Kernel {
    fastpath: Fastpath,
    program: OwnedFd,
}

/// What the program made of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub verdict: u32,
    pub bytes: Vec<u8>,
    pub ns_per_run: u32,
}

impl Kernel {
    /// # Panics
    /// If the kernel refuses the program.
    pub fn load() -> Self {
        let capacity =
            Capacity { flows: 4096, adjacencies: 4096, connections: 1, enis: 64, allowances: ALLOWANCES, pairs: 64 };
        let mut fastpath = Fastpath::load(None, capacity).expect("the fast path loads");
        fastpath.settings().set_upcall_ifindex(1).expect("settings can be written");
        let program = fastpath.program_fd().try_clone_to_owned().expect("a descriptor can be copied");
        Self { fastpath, program }
    }

    /// Runs the program on a frame without a tag (a test run can't say that there is one: see tests/live.rs); `None` for lengths that the kernel doesn't take for tests.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn run(&self, frame: &[u8], arrival: &Arrival) -> Option<Run> {
        self.run_repeatedly(frame, arrival, 1)
    }

    /// As [`Kernel::run`], again and again on what the run before left, for measuring.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn run_repeatedly(&self, frame: &[u8], arrival: &Arrival, repeat: u32) -> Option<Run> {
        use std::os::fd::AsFd;
        if !is_testable(frame) {
            return None;
        }
        let mut out = vec![0; MAX_FRAME_BYTES];
        let (gso_size, gso_segments) = arrival.gso.map_or((0, 0), |Gso { size, segments }| (size, segments));
        let context = (arrival.port, gso_size, gso_segments);
        let run = sys::test_run(self.program.as_fd(), frame, context, repeat, &mut out)
            .unwrap_or_else(|error| panic!("test run of {} bytes, {arrival:?}: {error}", frame.len()));
        out.truncate(run.bytes);
        Some(Run { verdict: run.verdict, bytes: out, ns_per_run: run.ns_per_run })
    }

    /// Instructions of the program as the kernel has them after its own rewriting.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn instructions(&self) -> u32 {
        self.size().bytes / 8
    }

    /// Instructions that the verifier looked at when it was loaded, each as often as it did.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn verified_instructions(&self) -> u32 {
        self.size().verified
    }

    fn size(&self) -> sys::ProgramSize {
        use std::os::fd::AsFd;
        sys::program_size(self.program.as_fd()).expect("a program tells its size")
    }

    /// # Panics
    /// If the kernel refuses.
    pub fn set_flow(&self, key: &FlowKey, value: &FlowValue) {
        write_flow(self.fastpath.flows(), key, value);
    }

    /// # Panics
    /// If the kernel refuses.
    pub fn remove_flow(&self, key: &FlowKey) {
        self.fastpath.flows().remove(key).expect("a flow can be removed");
    }

    /// # Panics
    /// If the kernel refuses.
    pub fn set_budget(&self, port: u32, budget: UpcallBudget) -> EniState {
        self.fastpath.enis().ensure(port, budget).expect("a budget can be written");
        self.fastpath.enis().get(port).expect("an ENI can be read").expect("it was just written")
    }

    pub fn set_bucket(&self, index: u32, bucket: &Bucket) {
        self.fastpath.buckets().set(index, bucket);
    }

    /// # Panics
    /// If there is no such index.
    pub fn bucket(&self, index: u32) -> Bucket {
        self.fastpath.buckets().get(index).expect("the index exists")
    }

    /// Writes a pair that no trace made: the product can't.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn set_pair(&self, key: &PairKey, value: &PairValue) {
        self.fastpath.pairs().insert_untraced(key, value).expect("a pair can be written");
    }

    /// # Panics
    /// If the kernel refuses.
    pub fn remove_pair(&self, key: &PairKey) {
        self.fastpath.pairs().remove(key).expect("a pair can be removed");
    }

    /// Leaves so many grants in a cell; answers how many there were.
    pub fn set_grants(&self, index: u32, grants: u64) -> u64 {
        let before = self.fastpath.grants().take_back(index);
        self.fastpath.grants().add(index, grants);
        before
    }

    /// What the program has told of connections that it has let begin, since the last call.
    pub fn take_opened(&self) -> Vec<Opened> {
        let mut opened = Vec::new();
        self.fastpath.opened().take(&mut opened);
        opened
    }

    /// Everything that the kernel holds but pairs. Frees what flows and pairs need no more: the cases that follow use it
    /// again.
    ///
    /// # Panics
    /// If the kernel refuses.
    pub fn ledger(&self) -> RustTable {
        let mut ledger = RustTable::default();
        let flows = self.fastpath.flows().sweep(|key, value| {
            ledger.flows.insert(*key, *value);
        });
        flows.expect("flows can be read");
        let enis = self.fastpath.enis().scan(|ifindex, state| {
            ledger.enis.insert(ifindex, *state);
        });
        enis.expect("ENIs can be read");
        // Those that were never written are all zeros.
        let buckets = (0..BUCKETS).map(|index| (index, self.bucket(index)));
        ledger.buckets = buckets.filter(|(_, bucket)| *bucket != Bucket::zeroed()).collect();
        let drops = self.fastpath.drops().read().expect("counters can be read");
        ledger.drops = drops.into_iter().filter(|(_, n)| *n > 0).map(|(reason, n)| (reason.code(), n)).collect();
        ledger
    }
}

/// Writes an entry that no trace made: the product can't.
///
/// # Panics
/// If the kernel refuses.
pub fn write_flow(flows: &Flows, key: &FlowKey, value: &FlowValue) {
    flows.insert_untraced(key, value).expect("a flow can be written");
}
