//! Pairs in the kernel while connections begin on several CPUs: what user space rests on when it takes a pair away.

use bytemuck::Zeroable;
use gp_abi::{ACTION_DELIVER, FlowKey, FlowValue, PairKey, PairValue};
use gp_agreement::{Kernel, cases, now_ns, with_interfaces};
use gp_compile::{Arrival, answer_key, forward_key, key_of, pair_key_of};
use gp_model::Mac;
use gp_wire::Packet;
use gp_wire::build::{self, Ends};
use gp_worlds::Rng;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SENDER: u32 = 7;
const RECEIVER: u32 = 9;
const GRANTS: u64 = 500;
const SENDERS: u64 = 3;
const DST_PORT: u16 = 53;

fn packet(src_port: u16) -> Packet {
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    let ends = Ends { src_mac: mac, dst_mac: mac, src: "10.0.0.1".parse().unwrap(), dst: "10.0.0.2".parse().unwrap() };
    Packet::Ip(build::udp(ends, src_port, DST_PORT, 10))
}

fn pair(number: u64) -> (PairKey, PairValue) {
    let deliver = FlowValue { action: ACTION_DELIVER, out_ifindex: RECEIVER, mtu: 1514, ..Zeroable::zeroed() };
    let value = PairValue {
        forward: deliver,
        answer: FlowValue { out_ifindex: SENDER, ..deliver },
        number,
        answer_port: RECEIVER,
        grants: [1, 2],
        src_port_from: 0,
        src_port_to: u16::MAX,
        ..Zeroable::zeroed()
    };
    (pair_key_of(&key_of(&packet(1), SENDER).unwrap()), value)
}

/// Sends first packets, each from a port that is as good as new, until it is told to stop.
fn send(kernel: &Kernel, seed: u64, stop: &AtomicBool) {
    let mut rng = Rng::new(seed);
    while !stop.load(Ordering::Relaxed) {
        let frame = build::emit(&packet(rng.next_u64() as u16));
        kernel.run(&frame, &Arrival { port: SENDER, now_ns: now_ns(), gso: None });
    }
}

/// One pair comes and goes. Answers how many connections it has begun.
fn round(kernel: &Kernel, number: u64) -> u64 {
    let (key, value) = pair(number);
    for index in value.grants {
        kernel.set_grants(index, GRANTS);
    }
    kernel.set_pair(&key, &value);
    std::thread::sleep(Duration::from_micros(200 * (number % 7)));
    kernel.remove_pair(&key);
    let opened = kernel.take_opened();
    // From here on nothing is begun: what is in the table now must be what was told.
    let told: BTreeSet<FlowKey> = opened
        .iter()
        .flat_map(|opened| {
            assert_eq!(opened.pair, number);
            let forward = forward_key(&key, opened.src_port);
            [forward, answer_key(&forward, &value)]
        })
        .collect();
    let found: BTreeSet<FlowKey> = kernel.ledger().flows.into_keys().collect();
    assert_eq!(found, told, "round {number}");
    assert_eq!(told.len(), 2 * opened.len(), "no connection begins twice");
    for index in value.grants {
        assert_eq!(kernel.set_grants(index, 0), GRANTS - opened.len() as u64, "round {number}, cell {index}");
    }
    told.iter().for_each(|key| kernel.remove_flow(key));
    opened.len() as u64
}

#[test]
fn when_a_pair_is_gone_all_that_it_has_begun_has_been_told() {
    with_interfaces(|| {
        let kernel = Kernel::load();
        let stop = AtomicBool::new(false);
        let begun = std::thread::scope(|scope| {
            for seed in 0..SENDERS {
                let (kernel, stop) = (&kernel, &stop);
                scope.spawn(move || send(kernel, seed, stop));
            }
            let rounds = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                (1..=cases(400)).map(|number| round(&kernel, number)).sum::<u64>()
            }));
            stop.store(true, Ordering::Relaxed);
            rounds.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        println!("{begun} connections");
        assert!(begun > 0);
    });
}
