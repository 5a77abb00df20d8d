//! The generator's own promises: what it writes can be read, it is worth a test, and a seed always means the same.

use gp_trace::{DropReason, Stage, StepAction, Verdict};
use gp_wire::{Packet, build, parse};
use gp_worlds::Rng;
use gp_worlds::random::RandomWorld;
use std::collections::BTreeMap;

#[test]
fn a_seed_always_means_the_same_world_and_packets() {
    let texts = |seed| (RandomWorld::new(seed).text, RandomWorld::new(seed).packets(&mut Rng::new(seed), 50));
    assert_eq!(texts(3), texts(3));
    assert_ne!(texts(3), texts(4));
}

#[test]
fn every_random_packet_survives_its_frame() {
    for seed in 0..200 {
        let world = RandomWorld::new(seed);
        let scenario = world.scenario();
        for text in world.packets(&mut Rng::new(seed), 50) {
            let sent = scenario.packet(&text).unwrap();
            let frame = build::emit(&sent.packet);
            let mut expected = sent.packet.clone();
            if let Packet::Ip(packet) = &mut expected {
                assert_eq!(frame.len(), packet.frame_bytes as usize, "{text}");
            }
            assert_eq!(parse(&frame), Ok(expected), "{text}");
        }
    }
}

/// A generator that only ever drops at the first stage would test nothing.
#[test]
fn every_verdict_and_most_drop_reasons_come_up() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut tracked = 0;
    for seed in 0..300 {
        let world = RandomWorld::new(seed);
        let mut scenario = world.scenario();
        let mut rng = Rng::new(seed);
        for text in world.packets(&mut rng, 40) {
            let path = scenario.send(&text).unwrap();
            let name = match path.verdict() {
                Verdict::Deliver { .. } => "deliver",
                Verdict::Uplink => "uplink",
                Verdict::LocalService(_) => "local-service",
                Verdict::Drop(drop) => drop.reason.name(),
            };
            *seen.entry(name.to_owned()).or_default() += 1;
            let steps = path.hops().iter().flat_map(|hop| &hop.steps);
            tracked += steps.filter(|s| s.action == StepAction::Tracked && s.stage == Stage::SecurityGroupIn).count();
        }
    }
    println!("{seen:#?} tracked {tracked}");
    let share = |name: &str| seen.get(name).copied().unwrap_or_default() as f64 / (300.0 * 40.0);
    assert!(share("deliver") > 0.15, "{seen:?}");
    assert!(tracked > 100);
    for reason in [
        DropReason::Multicast,
        DropReason::FragmentWithoutFirst,
        DropReason::SourceCheck,
        DropReason::SecurityGroupEgress,
        DropReason::SecurityGroupIngress,
        DropReason::NetworkAclEgress,
        DropReason::NetworkAclIngress,
        DropReason::NoRoute,
        DropReason::Blackhole,
        DropReason::NoSuchAddress,
        DropReason::EniNotAttached,
        DropReason::NoPublicAddress,
        DropReason::ReservedAddress,
        DropReason::ServiceUnavailable,
    ] {
        assert!(seen.contains_key(reason.name()), "{} never came up: {seen:?}", reason.name());
    }
}
