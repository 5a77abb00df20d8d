//! What must hold in every world, for every packet and after every change; tried on random ones. A failure prints the
//! world, the packet and the change as text.

use gp_model::{Change, PortRange, Timestamp};
use gp_trace::{
    Component, DropReason, Effect, Ingress, NoConnections, Path, Read, TraceError, Verdict, decisive, trace,
};
use gp_wire::{FiveTuple, Packet, build, parse};
use gp_worlds::random::RandomWorld;
use gp_worlds::{ConnectionTable, Rng, Scenario};
use std::collections::BTreeSet;

const SEEDS: u64 = 400;
const PACKETS: usize = 40;
/// Changes tried for each packet, each on its own.
const CHANGES: usize = 4;

/// Sends random packets through random worlds and shows `check` each one with the scenario as it was before.
fn for_each_packet(mut check: impl FnMut(&RandomWorld, &Scenario, &str, &Path, &mut Rng)) {
    for seed in 0..SEEDS {
        // Half of the worlds have gateways of all kinds.
        let world = if seed % 2 == 0 { RandomWorld::new(seed) } else { RandomWorld::with_ways(seed) };
        let mut scenario = world.scenario();
        let mut rng = Rng::new(seed);
        for text in world.packets(&mut rng, PACKETS) {
            let path = scenario.trace(&text).unwrap();
            check(&world, &scenario, &text, &path, &mut rng);
            scenario.connections.apply(&path);
        }
    }
}

fn retrace(scenario: &Scenario, ingress: impl Into<Ingress>, packet: &Packet) -> Result<Path, TraceError> {
    trace(&scenario.world, &scenario.connections, ingress, packet, Timestamp(0))
}

/// What a cache of paths replays.
#[derive(PartialEq)]
struct Answer<'p> {
    verdict: &'p Verdict,
    effects: &'p [Effect],
    cacheable: bool,
    translated: FiveTuple,
    related: Option<FiveTuple>,
    mtu: Option<u16>,
}

fn answer(path: &Result<Path, TraceError>) -> Option<Answer<'_>> {
    let path = path.as_ref().ok()?;
    Some(Answer {
        verdict: path.verdict(),
        effects: path.effects(),
        cacheable: path.is_cacheable(),
        translated: path.translated(),
        related: path.related(),
        mtu: path.mtu(),
    })
}

#[test]
fn a_change_that_alters_an_answer_touches_one_of_its_reads() {
    let (mut altered, mut touched) = (0, 0);
    for_each_packet(|world, scenario, text, path, rng| {
        let sent = scenario.packet(text).unwrap();
        let before = Ok(path.clone());
        for _ in 0..CHANGES {
            let mut changed = scenario.clone();
            let statement = world.change(rng);
            let changes = changed.apply(&statement).unwrap();
            let invalidated: BTreeSet<Read> =
                changes.iter().flat_map(|c| Read::from_change(c.old.clone(), c.new.clone())).collect();
            let after = retrace(&changed, sent.ingress, &sent.packet);
            let is_touched = path.reads().iter().any(|read| invalidated.contains(read));
            touched += usize::from(is_touched);
            if answer(&before) != answer(&after) {
                altered += 1;
                assert!(
                    is_touched,
                    "{}\n{text}\n{statement}\nbefore {:?}\nafter {after:?}\nreads {:?}\ninvalidated {invalidated:?}",
                    world.text,
                    path.verdict(),
                    path.reads()
                );
            }
        }
    });
    // Neither always nor never: otherwise this would prove nothing.
    let all = SEEDS as usize * PACKETS * CHANGES;
    assert!(altered > all / 50 && touched < all * 2 / 3, "{altered} altered, {touched} touched of {all}");
}

#[test]
fn no_answer_rests_on_what_is_not_decisive() {
    for_each_packet(|world, scenario, text, path, _| {
        let mut blank = scenario.clone();
        for record in scenario.world.tables().records() {
            blank.world.apply(Change::Put(decisive(record)));
        }
        let sent = scenario.packet(text).unwrap();
        let after = retrace(&blank, sent.ingress, &sent.packet);
        assert!(answer(&Ok(path.clone())) == answer(&after), "{}\n{text}\nblank {after:?}", world.text);
        assert_eq!(after.unwrap().reads(), path.reads(), "{}\n{text}", world.text);
    });
}

#[test]
fn a_packet_sent_again_is_part_of_the_connections_it_opened() {
    for_each_packet(|world, scenario, text, path, _| {
        // To its own public address: an ICMP message that is no echo counts as the answer to itself.
        let is_at_home = |hop: &&gp_trace::Hop| path.ingress().eni().map(Component::Eni) == Some(hop.component);
        if path.hops().iter().filter(is_at_home).count() > 1 {
            return;
        }
        let mut later = scenario.clone();
        later.connections.apply(path);
        let again = later.trace(text).unwrap();
        assert_eq!(again.verdict(), path.verdict(), "{}\n{text}", world.text);
        let is_reopened = |effect: &Effect| path.effects().contains(effect);
        assert!(!again.effects().iter().any(is_reopened), "{}\n{text}", world.text);
    });
}

