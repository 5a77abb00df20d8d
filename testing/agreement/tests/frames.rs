//! Random frames and random entries, good and bad: the executor and the kernel program do the same to both.

use bytemuck::Zeroable;
use gp_abi::{
    ACTION_DELIVER, ACTION_DROP, Bucket, FlowKey, FlowValue, OUTPUT_EGRESS, OUTPUT_PEER, PairValue,
    TRANSLATE_ADDRESSES, TRANSLATE_PORTS,
};
use gp_agreement::{BUCKETS, FrameKind, Kernel, Pair, TC_ACT_REDIRECT, cases, damage, random_frame, with_interfaces};
use gp_compile::{Arrival, Cause, Gso, Outcome, answer_key, key_of, pair_key_of};
use gp_maps::UpcallBudget;
use gp_model::Mac;
use gp_trace::DropReason;
use gp_wire::build::{self, Ends};
use gp_wire::{Packet, parse};
use gp_worlds::Rng;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const SENDER: u32 = 7;
const STRANGER: u32 = 8;
const RECEIVER: u32 = 9;
/// Never refilled, never used up: nothing depends on the time.
const UNLIMITED: UpcallBudget = UpcallBudget { per_second: 0, burst: u32::MAX };
/// The clock's tick, and what may pass between the two runs of one frame on a busy machine.
const TOLERANCE_NS: u64 = 2_000_000_000;

/// None, one of the first rows, or one that there is no bucket at.
fn random_index(rng: &mut Rng) -> u32 {
    *rng.pick(&[0, 0, 4, 5, 6, 7, 8, 9, BUCKETS + 1])
}

/// Never filled again: nothing depends on the time.
fn random_buckets(pair: &mut Pair, rng: &mut Rng) {
    for index in 4..10 {
        let tokens = *rng.pick(&[0, 1, 100, 1_000_000, 1_000_000, u64::MAX]);
        pair.set_bucket(index, &Bucket { tokens, credit: 1, baseline_rate: 1, ..Zeroable::zeroed() });
    }
}

fn random_value(rng: &mut Rng) -> FlowValue {
    let mut macs = [0; 12];
    macs.copy_from_slice(&rng.bytes(12));
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5] = macs;
    let value = FlowValue {
        packets: rng.next_u64() >> 8,
        bytes: rng.next_u64() >> 8,
        tcp_flags: *rng.pick(&[0, 0x02, 0x12, 0x11, 0x14, 0xff]),
        mtu: *rng.pick(&[0, 60, 576, 1514, 9015]),
        dst_mac: [d0, d1, d2, d3, d4, d5],
        src_mac: [s0, s1, s2, s3, s4, s5],
        out_vlan: *rng.pick(&[0, 0, 0, 5, 4095]),
        output: *rng.pick(&[OUTPUT_PEER, OUTPUT_EGRESS]),
        translate: *rng.pick(&[0, TRANSLATE_ADDRESSES, TRANSLATE_PORTS, TRANSLATE_ADDRESSES | TRANSLATE_PORTS])
            | *rng.pick(&[0, gp_abi::TRANSLATE_MSS]),
        new_src_port: rng.next_u64() as u16,
        new_dst_port: rng.next_u64() as u16,
        new_src: (rng.next_u64() as u32).to_be_bytes(),
        new_dst: *rng.pick(&[[0, 0, 0, 0], [255, 255, 255, 255], [10, 0, 0, 1]]),
        buckets: [random_index(rng), random_index(rng)],
        ..Zeroable::zeroed()
    };
    if rng.chance(25) {
        FlowValue { action: ACTION_DROP, drop_reason: rng.between(1, 22) as u16, ..value }
    } else {
        FlowValue { action: ACTION_DELIVER, out_ifindex: *rng.pick(&[SENDER, RECEIVER, RECEIVER, 1000]), ..value }
    }
}

