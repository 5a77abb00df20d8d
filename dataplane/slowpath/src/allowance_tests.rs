//! What instances' types allow, over the engine and the executor: one state by both doors, whatever comes and goes.

use crate::testing::{Host, Seen};
use crate::{Allowance, Fate};
use gp_abi::{BUCKET_IN, BUCKET_INTERNET_IN, BUCKET_INTERNET_OUT, BUCKET_OUT, BUCKETS_PER_ALLOWANCE, Bucket};
use gp_catalog::Bandwidth;
use gp_model::{InstanceId, InstanceState};
use gp_trace::DropReason;

/// Two ENIs of one instance, as it were, and one of another; the world gives each an instance of its own.
const PAIR: &str = "
    vpc a 10.0.0.0/16; subnet a1 a 10.0.1.0/24
    sg web a in tcp 80 from 10.0.0.0/8; sg client a
    eni c a1 10.0.1.20 sg client; eni d a1 10.0.1.21 sg client; eni w a1 10.0.1.10 sg web
";
const OUT: Fate = Fate::Dropped(DropReason::BandwidthOutAllowance);
const IN: Fate = Fate::Dropped(DropReason::BandwidthInAllowance);
const MEGABIT: u64 = 1_000_000;

fn instance_of(host: &Host, name: &str) -> InstanceId {
    host.scenario.world.eni(host.scenario.eni(name)).unwrap().attachment.as_ref().unwrap().instance
}

/// What an ENI has: a share in the allowance of the instance of another, or of its own.
fn allow(host: &mut Host, name: &str, of: &str, connections_max: u32, bandwidth: Option<Bandwidth>) {
    let allowance = Allowance { instance: instance_of(host, of), card: 0, connections_max, bandwidth };
    host.allowances.insert(host.scenario.eni(name), allowance);
}

fn bursting() -> Option<Bandwidth> {
    Some(Bandwidth { baseline_bits: 8 * MEGABIT, peak_bits: 80 * MEGABIT, internet_bits: 40 * MEGABIT })
}

fn host_with(names: &[(&str, &str)], bandwidth: Option<Bandwidth>) -> Host {
    let mut host = Host::new(PAIR);
    names.iter().for_each(|(name, of)| allow(&mut host, name, of, 1_000, bandwidth));
    host.plug_again();
    host
}

/// The one bucket of a kind that has been allotted to an instance.
fn index(host: &Host, of: &str, kind: u32) -> u32 {
    let bits = instance_of(host, of).bits().to_be_bytes();
    let tables = host.kernel.tables();
    let (_, value) = tables.allowances.iter().find(|(key, _)| key.instance == bits).expect("it is allotted");
    value.slot * BUCKETS_PER_ALLOWANCE + kind
}

fn bucket(host: &Host, of: &str, kind: u32) -> Bucket {
    let index = index(host, of, kind);
    host.kernel.tables().buckets[&index]
}

/// Leaves nothing in a bucket.
fn empty(host: &Host, of: &str, kind: u32) {
    let index = index(host, of, kind);
    let mut tables = host.kernel.tables();
    let bucket = tables.buckets.get_mut(&index).unwrap();
    (bucket.tokens, bucket.credit) = (0, 0);
}

fn delivered(host: &Host, name: &str) -> Fate {
    Fate::Delivered(host.scenario.eni(name))
}

#[test]
fn a_first_packet_and_a_cached_one_take_from_the_same_buckets() {
    let mut host = host_with(&[("c", "c"), ("w", "w")], bursting());
    let full = bucket(&host, "c", BUCKET_OUT);
    assert_eq!((full.peak_rate, full.baseline_rate, full.credit), (10_000_000, 1_000_000, 300 * 9_000_000));
    assert!(matches!(host.send("c > w tcp 4000:80 syn"), Seen::Upcall(..)));
    let first = bucket(&host, "c", BUCKET_OUT).tokens;
    assert!(first < full.tokens);
    assert!(matches!(host.send("c > w tcp 4000:80 ack"), Seen::Hit(_)));
    let taken = full.tokens - bucket(&host, "c", BUCKET_OUT).tokens;
    assert_eq!(taken, 2 * (full.tokens - first), "IP packets of the same size");
    assert_eq!(full.tokens - bucket(&host, "w", BUCKET_IN).tokens, taken);
    assert_eq!(bucket(&host, "w", BUCKET_OUT).tokens, full.tokens, "it has sent nothing");
}

