//! The maps and the program in the real kernel, in namespaces and a BPF file system of each test's own.

use crate::{Capacity, Connections, Fastpath, Flows, LoadError, MapError, UpcallBudget};
use bytemuck::Zeroable;
use gp_abi::{
    ABI_VERSION, ACTION_DROP, AllowanceKey, AllowanceValue, Bucket, Config, ConnectionValue, FlowKey, FlowValue,
};
use gp_linux::{Links, NetNs, VethSpec, mount};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

pub(crate) fn root_or_skip() -> bool {
    // SAFETY: geteuid has no arguments and can't fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        println!("skipped: needs root");
    }
    is_root
}

pub(crate) const SMALL: Capacity =
    Capacity { flows: 1000, adjacencies: 10, connections: 100, enis: 10, allowances: 5, pairs: 10 };

/// A BPF file system that goes away with its test.
pub(crate) struct Bpffs(tempfile::TempDir);

impl Bpffs {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        mount::ensure_bpffs(&dir.path().join("bpf")).unwrap();
        Self(dir)
    }
    pub(crate) fn pins(&self) -> PathBuf {
        self.0.path().join("bpf/groundplane")
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        mount::remove_bpffs(&self.0.path().join("bpf")).unwrap();
    }
}

/// A flow's key of either family.
pub(crate) fn key(family: u8, n: u32) -> FlowKey {
    FlowKey { port: n, family, ..Zeroable::zeroed() }
}

fn dropped(packets: u64) -> FlowValue {
    FlowValue { packets, action: ACTION_DROP, drop_reason: 8, ..Zeroable::zeroed() }
}

fn fill(flows: &Flows, family: u8, entries: u32) -> Result<(), MapError> {
    (0..entries).try_for_each(|n| flows.insert_untraced(&key(family, n), &dropped(n.into())))
}

#[test]
fn entries_are_written_read_walked_and_taken() {
    if !root_or_skip() {
        return;
    }
    let fastpath = Fastpath::load(None, Capacity { flows: 5000, ..SMALL }).unwrap();
    let flows = fastpath.flows();
    assert!(flows.is_empty().unwrap());
    for family in [4, 6] {
        fill(flows, family, 5000).unwrap();
    }
    let mut seen = HashSet::new();
    flows.scan(|key, value| assert!(seen.insert((key.family, key.port, value.packets)))).unwrap();
    assert_eq!(seen, [4, 6].into_iter().flat_map(|family| (0..5000).map(move |n| (family, n, n.into()))).collect());
    for family in [4, 6] {
        let key = key(family, 77);
        assert_eq!(flows.get(&key).unwrap(), Some(dropped(77)));
        assert_eq!(flows.remove(&key).unwrap(), Some(dropped(77)));
        assert_eq!(flows.get(&key).unwrap(), None);
        assert_eq!(flows.remove(&key).unwrap(), None);
    }
    assert_eq!(flows.len().unwrap(), 9998);
}

#[test]
fn a_full_table_is_an_answer_and_makes_room_again() {
    if !root_or_skip() {
        return;
    }
    let fastpath = Fastpath::load(None, SMALL).unwrap();
    let flows = fastpath.flows();
    for (family, name) in [(4, "gp_flows"), (6, "gp_flows6")] {
        fill(flows, family, 1000).unwrap();
        let full = flows.insert_untraced(&key(family, 1000), &dropped(0));
        assert!(matches!(full, Err(MapError::Full { map }) if map == name), "{full:?}");
        flows.insert_untraced(&key(family, 1), &dropped(0)).unwrap();
        flows.remove(&key(family, 2)).unwrap().unwrap();
        flows.insert_untraced(&key(family, 1000), &dropped(0)).unwrap();
    }
}