/// One that a frame with this key belongs to, but perhaps for its port; cells may be empty, or none.
fn random_pair(pair: &mut Pair, rng: &mut Rng, key: &FlowKey) -> PairValue {
    for index in 1..4 {
        pair.set_grants(index, *rng.pick(&[0, 1, 2, 1000]));
    }
    let (below, above) = (rng.between(0, 500) as u16, rng.between(0, 500) as u16);
    let (from, to) = (key.src_port.saturating_sub(below), key.src_port.saturating_add(above));
    let (from, to) = *rng.pick(&[(0, u16::MAX), (from, to), (from, to), (1, 0)]);
    PairValue {
        forward: random_value(rng),
        answer: random_value(rng),
        number: rng.next_u64(),
        answer_port: RECEIVER,
        grants: [*rng.pick(&[1, 2, 3, 3, 3, 100]), *rng.pick(&[1, 2, 3, 3, 3, 100])],
        src_port_from: from,
        src_port_to: to,
        answer_mac: [2, 0, 0, 0, 0, 9],
    }
}

/// One frame of a pair, mostly without an entry of its own. Says whether a connection has begun.
fn try_pair(pair: &mut Pair, rng: &mut Rng, frame: &[u8], key: &FlowKey) -> bool {
    let value = random_pair(pair, rng, key);
    let answer = answer_key(key, &value);
    for (key, chance) in [(key, 10), (&answer, 20)] {
        if rng.chance(chance) {
            pair.set_flow(key, &random_value(rng));
        }
    }
    pair.set_pair(&pair_key_of(key), &value);
    let before = pair.rust.pairs.opened.len();
    let gso = random_gso(rng);
    pair.run(frame, SENDER, gso);
    let has_begun = pair.rust.pairs.opened.len() > before;
    // The same again, which is another packet of a flow that has begun.
    pair.run(frame, SENDER, gso);
    pair.remove_pair(&pair_key_of(key));
    [key, &answer].into_iter().for_each(|key| pair.remove_flow(key));
    has_begun
}

fn random_gso(rng: &mut Rng) -> Option<Gso> {
    rng.chance(20).then(|| Gso { size: rng.between(1, 1500) as u32, segments: *rng.pick(&[0, 2, 3, 45]) })
}

/// What the packet of this frame is looked up by. Extension headers are the one thing that a parsed packet doesn't tell.
fn expected_key(frame: &[u8]) -> Option<FlowKey> {
    let packet = parse(frame).ok()?;
    let Packet::Ip(ip) = &packet else { return None };
    let next_header = if ip.tuple.src.is_ipv6() { frame[20] } else { ip.tuple.protocol };
    key_of(&packet, SENDER).filter(|_| next_header == ip.tuple.protocol)
}

fn name(outcome: Outcome) -> String {
    match outcome {
        Outcome::Deliver { .. } => "deliver".to_owned(),
        Outcome::Drop { code } => match DropReason::from_code(code) {
            Some(reason @ (DropReason::BandwidthInAllowance | DropReason::BandwidthOutAllowance)) => {
                reason.name().to_owned()
            }
            _ => "drop".to_owned(),
        },
        Outcome::Upcall(cause) => format!("{cause:?}"),
    }
}

/// One frame with, mostly, an entry of its own; then once more, so that what the first left is met.
fn try_frame(pair: &mut Pair, rng: &mut Rng, frame: &[u8]) -> Outcome {
    let key = expected_key(frame);
    if let Some(key) = key
        && rng.chance(85)
    {
        pair.set_flow(&key, &random_value(rng));
    }
    let gso = random_gso(rng);
    let (outcome, _) = pair.run(frame, SENDER, gso);
    let is_known = key.is_some_and(|key| pair.rust.flows.contains_key(&key));
    match (key, outcome) {
        (None, outcome) => assert_eq!(outcome, Outcome::Upcall(Cause::Slow), "no key, no replay"),
        (Some(_), Outcome::Upcall(Cause::Miss)) => assert!(!is_known, "an entry is found"),
        (Some(_), Outcome::Upcall(Cause::Slow)) => panic!("{key:?} is looked up"),
        (Some(_), _) => assert!(is_known, "only an entry decides"),
    }
    pair.run(frame, SENDER, gso);
    if let Some(key) = key {
        pair.remove_flow(&key);
    }
    outcome
}