#[test]
fn groups_let_the_answer_to_a_delivered_packet_pass() {
    let mut answers = 0;
    for_each_packet(|world, scenario, text, path, _| {
        let sent = scenario.packet(text).unwrap();
        let (Verdict::Deliver { eni, .. }, Packet::Ip(packet)) = (path.verdict(), &sent.packet) else { return };
        let Ingress::Eni(from) = sent.ingress else { return };
        let sender = scenario.world.eni(from).unwrap();
        // Errors open nothing, fragments have no ports, a foreign source's answer goes elsewhere, and what an ENI answers
        // to itself leaves where the question left.
        if *eni == from || packet.related.is_some() || packet.fragment.is_some() || !sender.holds(packet.tuple.src) {
            return;
        }
        let mut later = scenario.clone();
        later.connections.apply(path);
        let receiver = later.world.eni(*eni).unwrap();
        let mut answer = packet.clone();
        // An appliance's answer is its own, and NAT64 has no answer in the packet's own family.
        if !receiver.holds(path.translated().dst) || path.translated().src.is_ipv4() != packet.tuple.src.is_ipv4() {
            return;
        }
        (answer.src_mac, answer.tuple) = (receiver.mac, path.translated().reversed());
        let back = retrace(&later, *eni, &Packet::Ip(answer)).unwrap();
        answers += 1;
        if let Verdict::Drop(drop) = back.verdict() {
            assert!(drop.missing.is_none(), "{}\n{text}\n{back:?}", world.text);
        }
    });
    assert!(answers > 1000);
}

/// What left the region is answered from outside: no group and no gateway that opened a connection may be in the way, and
/// what is delivered is the answer to what was sent.
#[test]
fn what_left_the_region_is_answered_with_its_own_tuple() {
    let mut answers = 0;
    for_each_packet(|world, scenario, text, path, _| {
        let sent = scenario.packet(text).unwrap();
        let (Verdict::Uplink, Packet::Ip(packet), Ingress::Eni(from)) = (path.verdict(), &sent.packet, sent.ingress)
        else {
            return;
        };
        let sender = scenario.world.eni(from).unwrap();
        let is_echo_answer = packet.tuple.is_icmp() && packet.tuple.src_port == 0;
        let changes_family = path.translated().src.is_ipv4() != packet.tuple.src.is_ipv4();
        if packet.related.is_some() || packet.fragment.is_some() || !sender.holds(packet.tuple.src) || is_echo_answer {
            return;
        }
        let mut later = scenario.clone();
        later.connections.apply(path);
        let mut answer = packet.clone();
        answer.tuple = path.translated().reversed();
        if changes_family {
            return;
        }
        let back = retrace(&later, Ingress::Uplink, &Packet::Ip(answer)).unwrap();
        answers += 1;
        match back.verdict() {
            Verdict::Deliver { eni, .. } if *eni == from => {
                assert_eq!(back.translated(), packet.tuple.reversed(), "{}\n{text}\n{back:#?}", world.text);
            }
            Verdict::Drop(drop) => {
                let is_gateways = matches!(drop.reason, DropReason::NatNoConnection | DropReason::NatIdleTimeout);
                // Behind an appliance the groups are the appliance's.
                let is_own = drop.missing.as_ref().is_some_and(|missing| missing.groups[..] == sender.groups[..]);
                let by_appliance = back.hops().last().map(|hop| hop.component) != Some(Component::Eni(from));
                assert!(!is_gateways && (!is_own || by_appliance), "{}\n{text}\n{back:#?}", world.text);
            }
            _ => {}
        }
    });
    assert!(answers > 100, "{answers} answers");
}

/// Two connections of a NAT gateway never share a translated tuple: the table of connections asserts it, too. That its ports
/// run out needs more luck than chance has, since only packets that get through take one: the tables of scenarios show it.
#[test]
fn every_way_in_and_out_comes_up() {
    let mut seen = BTreeSet::new();
    for_each_packet(|_, _, _, path, _| {
        seen.extend(path.hops().iter().flat_map(|hop| &hop.steps).map(|step| step.stage.name()));
        if let Verdict::Drop(drop) = path.verdict() {
            seen.insert(drop.reason.name());
        }
    });
    for name in [
        "nat-gateway",
        "internet-gateway",
        "egress-only-gateway",
        "uplink",
        "no-such-public-address",
        "no-internet-gateway",
        "private-destination",
        "spoofed-source",
        "egress-only",
        "nat-protocol",
        "nat-no-connection",
        "nat-idle-timeout",
        "routing-loop",
        "too-large",
    ] {
        assert!(seen.contains(name), "{name} never came up: {seen:?}");
    }
}

