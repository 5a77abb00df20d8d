//! The executor and the kernel program side by side, over maps of the same content.

use crate::kernel::{Kernel, Run, TC_ACT_REDIRECT, TC_ACT_SHOT};
use crate::now_ns;
use crate::table::RustTable;
use gp_abi::{Bucket, FlowKey, FlowValue, Opened, PairKey, PairValue};
use gp_compile::{Arrival, Gso, Outcome, Upcall, execute};
use gp_maps::UpcallBudget;

/// Fewer than the kernel's ring has room for; ledgers are to be compared before there are so many.
const OPENED_MAX: usize = 10_000;

/// Both, and what both must hold.
pub struct Pair {
    pub kernel: Kernel,
    pub rust: RustTable,
}

impl Pair {
    /// # Panics
    /// If the kernel refuses the program.
    #[expect(clippy::new_without_default, reason = "loading a program is nothing to happen by default")]
    pub fn new() -> Self {
        let mut rust = RustTable::default();
        rust.pairs.opened_max = OPENED_MAX;
        Self { kernel: Kernel::load(), rust }
    }

    pub fn set_flow(&mut self, key: &FlowKey, value: &FlowValue) {
        self.kernel.set_flow(key, value);
        self.rust.flows.insert(*key, *value);
    }

    pub fn remove_flow(&mut self, key: &FlowKey) {
        if self.rust.flows.remove(key).is_some() {
            self.kernel.remove_flow(key);
        }
    }

    pub fn set_budget(&mut self, ifindex: u32, budget: UpcallBudget) {
        let state = self.kernel.set_budget(ifindex, budget);
        self.rust.enis.insert(ifindex, state);
    }

    pub fn set_bucket(&mut self, index: u32, bucket: &Bucket) {
        self.kernel.set_bucket(index, bucket);
        self.rust.buckets.insert(index, *bucket);
    }

    pub fn set_pair(&mut self, key: &PairKey, value: &PairValue) {
        self.kernel.set_pair(key, value);
        self.rust.pairs.pairs.insert(*key, *value);
    }

    pub fn remove_pair(&mut self, key: &PairKey) {
        if self.rust.pairs.pairs.remove(key).is_some() {
            self.kernel.remove_pair(key);
        }
    }

    /// Leaves so many grants in a cell of both.
    ///
    /// # Panics
    /// If there were not the same in both.
    pub fn set_grants(&mut self, index: u32, grants: u64) {
        let before = self.rust.pairs.grants.insert(index, grants).unwrap_or(0);
        assert_eq!(self.kernel.set_grants(index, grants), before, "grants left in cell {index}");
    }

    /// Runs a frame through both and compares verdicts and bytes. Answers what both did, and the frame that
    /// they left (for an upcall without its header).
    ///
    /// # Panics
    /// If they differ.
    pub fn run(&mut self, frame: &[u8], ifindex: u32, gso: Option<Gso>) -> (Outcome, Vec<u8>) {
        let before = now_ns();
        let ran = self.kernel.run(frame, &Arrival { port: ifindex, now_ns: before, gso });
        let after = now_ns();
        let mut bytes = frame.to_vec();
        let as_before = if ran.is_none() { self.rust.clone() } else { RustTable::default() };
        // Any moment of the run will do for budgets without a rate; entries' times are compared by `compare_ledgers`.
        let outcome = execute(&mut self.rust, &mut bytes, &Arrival { port: ifindex, now_ns: after, gso });
        match ran {
            Some(ran) => compare(&ran, outcome, &bytes, frame, ifindex),
            // The kernel was not asked: what only the executor counted is taken back.
            None => self.rust = as_before,
        }
        assert!(before <= after, "the clock is monotonic");
        (outcome, bytes)
    }

    /// Compares everything that the two sides hold: flows, budgets, drop counters; and what was told of connections. Times of flows may differ by what
    /// passed between the two runs.
    ///
    /// # Panics
    /// If they differ.
    pub fn compare_ledgers(&mut self, tolerance_ns: u64) {
        let mut kernel = self.kernel.ledger();
        for (key, value) in &mut kernel.flows {
            let Some(rust) = self.rust.flows.get(key) else { panic!("only the kernel has {key:?}") };
            let apart = rust.last_seen_ns.abs_diff(value.last_seen_ns);
            assert!(apart <= tolerance_ns, "{key:?} was seen {apart} ns apart");
            value.last_seen_ns = rust.last_seen_ns;
        }
        assert_eq!(kernel.flows, self.rust.flows);
        assert_eq!(kernel.enis, self.rust.enis);
        assert_eq!(kernel.buckets, self.rust.buckets);
        assert_eq!(kernel.drops, self.rust.drops);
        let timeless = |opened: Vec<Opened>| -> Vec<Opened> {
            opened.into_iter().map(|opened| Opened { opened_ns: 0, ..opened }).collect()
        };
        let told = std::mem::take(&mut self.rust.pairs.opened);
        assert_eq!(timeless(self.kernel.take_opened()), timeless(told));
    }
}

fn compare(ran: &Run, outcome: Outcome, bytes: &[u8], frame: &[u8], ifindex: u32) {
    match outcome {
        Outcome::Deliver { .. } => {
            assert_eq!(ran.verdict, TC_ACT_REDIRECT);
            assert_eq!(ran.bytes, bytes, "both rewrite alike");
        }
        Outcome::Drop { .. } => {
            assert_eq!(ran.verdict, TC_ACT_SHOT, "the executor drops: {outcome:?}");
            assert_eq!((ran.bytes.as_slice(), bytes), (frame, frame), "a dropped frame stays as it is");
        }
        Outcome::Upcall(cause) => {
            assert_eq!(ran.verdict, TC_ACT_REDIRECT, "the executor hands it up: {outcome:?}");
            let split = Upcall::split(&ran.bytes);
            assert_eq!(split, Some((Upcall { port: ifindex, cause }, frame)), "header and frame of the upcall");
            assert_eq!(bytes, frame, "the executor leaves the frame to user space");
        }
    }
}
