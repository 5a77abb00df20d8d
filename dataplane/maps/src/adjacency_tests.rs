//! What flows and pairs share, in the real kernel: found again, kept while it is named, used again when it is not.

use crate::tests::{Bpffs, SMALL, key, root_or_skip};
use crate::{ADJACENCIES, Capacity, Fastpath, MapError};
use bytemuck::Zeroable;
use gp_abi::{ACTION_DELIVER, FlowValue, PairKey, PairValue};
use gp_compile::{FlowEntry, HostSide, Output};
use gp_model::{EniId, Mac, Timestamp};
use gp_trace::{NoConnections, Verdict, trace};
use gp_worlds::Scenario;

fn to(out_ifindex: u32) -> FlowValue {
    FlowValue {
        packets: 3,
        action: ACTION_DELIVER,
        out_ifindex,
        mtu: 1514,
        dst_mac: [2, 0, 0, 0, 0, 7],
        src_mac: [2, 0, 0, 0, 0, 8],
        new_src: [10, 0, 0, 1],
        buckets: [4, 5],
        ..Zeroable::zeroed()
    }
}

fn pair_to(forward: u32, answer: u32) -> PairValue {
    PairValue { forward: to(forward), answer: to(answer), number: 1, ..Zeroable::zeroed() }
}

fn sweep(fastpath: &Fastpath) -> usize {
    fastpath.flows().sweep(|_, _| ()).unwrap();
    fastpath.flows().adjacencies()
}

/// Is there no room for something else?
fn is_full<T>(written: Result<T, MapError>) -> bool {
    matches!(written, Err(MapError::Full { map: ADJACENCIES }))
}

#[test]
fn adjacencies_are_kept_while_a_flow_or_a_pair_names_them_and_then_used_again() {
    if !root_or_skip() {
        return;
    }
    let fastpath = Fastpath::load(None, Capacity { adjacencies: 3, ..SMALL }).unwrap();
    let (flows, pairs) = (fastpath.flows(), fastpath.pairs());
    let pair = PairKey::zeroed();
    for n in 0..10 {
        flows.insert_untraced(&key(4, n), &to(7)).unwrap();
        flows.insert_untraced(&key(6, n), &to(8)).unwrap();
    }
    pairs.insert_untraced(&pair, &pair_to(8, 9)).unwrap();
    assert_eq!(flows.adjacencies(), 3);
    assert!(is_full(flows.insert_untraced(&key(4, 10), &to(10))));
    assert!(is_full(pairs.insert_untraced(&PairKey { port: 1, ..pair }, &pair_to(8, 10))));
    assert_eq!([(); 4].map(|()| sweep(&fastpath)), [3; 4]);
    (0..10).for_each(|n| assert!(flows.remove(&key(6, n)).unwrap() == Some(to(8))));
    assert_eq!([(); 4].map(|()| sweep(&fastpath)), [3; 4], "the pair names it still");
    assert!(pairs.remove(&pair).unwrap());
    assert_eq!([(); 4].map(|()| sweep(&fastpath)), [3, 1, 1, 1]);
    flows.insert_untraced(&key(4, 10), &to(10)).unwrap();
    flows.insert_untraced(&key(6, 10), &to(11)).unwrap();
    assert!(is_full(flows.insert_untraced(&key(4, 11), &to(12))));
    (0..10).for_each(|n| assert_eq!(flows.get(&key(4, n)).unwrap(), Some(to(7))));
    assert_eq!(flows.get(&key(4, 10)).unwrap(), Some(to(10)));
    assert_eq!(flows.get(&key(6, 10)).unwrap(), Some(to(11)));
}

