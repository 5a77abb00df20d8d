//! The heart of the suite: `trace` = the Rust executor = the kernel program, on random worlds, entries and frames.
//!
//! ```text
//! world, packet ─ trace ─ FlowEntry ┬ executor over a Rust table ┐
//!                                   └ BPF_PROG_TEST_RUN over maps ┴ same verdict, bytes, counters, flags, drops
//! ```
//!
//! What is compared after each frame is the whole ledger: nothing else may have changed. Every case follows from a
//! seed, which a failure prints. Without root the tests print "skipped: needs root" and pass. Maps are not pinned and
//! nothing is attached, so tests run side by side and leave nothing behind.

mod frames;
pub mod instructions;
mod kernel;
mod pair;
mod sys;
mod table;

pub use frames::{FrameKind, damage, random_frame};
pub use kernel::{BUCKETS, Kernel, Run, TC_ACT_REDIRECT, TC_ACT_SHOT, write_flow};
pub use pair::Pair;
pub use table::RustTable;

use gp_linux::{Links, NetNs};
use std::ops::Range;

/// Test frames can come in at interfaces with these numbers: a new namespace counts from here on, behind `lo`.
pub const IFINDEXES: Range<u32> = 2..50;

/// True as root; otherwise says why the test does nothing.
pub fn root_or_skip() -> bool {
    let is_root = sys::is_root();
    if !is_root {
        println!("skipped: needs root");
    }
    is_root
}

/// Does `work` in a network namespace that has the interfaces [`IFINDEXES`]; without root, says why not.
///
/// Test runs want the interface of a frame to exist: before Linux 6.7 that is the only way to say where it came in.
///
/// # Panics
/// If `work` does, or the kernel refuses.
pub fn with_interfaces(work: impl FnOnce() + Send) {
    if !root_or_skip() {
        return;
    }
    let netns = NetNs::new_unpinned().expect("a namespace can be made");
    let links = Links::open(&netns).expect("its links can be spoken to");
    for pair in 0..IFINDEXES.len() / 2 {
        links.ensure_local_veth(&format!("a{pair}"), &format!("b{pair}"), 1500).expect("a veth pair can be made");
    }
    let numbers: Vec<u32> = links.list_links().expect("links can be listed").iter().map(|link| link.ifindex).collect();
    assert!(IFINDEXES.clone().all(|ifindex| numbers.contains(&ifindex)), "a new namespace counts from 2: {numbers:?}");
    netns.run(work).expect("a namespace can be entered");
}

/// `CLOCK_MONOTONIC_COARSE`, in nanoseconds: the program's clock.
pub fn now_ns() -> u64 {
    sys::coarse_ns()
}

/// How many cases of its kind a test runs, by `AGREEMENT_CASES` in the environment if that is set.
pub fn cases(default: u64) -> u64 {
    std::env::var("AGREEMENT_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default)
}