#[test]
fn an_eni_keeps_its_counters_through_a_new_budget() {
    if !root_or_skip() {
        return;
    }
    let fastpath = Fastpath::load(None, SMALL).unwrap();
    let enis = fastpath.enis();
    enis.ensure(7, UpcallBudget { per_second: 10, burst: 20 }).unwrap();
    let state = enis.get(7).unwrap().unwrap();
    assert_eq!((state.tokens, state.upcall_rate, state.upcall_burst, state.upcalls), (20, 10, 20, 0));
    enis.0.insert(&7, &gp_abi::EniState { upcalls: 3, ..state }).unwrap();
    enis.ensure(7, UpcallBudget { per_second: 1, burst: 2 }).unwrap();
    let state = enis.remove(7).unwrap().unwrap();
    assert_eq!((state.tokens, state.upcall_rate, state.upcall_burst, state.upcalls), (2, 1, 2, 3));
    assert_eq!(enis.get(7).unwrap(), None);
}

#[test]
fn drop_counters_start_at_zero_for_every_reason() {
    if !root_or_skip() {
        return;
    }
    let fastpath = Fastpath::load(None, SMALL).unwrap();
    let counters = fastpath.drops().read().unwrap();
    assert_eq!(counters.len(), gp_trace::DropReason::ALL.len());
    assert!(counters.iter().all(|(_, count)| *count == 0));
}

fn remember(connections: &Connections, n: u8) {
    let key = gp_abi::ConnectionKey { tracker: [n; 16], ..Zeroable::zeroed() };
    connections.insert(&key, &ConnectionValue { created_ns: n.into(), ..Zeroable::zeroed() }).unwrap();
}

#[test]
fn a_second_process_takes_over_what_is_pinned() {
    if !root_or_skip() {
        return;
    }
    let bpffs = Bpffs::new();
    let first = Fastpath::load(Some(&bpffs.pins()), SMALL).unwrap();
    first.settings().set_upcall_ifindex(42).unwrap();
    fill(first.flows(), 4, 3).unwrap();
    remember(first.connections(), 9);
    drop(first);
    let second = Fastpath::load(Some(&bpffs.pins()), SMALL).unwrap();
    assert_eq!(second.settings().get().unwrap(), Some(Config { upcall_ifindex: 42, abi_version: ABI_VERSION }));
    assert_eq!(second.flows().len().unwrap(), 3);
    assert_eq!(second.connections().len().unwrap(), 1);
}

#[test]
fn maps_of_another_size_or_version_are_replaced() {
    if !root_or_skip() {
        return;
    }
    let bpffs = Bpffs::new();
    let first = Fastpath::load(Some(&bpffs.pins()), SMALL).unwrap();
    fill(first.flows(), 4, 3).unwrap();
    remember(first.connections(), 9);
    let second = Fastpath::load(Some(&bpffs.pins()), Capacity { flows: 2000, ..SMALL }).unwrap();
    assert_eq!(second.flows().len().unwrap(), 0, "the flow table has another size now");
    assert_eq!(second.connections().len().unwrap(), 1, "the connections don't");
    let other = Config { upcall_ifindex: 1, abi_version: ABI_VERSION + 1 };
    second.settings().0.insert(&0, &other).unwrap();
    let third = Fastpath::load(Some(&bpffs.pins()), Capacity { flows: 2000, ..SMALL }).unwrap();
    assert_eq!(third.connections().len().unwrap(), 0, "another version wrote them");
    assert_eq!(first.flows().len().unwrap(), 3, "handles on unpinned maps go on working");
}

#[test]
fn a_folder_on_another_file_system_is_refused() {
    if !root_or_skip() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let refused = Fastpath::load(Some(dir.path()), SMALL);
    assert!(matches!(refused, Err(LoadError::NotBpffs { .. })));
    let refused = Fastpath::load(Some(Path::new("/proc/none")), SMALL);
    assert!(matches!(refused, Err(LoadError::PinDir { .. })));
}

/// Ids of the programs on ingress of an interface of this namespace, as `tc` tells them.
fn attached(interface: &str) -> Vec<String> {
    let output = std::process::Command::new("tc").args(["filter", "show", "dev", interface, "ingress"]).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.lines().filter_map(|line| line.split(" id ").nth(1)?.split(' ').next().map(str::to_owned)).collect()
}