fn try_seed(pair: &mut Pair, seed: u64, is_damaged: bool, seen: &mut BTreeMap<String, usize>) {
    let mut rng = Rng::new(seed);
    random_buckets(pair, &mut rng);
    let (kind, mut frame) = random_frame(&mut rng);
    if is_damaged {
        damage(&mut rng, &mut frame);
    }
    if let Some(key) = expected_key(&frame)
        && rng.chance(40)
    {
        let has_begun = try_pair(pair, &mut rng, &frame, &key);
        *seen.entry(if has_begun { "begun" } else { "not begun" }.to_owned()).or_default() += 1;
    }
    let outcome = try_frame(pair, &mut rng, &frame);
    if !is_damaged {
        let is_slow = outcome == Outcome::Upcall(Cause::Slow);
        let may_be_slow = !matches!(kind, FrameKind::Tcp | FrameKind::Udp | FrameKind::OtherProtocol);
        assert!(!is_slow || may_be_slow, "a whole {kind:?} is parsed");
    }
    *seen.entry(name(outcome)).or_default() += 1;
}

/// Runs seeds, and says which one failed.
fn try_seeds(range: std::ops::Range<u64>, is_damaged: bool) -> BTreeMap<String, usize> {
    let mut pair = Pair::new();
    pair.set_budget(SENDER, UNLIMITED);
    pair.set_budget(RECEIVER, UNLIMITED);
    let mut seen = BTreeMap::new();
    for seed in range {
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            try_seed(&mut pair, seed, is_damaged, &mut seen);
            if seed % 64 == 0 {
                pair.compare_ledgers(TOLERANCE_NS);
            }
        }));
        if let Err(panic) = tried {
            println!("failed at seed {seed}, damaged: {is_damaged}");
            std::panic::resume_unwind(panic);
        }
    }
    pair.compare_ledgers(TOLERANCE_NS);
    println!("{seen:?}");
    seen
}

#[test]
fn whole_frames_are_treated_alike() {
    with_interfaces(|| {
        let seen = try_seeds(0..cases(10_000), false);
        let policed = ["bandwidth-in-allowance", "bandwidth-out-allowance"];
        for outcome in
            ["deliver", "drop", "Miss", "Slow", "Reopen", "TooLarge", "begun", "not begun"].into_iter().chain(policed)
        {
            assert!(seen.contains_key(outcome), "{outcome} never came up");
        }
    });
}

#[test]
fn damaged_frames_are_treated_alike_and_never_replayed() {
    with_interfaces(|| {
        try_seeds(1_000_000..1_000_000 + cases(20_000), true);
    });
}

#[test]
fn random_bytes_are_treated_alike() {
    with_interfaces(|| {
        let mut pair = Pair::new();
        pair.set_budget(SENDER, UNLIMITED);
        for seed in 0..cases(5_000) {
            let mut rng = Rng::new(seed);
            let length = rng.between(15, 200);
            let mut frame = rng.bytes(length);
            frame.splice(12..14, *rng.pick(&[[8, 0], [0x86, 0xdd], [8, 6]]));
            pair.run(&frame, SENDER, random_gso(&mut rng));
        }
        pair.compare_ledgers(TOLERANCE_NS);
    });
}

#[test]
fn a_frame_from_an_unknown_eni_is_dropped_by_both() {
    with_interfaces(|| {
        let mut pair = Pair::new();
        let code = DropReason::UnknownEni.code();
        for seed in 0..100 {
            let (_, frame) = random_frame(&mut Rng::new(seed));
            assert_eq!(pair.run(&frame, STRANGER, None).0, Outcome::Drop { code });
        }
        pair.compare_ledgers(TOLERANCE_NS);
    });
}

#[test]
fn both_grant_the_same_upcalls() {
    with_interfaces(|| {
        let mut pair = Pair::new();
        for (index, burst) in [0, 1, 2, 10, 44, 45, 100].into_iter().enumerate() {
            pair.set_budget(10 + index as u32, UpcallBudget { per_second: 0, burst });
        }
        for seed in 0..2_000 {
            let mut rng = Rng::new(seed);
            let (_, frame) = random_frame(&mut rng);
            pair.run(&frame, rng.between(10, 17) as u32, random_gso(&mut rng));
        }
        pair.compare_ledgers(TOLERANCE_NS);
    });
}