#[test]
fn a_second_process_finds_what_the_first_one_shared() {
    if !root_or_skip() {
        return;
    }
    let bpffs = Bpffs::new();
    let first = Fastpath::load(Some(&bpffs.pins()), SMALL).unwrap();
    for n in 1..=5 {
        first.flows().insert_untraced(&key(6, n), &to(n)).unwrap();
    }
    first.flows().remove(&key(6, 2)).unwrap();
    assert_eq!([(); 3].map(|()| sweep(&first)), [5, 5, 4]);
    drop(first);
    let second = Fastpath::load(Some(&bpffs.pins()), SMALL).unwrap();
    let flows = second.flows();
    assert_eq!(flows.adjacencies(), 4);
    for n in [9, 3] {
        flows.insert_untraced(&key(4, n), &to(n)).unwrap();
    }
    assert_eq!(flows.adjacencies(), 5, "one is new");
    for n in [1, 3, 4, 5] {
        assert_eq!(flows.get(&key(6, n)).unwrap(), Some(to(n)));
    }
    assert_eq!([(); 4].map(|()| sweep(&second)), [5; 4]);
}

#[test]
fn flows_and_pairs_go_with_the_rows_that_they_name() {
    if !root_or_skip() {
        return;
    }
    let bpffs = Bpffs::new();
    let first = Fastpath::load(Some(&bpffs.pins()), SMALL).unwrap();
    for family in [4, 6] {
        first.flows().insert_untraced(&key(family, 1), &to(7)).unwrap();
    }
    first.pairs().insert_untraced(&PairKey::zeroed(), &pair_to(7, 8)).unwrap();
    first.settings().set_upcall_ifindex(42).unwrap();
    let second = Fastpath::load(Some(&bpffs.pins()), Capacity { adjacencies: 20, ..SMALL }).unwrap();
    assert_eq!((second.flows().len().unwrap(), second.flows().adjacencies()), (0, 0));
    second.pairs().scan(|_| panic!("a pair names rows of another array")).unwrap();
    assert_eq!(second.settings().get().unwrap().unwrap().upcall_ifindex, 42, "all else stays");
}

/// An entry from a trace, of a host whose interfaces have this MTU.
fn entry(text: &str, mtu: u16) -> FlowEntry {
    let world = "vpc a 10.0.0.0/16,2001:db8:a::/56; subnet s a 10.0.1.0/24,2001:db8:a:1::/64; sg any a in all from 0.0.0.0/0 in all from ::/0\n\
                 eni c s 10.0.1.10,2001:db8:a:1::10 sg any; eni d s 10.0.1.20,2001:db8:a:1::20 sg any";
    let scenario: Scenario = world.parse().expect("a world of our own");
    let sent = scenario.packet(text).expect("a packet of our own");
    let path = trace(&scenario.world, &NoConnections, sent.ingress, &sent.packet, Timestamp(0)).expect("decidable");
    assert!(matches!(path.verdict(), Verdict::Deliver { .. }), "{:?}", path.verdict());
    let side = HostSide { ifindex: 2, vlan: 0, output: Output::Peer, mac: Mac([2, 0, 0, 0, 0, 1]), mtu, allowance: 1 };
    FlowEntry::from_path(&path, &|_: EniId| Some(side)).expect("a path that can be replayed")
}

#[test]
fn another_decision_keeps_what_was_counted() {
    if !root_or_skip() {
        return;
    }
    let fastpath = Fastpath::load(None, SMALL).unwrap();
    let flows = fastpath.flows();
    for packet in ["c > d tcp 4000:80 syn", "c/6 > d/6 tcp 4000:80 syn"] {
        let [before, after] = [1500, 9001].map(|mtu| entry(packet, mtu));
        assert!(!flows.replace(&after).unwrap(), "nothing is there yet");
        let counted = FlowValue { packets: 9, bytes: 900, last_seen_ns: 7, tcp_flags: 2, ..Zeroable::zeroed() };
        flows.insert(&before.with_counters_of(&counted)).unwrap();
        assert!(flows.replace(&after).unwrap());
        let now = flows.get(after.key()).unwrap().unwrap();
        assert_eq!(now, *after.with_counters_of(&counted).value());
        assert_ne!(now.mtu, before.value().mtu);
    }
    assert_eq!(flows.adjacencies(), 2, "both families share them");
}