#[test]
fn nothing_crosses_from_one_vpc_to_another() {
    for_each_packet(|world, scenario, text, path, _| {
        if let Verdict::Deliver { eni, dst_mac, .. } = path.verdict() {
            let Ingress::Eni(from) = path.ingress() else { return };
            let (sender, receiver) = (scenario.world.eni(from).unwrap(), scenario.world.eni(*eni).unwrap());
            // Only from outside, by a gateway.
            let is_outside = |hop: &gp_trace::Hop| {
                matches!(hop.component, Component::InternetGateway(_) | Component::EgressOnlyInternetGateway(_))
            };
            let by_gateway = path.hops().iter().any(is_outside);
            assert!(sender.vpc == receiver.vpc || by_gateway, "{}\n{text}", world.text);
            assert_eq!(*dst_mac, receiver.mac);
        }
    });
}

/// Whatever bytes a guest sends: an answer, never a panic, and never someone else's MAC address let through.
#[test]
fn any_bytes_of_a_guest_get_an_answer() {
    for_each_packet(|_, scenario, text, _, rng| {
        let sent = scenario.packet(text).unwrap();
        let mut frame = build::emit(&sent.packet);
        for _ in 0..rng.between(1, 8) {
            let index = rng.below(frame.len());
            frame[index] = rng.next_u64() as u8;
        }
        frame.truncate(rng.between(0, frame.len() + 1));
        let Ok(packet) = parse(&frame) else { return };
        let path = retrace(scenario, sent.ingress, &packet).unwrap();
        let Ingress::Eni(from) = sent.ingress else { return };
        let own = scenario.world.eni(from).unwrap().mac;
        let src_mac = match &packet {
            Packet::Arp(arp) => arp.src_mac,
            Packet::Ip(packet) => packet.src_mac,
        };
        assert!(src_mac == own || matches!(path.verdict(), Verdict::Drop(_)));
    });
}

/// Packets of a pair: with every source port that it names, its connections begin and are answered as it says.
#[test]
fn a_pair_speaks_for_all_of_its_source_ports() {
    let (mut pairs, mut narrow) = (0, 0);
    for_each_packet(|world, scenario, text, _, rng| {
        let sent = scenario.packet(text).unwrap();
        let (Some(eni), Packet::Ip(packet)) = (sent.ingress.eni(), &sent.packet) else { return };
        let Ok(Some(pair)) = gp_trace::pair(&scenario.world, eni, packet) else { return };
        let ports = pair.source_ports();
        assert!(ports.contains(packet.tuple.src_port));
        pairs += 1;
        narrow += usize::from(ports != PortRange::ALL);
        let some = (0..4).map(|_| rng.between(usize::from(ports.from), usize::from(ports.to) + 1) as u16);
        for port in some.chain([ports.from, ports.to]).collect::<Vec<_>>() {
            let mut other = packet.clone();
            other.tuple.src_port = port;
            let forward = trace(&scenario.world, &NoConnections, eni, &Packet::Ip(other), Timestamp(0)).unwrap();
            let case = format!("{}\n{text}\nport {port} of {ports:?}", world.text);
            assert_eq!(forward.verdict(), pair.forward().verdict(), "{case}");
            let openers = |path: &Path| -> Vec<_> {
                let all = path.effects().iter();
                all.map(|Effect::OpenConnection { tracker, connection }| (*tracker, connection.opened_by)).collect()
            };
            assert_eq!(openers(&forward), openers(pair.forward()), "{case}");
            let is_read = |path: &Path, read: &Read| path.reads().contains(read);
            assert!(forward.reads().iter().all(|read| is_read(pair.forward(), read)), "{case}");
            let mut connections = ConnectionTable::default();
            connections.apply(&forward);
            let Ingress::Eni(receiver) = pair.answer().ingress() else { panic!("{case}") };
            let mut answer = packet.clone();
            answer.src_mac = scenario.world.eni(receiver).unwrap().mac;
            answer.tuple = forward.tuple().reversed();
            let answer = trace(&scenario.world, &connections, receiver, &Packet::Ip(answer), Timestamp(0)).unwrap();
            assert_eq!(answer.verdict(), pair.answer().verdict(), "{case}");
            assert!(answer.effects().is_empty(), "{case}");
            assert!(answer.reads().iter().all(|read| is_read(pair.answer(), read)), "{case}");
        }
    });
    assert!(pairs > 500 && narrow > 20, "{pairs} pairs, {narrow} of them not for all ports");
}