#[test]
fn a_program_stays_when_its_loader_goes_and_is_replaced_by_the_next() {
    if !root_or_skip() {
        return;
    }
    let (host, guest) = (NetNs::new_unpinned().unwrap(), NetNs::new_unpinned().unwrap());
    let spec = VethSpec {
        host_name: "gp-test",
        host_mac: None,
        guest_name: "eth0",
        guest_netns: &guest,
        guest_mac: [2, 0, 0, 0, 0, 1],
        mtu: 1500,
        alias: "test",
    };
    Links::open(&host).unwrap().ensure_veth(&spec).unwrap();
    host.run(|| {
        let mut first = Fastpath::load(None, SMALL).unwrap();
        first.attach_eni("gp-test").unwrap();
        first.attach_eni("gp-test").unwrap();
        let by_first = attached("gp-test");
        drop(first);
        assert_eq!((by_first.len(), attached("gp-test")), (1, by_first.clone()));
        let mut second = Fastpath::load(None, SMALL).unwrap();
        second.attach_eni("gp-test").unwrap();
        let by_second = attached("gp-test");
        assert_eq!(by_second.len(), 1);
        assert_ne!(by_first, by_second);
        second.detach_eni("gp-test").unwrap();
        second.detach_eni("gp-test").unwrap();
        assert_eq!(attached("gp-test"), Vec::<String>::new());
        assert!(second.attach_eni("no-such").is_err());
        assert!(second.detach_eni("no-such").is_err());
    })
    .unwrap();
}

#[test]
fn buckets_are_the_kernels_own_memory_and_outlive_the_process() {
    if !root_or_skip() {
        return;
    }
    let bpffs = Bpffs::new();
    let first = Fastpath::load(Some(&bpffs.pins()), SMALL).unwrap();
    let buckets = first.buckets();
    assert_eq!((buckets.allowances(), buckets.get(24)), (5, None));
    let bucket = Bucket { tokens: 100, peak_rate: 1_000, burst: 200, baseline_rate: 1_000, ..Zeroable::zeroed() };
    buckets.set(23, &bucket);
    assert!(buckets.take(23, 150, 0) && !buckets.take(23, 1, 0), "the last packet leaves a debt");
    assert!(buckets.take(24, 1, 0), "what has no bucket has no limit");
    buckets.refill(23, 100_000_000);
    let key = AllowanceKey { instance: [7; 16], card: 1, reserved: 0 };
    first.allowances().insert(&key, &AllowanceValue { slot: 5, is_resting: 0 }).unwrap();
    drop(first);
    let second = Fastpath::load(Some(&bpffs.pins()), SMALL).unwrap();
    let expected = Bucket { tokens: 50, refilled_ns: 100_000_000, ..bucket };
    assert_eq!(second.buckets().get(23), Some(expected));
    let mut slots = Vec::new();
    second.allowances().scan(|key, value| slots.push((key.card, value.slot))).unwrap();
    assert_eq!(slots, [(1, 5)]);
    assert!(second.allowances().remove(&key).unwrap());
}

#[test]
fn takers_in_many_threads_take_no_more_than_there_is_and_a_packet_each() {
    if !root_or_skip() {
        return;
    }
    let fastpath = Fastpath::load(None, SMALL).unwrap();
    let buckets = fastpath.buckets();
    buckets.set(4, &Bucket { tokens: 1_000_000, ..Zeroable::zeroed() });
    let taken: u64 = std::thread::scope(|scope| {
        let taker = || (0..100_000).filter(|_| buckets.take(4, 10, 0)).count() as u64 * 10;
        let takers: Vec<_> = (0..4).map(|_| scope.spawn(taker)).collect();
        takers.into_iter().map(|taker| taker.join().unwrap()).sum()
    });
    assert!((1_000_000..=1_000_000 + 4 * 10).contains(&taken), "{taken}");
    assert_eq!(buckets.get(4).unwrap().tokens, 1_000_000u64.wrapping_sub(taken), "and each byte is accounted for");
}