#[test]
fn by_neither_door_passes_what_the_sender_or_the_receiver_has_nothing_left_for() {
    let mut host = host_with(&[("c", "c"), ("w", "w")], bursting());
    host.send("c > w tcp 4000:80 syn");
    empty(&host, "w", BUCKET_IN);
    assert_eq!(host.send("c > w tcp 4000:80 ack"), Seen::Hit(IN));
    assert_eq!(host.send("d > w tcp 4001:80 syn").fate(), IN, "a first packet, of one that nothing limits");
    empty(&host, "c", BUCKET_OUT);
    assert_eq!(host.send("c > w tcp 4000:80 ack"), Seen::Hit(OUT));
    assert_eq!(host.send("c > w tcp 4002:80 syn").fate(), OUT);
    let counted = |name: &str| {
        let kernel = host.engine.eni_counters(host.scenario.eni(name)).unwrap().kernel;
        (kernel.bandwidth_in_drops, kernel.bandwidth_out_drops)
    };
    assert_eq!((counted("w"), counted("c"), counted("d")), ((2, 0), (0, 2), (0, 0)));
    host.wait(1);
    assert_eq!(host.send("c > w tcp 4000:80 ack"), Seen::Hit(delivered(&host, "w")), "the baseline is always there");
}

#[test]
fn enis_of_one_instance_share_and_those_of_others_do_not() {
    let mut host = host_with(&[("c", "c"), ("d", "c"), ("w", "w")], bursting());
    empty(&host, "c", BUCKET_OUT);
    assert_eq!(host.send("d > w tcp 4000:80 syn").fate(), OUT);
    assert_eq!(host.kernel.tables().allowances.len(), 2);
}

#[test]
fn an_eni_that_moves_takes_from_its_next_instance_at_once() {
    let mut host = host_with(&[("c", "c"), ("w", "w")], bursting());
    host.send("c > w tcp 4000:80 syn");
    empty(&host, "c", BUCKET_OUT);
    allow(&mut host, "c", "d", 1_000, bursting());
    host.plug_again();
    assert_eq!(host.send("c > w tcp 4000:80 syn").fate(), delivered(&host, "w"));
    assert_eq!(host.send("c > w tcp 4000:80 ack"), Seen::Hit(delivered(&host, "w")));
}

#[test]
fn a_restart_finds_the_buckets_as_they_are_and_no_flow_escapes_them() {
    let mut host = host_with(&[("c", "c"), ("w", "w")], bursting());
    host.send("c > w tcp 4000:80 syn");
    empty(&host, "c", BUCKET_OUT);
    let before = bucket(&host, "c", BUCKET_OUT);
    host.restart();
    assert_eq!(bucket(&host, "c", BUCKET_OUT), before);
    assert_eq!(host.send("c > w tcp 4000:80 ack"), Seen::Hit(OUT));
}

#[test]
fn without_limits_a_restart_lets_everything_pass() {
    let mut host = host_with(&[("c", "c"), ("w", "w")], bursting());
    host.send("c > w tcp 4000:80 syn");
    empty(&host, "c", BUCKET_OUT);
    ["c", "w"].iter().for_each(|name| allow(&mut host, name, name, 1_000, None));
    host.restart();
    assert_eq!(host.send("c > w tcp 4000:80 ack"), Seen::Hit(delivered(&host, "w")));
}

#[test]
fn a_stopped_instance_keeps_its_credit_and_earns_nothing() {
    let mut host = host_with(&[("c", "c"), ("w", "w")], bursting());
    let eni = host.scenario.eni("c");
    for a_process_between in [false, true] {
        empty(&host, "c", BUCKET_OUT);
        host.wait(3);
        assert!(host.engine.remove_port(eni, host.now));
        let stopped = bucket(&host, "c", BUCKET_OUT);
        assert!(stopped.credit > 0, "it has earned what it did not use");
        host.wait(10_000);
        if a_process_between {
            host.restart();
        } else {
            host.plug_again();
        }
        let started = bucket(&host, "c", BUCKET_OUT);
        assert_eq!(started, Bucket { refilled_ns: host.now.monotonic_ns, ..stopped });
    }
}

#[test]
fn another_type_has_its_own_limits_and_no_more_credit_than_it_may_have() {
    let mut host = host_with(&[("c", "c")], bursting());
    let small = Some(Bandwidth { baseline_bits: 8 * MEGABIT, peak_bits: 16 * MEGABIT, internet_bits: 16 * MEGABIT });
    allow(&mut host, "c", "c", 1_000, small);
    host.engine.remove_port(host.scenario.eni("c"), host.now);
    host.plug_again();
    let Bucket { peak_rate, credit, credit_max, tokens, burst, .. } = bucket(&host, "c", BUCKET_OUT);
    assert_eq!((peak_rate, credit, tokens), (2_000_000, credit_max, burst));
}

#[test]
fn what_an_instance_had_is_given_back_once_it_is_no_more() {
    let mut host = host_with(&[("c", "c"), ("d", "d"), ("w", "w")], bursting());
    assert_eq!(host.kernel.tables().allowances.len(), 3, "as many as there is room for");
    empty(&host, "c", BUCKET_OUT);
    host.engine.remove_port(host.scenario.eni("c"), host.now);
    host.engine.expire(host.now).unwrap();
    assert_eq!(host.kernel.tables().allowances.len(), 3, "a stopped instance is kept");
    let instance = (**host.scenario.world.instance(instance_of(&host, "c")).unwrap()).clone();
    host.put(gp_model::Instance { state: InstanceState::Terminated, ..instance });
    host.engine.expire(host.now).unwrap();
    assert_eq!(host.kernel.tables().allowances.len(), 2);
    host.plug_again();
    let Bucket { tokens, burst, .. } = bucket(&host, "c", BUCKET_OUT);
    assert_eq!(tokens, burst, "the slot is free for the next one, which starts with all of it");
}

