//! What a packet costs, in counts that no busy machine can blur: instructions of the program in the kernel, instructions
//! and allocations of the slow path. A limit is what it cost when it was set and a little more; raise one only with the reason why.

use gp_abi::{ConnectionKey, ConnectionValue, FlowKey, FlowKey4, PackedFlow, PackedPair, PairKey};
use gp_agreement::{Kernel, instructions, root_or_skip};
use gp_compile::{FlowEntry, HostSide, Output};
use gp_model::{EniId, Mac, Timestamp};
use gp_trace::{NoConnections, Verdict, trace};
use gp_wire::{build, parse};
use gp_worlds::Scenario;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

/// Of the program as the kernel runs it; clang 14 to 19 differ by some. Some 430 of them let connections between known
/// peers begin, a subprogram that only a miss calls; a hit runs none of them.
const INSTRUCTIONS_MAX: u32 = 1950;

/// Of the verifier, along all ways through the program: what each start of Groundplane waits for. 8,200 on Linux 6.18. A
/// loop over a SYN's options once took it two seconds; the kernel gives up at a million.
const VERIFIED_MAX: u32 = 30_000;

/// Of a new connection's first packet: parse, trace, compile.
const ALLOCATIONS_MAX: u64 = 14;
/// The same, in bytes asked for.
const ALLOCATED_BYTES_MAX: u64 = 8 << 10;

/// Of the pieces that the kernel takes entries of a hash table from that is not preallocated (kernel/bpf/memalloc.c).
const SIZE_CLASSES: [usize; 5] = [96, 128, 192, 256, 512];
/// In front of an entry's key: 48 of the table (`struct htab_elem`) and 8 of the allocator.
const ENTRY_HEADER_BYTES: usize = 48 + 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Allocations {
    count: u64,
    bytes: u64,
}

thread_local! {
    static ALLOCATIONS: Cell<Allocations> = const { Cell::new(Allocations { count: 0, bytes: 0 }) };
}

/// Counts what the calling thread allocates.
struct Counting;

fn note(bytes: usize) {
    // A thread that ends may allocate after its own values are gone.
    let _ = ALLOCATIONS.try_with(|all| {
        let Allocations { count, bytes: before } = all.get();
        all.set(Allocations { count: count + 1, bytes: before + bytes as u64 });
    });
}

// SAFETY: everything is the system's allocator, which is told exactly what we are told; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        note(bytes);
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(at, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of<T>(work: impl FnOnce() -> T) -> Allocations {
    let before = ALLOCATIONS.get();
    black_box(work());
    let after = ALLOCATIONS.get();
    Allocations { count: after.count - before.count, bytes: after.bytes - before.bytes }
}

/// A VPC with so many ENIs in two subnets, and a group with so many rules besides the one that lets the packet pass.
fn world(enis: usize, rules: usize) -> Scenario {
    let mut text =
        "vpc a 10.0.0.0/16; subnet a1 a 10.0.0.0/20; subnet a2 a 10.0.16.0/20\nsg client a\nsg web a".to_owned();
    for rule in 0..rules {
        text += &format!(" in tcp {} from 10.{}.0.0/16", 10_000 + rule, rule % 250);
    }
    text += " in tcp 80 from client\n";
    for eni in 0..enis {
        let (group, subnet, third) = if eni % 2 == 0 { ("client", "a1", 0) } else { ("web", "a2", 16) };
        text += &format!("eni e{eni} {subnet} 10.0.{}.{} sg {group}\n", third + eni / 200, 10 + eni % 200);
    }
    text.parse().expect("a world of our own")
}

/// What the slow path does for the first packet of a connection, but for the tables in the kernel.
fn first_packet(scenario: &Scenario) -> Allocations {
    let sent = scenario.packet("e0 > e1 tcp 4000:80 syn").expect("a packet of our own");
    let frame = build::emit(&sent.packet);
    let side =
        HostSide { ifindex: 2, vlan: 0, output: Output::Peer, mac: Mac([2, 0, 0, 0, 0, 1]), mtu: 9001, allowance: 0 };
    allocations_of(|| {
        let packet = parse(&frame).expect("a frame of our own");
        let path = trace(&scenario.world, &NoConnections, sent.ingress, &packet, Timestamp(0)).expect("decidable");
        assert!(matches!(path.verdict(), Verdict::Deliver { .. }));
        FlowEntry::from_path(&path, &|_: EniId| Some(side)).expect("a path that can be replayed")
    })
}

#[test]
fn a_first_packet_allocates_the_same_whatever_the_number_of_rules_and_enis() {
    let small = first_packet(&world(4, 1));
    println!("first packet: {small:?}");
    assert!(small.count <= ALLOCATIONS_MAX && small.bytes <= ALLOCATED_BYTES_MAX, "{small:?}");
    assert_eq!(first_packet(&world(2000, 900)), small);
}

/// Of `trace` for a new connection's first packet, with ten rules, as tests are compiled.
const TRACE_INSTRUCTIONS_MAX: u64 = 26_000;

#[test]
fn a_first_packet_takes_no_more_instructions_with_a_thousand_rules_than_with_ten() {
    let [few, many] = [10, 1000].map(|rules| {
        let scenario = world(4, rules);
        let sent = scenario.packet("e0 > e1 tcp 4000:80 syn").expect("a packet of our own");
        let decide = || {
            let path = trace(&scenario.world, &NoConnections, sent.ingress, &sent.packet, Timestamp(0));
            black_box(path).expect("decidable");
        };
        // The first run binds symbols and warms the allocator.
        decide();
        instructions::count(decide).expect("it can be stepped through")
    });
    println!("instructions of a trace: {few} with 10 rules, {many} with 1000");
    assert!(few <= TRACE_INSTRUCTIONS_MAX && many * 10 <= few * 11, "{few}, {many}");
}

#[test]
fn entries_stay_in_their_size_class() {
    fn class<K, V>() -> Option<usize> {
        let bytes = ENTRY_HEADER_BYTES + size_of::<K>() + size_of::<V>();
        println!("{} {}: {bytes} bytes", std::any::type_name::<K>(), std::any::type_name::<V>());
        SIZE_CLASSES.into_iter().find(|class| bytes <= *class)
    }
    assert_eq!(class::<FlowKey4, PackedFlow>(), Some(128));
    assert_eq!(class::<FlowKey, PackedFlow>(), Some(192));
    assert_eq!(class::<ConnectionKey, ConnectionValue>(), Some(192));
    assert_eq!(class::<PairKey, PackedPair>(), Some(256));
}

#[test]
fn the_program_in_the_kernel_stays_short() {
    if !root_or_skip() {
        return;
    }
    let instructions = Kernel::load().instructions();
    println!("program: {instructions} instructions");
    assert!(instructions <= INSTRUCTIONS_MAX, "{instructions} instructions");
}

#[test]
fn the_program_is_soon_verified() {
    if !root_or_skip() {
        return;
    }
    let verified = Kernel::load().verified_instructions();
    println!("program: {verified} instructions verified");
    assert!((1..=VERIFIED_MAX).contains(&verified), "{verified} instructions");
}