/// The rate is the one thing that the two sides can't be compared in, since each has its own now.
#[test]
fn the_kernel_grants_upcalls_at_the_rate() {
    with_interfaces(|| {
        let kernel = Kernel::load();
        kernel.set_budget(SENDER, UpcallBudget { per_second: 5_000, burst: 100 });
        let arrival = Arrival { port: SENDER, now_ns: 0, gso: None };
        let frame = [0; 60];
        // The bucket starts with no past: its first refill counts from the boot and fills it.
        kernel.run(&frame, &arrival);
        let start = Instant::now();
        let mut granted = 0;
        while start.elapsed() < Duration::from_millis(400) {
            let run = kernel.run(&frame, &arrival).expect("60 bytes are enough");
            granted += u64::from(run.verdict == TC_ACT_REDIRECT);
        }
        let earned = start.elapsed().as_millis() as u64 * 5;
        // Ticks of the coarse clock are up to 10 ms; a busy machine may let the bucket run over.
        assert!(granted <= 100 + earned + 50, "{granted} granted, {earned} earned");
        assert!(granted >= earned / 2, "{granted} granted, {earned} earned");
    });
}

/// A flow that takes from the buckets at 4 and 5, and a frame of it.
fn policed_flow() -> (FlowKey, FlowValue, Vec<u8>) {
    let ends = Ends {
        src_mac: Mac([2, 0, 0, 0, 0, 1]),
        dst_mac: Mac([2, 0, 0, 0, 0, 1]),
        src: "10.0.0.1".parse().unwrap(),
        dst: "10.0.0.2".parse().unwrap(),
    };
    let packet = Packet::Ip(build::udp(ends, 4000, 5000, 1_000));
    let value =
        FlowValue { action: ACTION_DELIVER, out_ifindex: RECEIVER, mtu: 1514, buckets: [4, 5], ..Zeroable::zeroed() };
    (key_of(&packet, SENDER).unwrap(), value, build::emit(&packet))
}

/// The time that has passed can't be the same for both, but after a long one it does not matter.
#[test]
fn a_long_rest_fills_the_buckets_of_both_alike() {
    with_interfaces(|| {
        let mut pair = Pair::new();
        let (key, value, frame) = policed_flow();
        pair.set_flow(&key, &value);
        for debt in [0, 1, 70_000] {
            let rested = Bucket {
                tokens: 0u64.wrapping_sub(debt),
                credit: 90_000,
                peak_rate: 1_000_000_000_000,
                burst: 50_000,
                baseline_rate: 1_000_000_000,
                credit_max: 80_000,
                ..Zeroable::zeroed()
            };
            [4, 5].iter().for_each(|index| pair.set_bucket(*index, &rested));
            assert_eq!(pair.run(&frame, SENDER, None).0, Outcome::Deliver { port: RECEIVER });
            for index in [4, 5] {
                let (kernel, rust) = (pair.kernel.bucket(index), pair.rust.buckets[&index]);
                let ip_bytes = frame.len() as u64 - 14;
                assert_eq!((kernel.tokens, kernel.credit), (50_000 - ip_bytes, 80_000), "debt {debt}");
                assert_eq!((rust.tokens, rust.credit), (kernel.tokens, kernel.credit), "debt {debt}");
                assert!(kernel.refilled_ns.abs_diff(rust.refilled_ns) < TOLERANCE_NS);
            }
        }
    });
}

#[test]
fn the_kernel_lets_no_more_pass_than_rate_and_credit_give() {
    with_interfaces(|| {
        let kernel = Kernel::load();
        let (key, value, frame) = policed_flow();
        kernel.set_flow(&key, &FlowValue { buckets: [4, 0], ..value });
        let (rate, credit, burst) = (1_000_000, 200_000, 100_000);
        let now_ns = gp_agreement::now_ns();
        let limited = Bucket {
            tokens: burst,
            refilled_ns: now_ns,
            credit,
            peak_rate: 10 * rate,
            burst,
            baseline_rate: rate,
            credit_max: credit,
            ..Zeroable::zeroed()
        };
        kernel.set_bucket(4, &limited);
        let arrival = Arrival { port: SENDER, now_ns, gso: None };
        let (start, mut passed) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_millis(400) {
            let run = kernel.run(&frame, &arrival).expect("long enough");
            passed += if run.verdict == TC_ACT_REDIRECT { frame.len() as u64 - 14 } else { 0 };
        }
        let most = burst + credit + rate * start.elapsed().as_micros() as u64 / 1_000_000;
        // A tick of the coarse clock, and the debt of the last packet.
        assert!(passed <= most + rate / 100 + 1_100, "{passed} bytes passed, at most {most}");
        assert!(passed >= burst, "{passed} bytes passed: what was there at once is less");
    });
}