#[test]
fn the_enis_of_an_instance_track_no_more_connections_than_its_type() {
    let mut host = Host::new(PAIR);
    ["c", "d"].iter().for_each(|name| allow(&mut host, name, "c", 3, None));
    host.plug_again();
    let free = |host: &Host, name: &str| host.engine.eni_counters(host.scenario.eni(name)).unwrap().connections_free;
    for sent in ["c > w tcp 1:80 syn", "d > w tcp 2:80 syn", "c > w tcp 3:80 syn"] {
        assert_eq!(host.send(sent).fate(), delivered(&host, "w"));
    }
    assert_eq!((free(&host, "c"), free(&host, "d")), (0, 0));
    assert_eq!(host.send("d > w tcp 4:80 syn").fate(), Fate::Dropped(DropReason::ConnectionBudget));
    assert_eq!(host.send("c > w tcp 1:80 ack").fate(), delivered(&host, "w"), "what is tracked goes on");
    assert_eq!(host.engine.eni_counters(host.scenario.eni("d")).unwrap().connections_refused, 1);
    host.engine.remove_port(host.scenario.eni("c"), host.now);
    assert_eq!(free(&host, "d"), 2);
}

#[test]
fn untracked_flows_are_not_counted() {
    let mut host = Host::new(PAIR);
    host.change("sg client a in all from 0.0.0.0/0 out all to 0.0.0.0/0");
    allow(&mut host, "c", "c", 1, None);
    host.plug_again();
    for port in 1..5 {
        assert_eq!(host.send(&format!("c > w tcp {port}:80 syn")).fate(), delivered(&host, "w"));
    }
    assert_eq!(host.engine.eni_counters(host.scenario.eni("c")).unwrap().connections_free, 1);
}

/// A public instance, and one behind a NAT gateway.
const EDGE: &str = "
    vpc a 10.0.0.0/16; subnet pub a 10.0.0.0/24; subnet priv a 10.0.1.0/24
    igw i a; sg open a in all from 0.0.0.0/0
    eni w pub 10.0.0.10 sg open public 198.51.100.10
    nat g pub 10.0.0.9 eip 198.51.100.9; eni c priv 10.0.1.5 sg open
    rtb r1 a for pub route 0.0.0.0/0 via i; rtb r2 a for priv route 0.0.0.0/0 via nat g
";

#[test]
fn an_internet_gateway_has_a_limit_of_its_own_and_a_nat_gateway_is_inside() {
    let mut host = Host::new(EDGE);
    ["w", "c"].iter().for_each(|name| allow(&mut host, name, name, 1_000, bursting()));
    host.plug_again();
    let to_w = delivered(&host, "w");
    assert_eq!(host.send("uplink[203.0.113.7] > 198.51.100.10 tcp 5000:80 syn").fate(), to_w);
    assert_eq!(host.send("w > 203.0.113.7 tcp 80:5000 syn+ack"), Seen::Hit(Fate::LeftRegion));
    assert_eq!(host.send("c > 203.0.113.7 tcp 4000:80 syn").fate(), Fate::LeftRegion);
    for (of, kind, is_used) in [
        ("w", BUCKET_IN, true),
        ("w", BUCKET_INTERNET_IN, true),
        ("w", BUCKET_OUT, true),
        ("w", BUCKET_INTERNET_OUT, true),
        ("c", BUCKET_OUT, true),
        ("c", BUCKET_INTERNET_OUT, false),
    ] {
        let Bucket { tokens, burst, .. } = bucket(&host, of, kind);
        assert_eq!(tokens < burst, is_used, "{of} {kind}");
    }
    empty(&host, "w", BUCKET_INTERNET_IN);
    empty(&host, "w", BUCKET_INTERNET_OUT);
    empty(&host, "c", BUCKET_INTERNET_OUT);
    assert_eq!(host.send("uplink[203.0.113.7] > 198.51.100.10 tcp 5000:80 ack"), Seen::Hit(IN));
    assert_eq!(host.send("w > 203.0.113.7 tcp 80:5000 ack"), Seen::Hit(OUT));
    assert_eq!(host.send("c > 203.0.113.7 tcp 4000:80 ack"), Seen::Hit(Fate::LeftRegion));
    let counted = |name: &str| {
        let kernel = host.engine.eni_counters(host.scenario.eni(name)).unwrap().kernel;
        (kernel.bandwidth_in_drops, kernel.bandwidth_out_drops)
    };
    assert_eq!(counted("w"), (1, 1));
}
