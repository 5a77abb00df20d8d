//! Connections that the fast path begins by itself, over the engine and the executor: nobody can tell the difference.

use crate::connections::Tracked;
use crate::testing::{Host, Seen, ifindex};
use crate::{Allowance, Fate};
use gp_abi::{FlowKey, FlowValue};
use gp_compile::{Cause, key_of, pair_key_of};
use gp_model::EniId;
use gp_trace::{DropReason, Tracker};
use gp_worlds::random::RandomWorld;
use gp_worlds::{Rng, Sent};
use std::collections::BTreeMap;

/// A client and a server in two subnets; a third ENI beside the client.
const WEB: &str = "
    vpc a 10.0.0.0/16; subnet a1 a 10.0.1.0/24; subnet a2 a 10.0.2.0/24
    sg web a in tcp 80 from 10.0.0.0/8 in udp 53 from 10.0.0.0/8; sg client a
    eni c a1 10.0.1.20 sg client; eni w a2 10.0.2.10 sg web; eni n a1 10.0.1.30 sg client
";
const INGRESS: Fate = Fate::Dropped(DropReason::SecurityGroupIngress);

/// A host on which each of these pairs has had a first packet before.
fn known(text: &str) -> Host {
    let host = with_ring(text);
    for text in ["c > w tcp 1:80 syn", "n > w tcp 1:80 syn", "c > w udp 1:53"] {
        let Ok(Sent { ingress, packet }) = host.scenario.packet(text) else { continue };
        let port = ifindex(ingress.eni().unwrap());
        let key = pair_key_of(&key_of(&packet, port).unwrap());
        assert!(!host.engine.work(host.now, |work| work.state.pairs.is_asked_again(key)));
    }
    host
}

fn with_ring(text: &str) -> Host {
    let host = Host::new(text);
    host.kernel.tables().pairs.opened_max = 1000;
    host
}

fn to(host: &Host, name: &str) -> Fate {
    Fate::Delivered(host.scenario.eni(name))
}

fn opened(host: &Host) -> u64 {
    host.engine.counters().totals.opened
}

fn tracked(host: &Host, name: &str) -> usize {
    let eni = host.scenario.eni(name);
    host.engine.work(host.now, |work| work.state.connections.len_of(Tracker::Eni(eni)))
}

fn pairs(host: &Host) -> usize {
    host.kernel.tables().pairs.pairs.len()
}

#[test]
fn the_second_connection_between_two_peers_needs_no_upcall() {
    let mut host = known(WEB);
    assert_eq!(host.send("c > w tcp 4000:80 syn"), Seen::Upcall(Cause::Miss, to(&host, "w")));
    assert_eq!(host.send("c > w tcp 4001:80 syn"), Seen::Hit(to(&host, "w")));
    assert_eq!(host.send("w > c tcp 80:4001 syn+ack"), Seen::Hit(to(&host, "c")));
    assert_eq!(host.send("c > w tcp 4001:80 ack"), Seen::Hit(to(&host, "w")));
    assert_eq!((host.flows(), host.connections(), opened(&host)), (4, 4, 1));
    assert_eq!(
        host.send("c > w udp 4000:53"),
        Seen::Upcall(Cause::Miss, to(&host, "w")),
        "another port is another pair"
    );
    assert_eq!(host.send("c > w udp 4001:53"), Seen::Hit(to(&host, "w")));
    assert_eq!((host.flows(), host.connections(), opened(&host)), (8, 8, 2));
}

#[test]
fn the_first_packet_of_a_pair_makes_none() {
    let mut host = with_ring(WEB);
    for (port, is_known) in [(4000, false), (4001, false), (4002, true), (4003, true)] {
        let seen = host.send(&format!("c > w tcp {port}:80 syn"));
        assert_eq!(matches!(seen, Seen::Hit(_)), is_known, "{port}: {seen:?}");
    }
    (1..50).for_each(|port| {
        host.send(&format!("w > c udp 53:{port}"));
    });
    assert_eq!(pairs(&host), 1);
}

#[test]
fn only_what_may_begin_a_connection_does() {
    let mut host = known(WEB);
    host.send("c > w tcp 4000:80 syn");
    for flags in ["ack", "syn+ack", "rst", "syn+fin"] {
        let seen = host.send(&format!("c > w tcp 4001:80 {flags}"));
        assert!(matches!(seen, Seen::Upcall(Cause::Miss, _) | Seen::Hit(_)), "{flags}: {seen:?}");
        assert_eq!(opened(&host), 0, "{flags}");
        host.wait(1000);
        host.engine.expire(host.now).unwrap();
    }
}

#[test]
fn a_revoked_rule_ends_the_pair_and_not_the_connections_that_it_has_begun() {
    let mut host = known(WEB);
    host.send("c > w tcp 4000:80 syn");
    host.send("c > w tcp 4001:80 syn");
    host.change("sg web a in tcp 22 from 10.0.0.0/8 out none");
    assert_eq!(host.send("c > w tcp 4002:80 syn").fate(), INGRESS);
    assert_eq!(host.send("w > c tcp 80:4001 syn+ack"), Seen::Hit(to(&host, "c")));
    assert_eq!(host.send("c > w tcp 4001:80 ack"), Seen::Hit(to(&host, "w")));
    assert_eq!((opened(&host), pairs(&host)), (1, 0));
}

#[test]
fn a_pair_of_which_nothing_else_is_left_ends_with_its_rule() {
    let mut host = known(WEB);
    host.send("c > w udp 4000:53");
    host.wait(100);
    host.engine.expire(host.now).unwrap();
    assert_eq!((host.flows(), host.connections(), pairs(&host)), (0, 0, 1));
    host.change("sg web a in tcp 22 from 10.0.0.0/8");
    assert_eq!((host.send("c > w udp 4001:53").fate(), pairs(&host)), (INGRESS, 0));
}

#[test]
fn what_a_pair_has_begun_is_traced_again_after_a_change() {
    let mut host = known(WEB);
    host.send("c > w tcp 4000:80 syn");
    host.send("c > w tcp 4001:80 syn");
    host.change("acl closed a; subnet a2 a 10.0.2.0/24 acl closed");
    assert_eq!(host.send("c > w tcp 4001:80 ack"), Seen::Hit(Fate::Dropped(DropReason::NetworkAclIngress)));
    assert_eq!(host.send("w > c tcp 80:4001 ack"), Seen::Hit(Fate::Dropped(DropReason::NetworkAclEgress)));
    assert_eq!(host.send("c > w tcp 4002:80 syn").fate(), Fate::Dropped(DropReason::NetworkAclIngress));
}

#[test]
fn a_list_that_judges_the_answer_s_port_bounds_the_pair() {
    let mut host = known(
        "vpc a 10.0.0.0/16
         acl n a in 100 allow all 0.0.0.0/0 out 100 deny tcp 5000-5010 0.0.0.0/0 out 200 allow tcp 2000-9000 0.0.0.0/0
         subnet a1 a 10.0.1.0/24; subnet a2 a 10.0.2.0/24 acl n
         sg web a in tcp 80 from 10.0.0.0/8; sg client a
         eni c a1 10.0.1.20 sg client; eni w a2 10.0.2.10 sg web",
    );
    host.send("c > w tcp 4000:80 syn");
    for port in [2000, 4999] {
        assert_eq!(host.send(&format!("c > w tcp {port}:80 syn")), Seen::Hit(to(&host, "w")), "{port}");
        assert_eq!(host.send(&format!("w > c tcp 80:{port} syn+ack")), Seen::Hit(to(&host, "c")), "{port}");
    }
    for port in [1999, 5000, 5011, 9000] {
        assert_eq!(host.send(&format!("c > w tcp {port}:80 syn")), Seen::Upcall(Cause::Miss, to(&host, "w")), "{port}");
        assert_eq!(host.send(&format!("w > c tcp 80:{port} syn+ack")).fate(), {
            let answer = host.verdict(&format!("w > c tcp 80:{port} syn+ack"));
            if let gp_trace::Verdict::Drop(drop) = answer { Fate::Dropped(drop.reason) } else { to(&host, "c") }
        });
    }
}

fn allow_connections(host: &mut Host, name: &str, connections_max: u32) {
    let id: EniId = host.scenario.eni(name);
    let instance = host.scenario.world.eni(id).unwrap().attachment.as_ref().unwrap().instance;
    host.allowances.insert(id, Allowance { instance, card: 0, connections_max, bandwidth: None });
    host.plug_again();
}

#[test]
fn no_more_connections_are_tracked_than_the_instance_may_have() {
    for (limited, other) in [("c", "w"), ("w", "c")] {
        let mut host = known(WEB);
        allow_connections(&mut host, limited, 10);
        let fates: Vec<Fate> = (0..15).map(|n| host.send(&format!("c > w tcp {}:80 syn", 4000 + n)).fate()).collect();
        let refused = Fate::Dropped(DropReason::ConnectionBudget);
        assert_eq!(fates, [vec![to(&host, "w"); 10], vec![refused; 5]].concat(), "{limited}");
        assert_eq!((tracked(&host, limited), tracked(&host, other), opened(&host)), (10, 10, 9));
        let counters = host.engine.eni_counters(host.scenario.eni(limited)).unwrap();
        assert_eq!((counters.connections_free, counters.connections_refused), (0, 5));
    }
}

#[test]
fn what_is_granted_to_the_fast_path_is_there_for_the_slow_one_as_well() {
    let mut host = known(WEB);
    allow_connections(&mut host, "c", 10);
    host.send("c > w tcp 4000:80 syn");
    // Nine are granted. Echoes begin no pair, so each of these takes one back.
    let echoes = (0..9).filter(|n| host.send(&format!("c > n icmp echo id {n}")).fate() != to(&host, "n")).count();
    // The other end lets no echo in; the sender tracks it all the same.
    assert_eq!((echoes, tracked(&host, "c")), (9, 10));
    assert_eq!(host.send("c > w tcp 4001:80 syn").fate(), Fate::Dropped(DropReason::ConnectionBudget));
}

#[test]
fn connections_that_have_ended_are_granted_again() {
    let mut host = known(WEB);
    allow_connections(&mut host, "c", 4);
    (0..4).for_each(|n| assert_eq!(host.send(&format!("c > w udp {}:53", 4000 + n)).fate(), to(&host, "w")));
    host.wait(40);
    host.engine.expire(host.now).unwrap();
    (0..4).for_each(|n| assert_eq!(host.send(&format!("c > w udp {}:53", 5000 + n)).fate(), to(&host, "w")));
    assert_eq!(host.send("c > w udp 5004:53").fate(), Fate::Dropped(DropReason::ConnectionBudget));
}

#[test]
fn a_full_ring_and_a_full_table_lead_up() {
    let mut host = known(WEB);
    host.kernel.tables().pairs.opened_max = 1;
    host.send("c > w tcp 4000:80 syn");
    assert_eq!(host.send("c > w tcp 4001:80 syn"), Seen::Hit(to(&host, "w")));
    assert_eq!(host.send("c > w tcp 4002:80 syn"), Seen::Upcall(Cause::Miss, to(&host, "w")), "nobody has listened");
    assert_eq!(host.send("c > w tcp 4003:80 syn"), Seen::Hit(to(&host, "w")), "now somebody has");
    host.kernel.tables().flows_max = 8;
    assert_eq!(host.send("c > w tcp 4004:80 syn"), Seen::Upcall(Cause::Miss, to(&host, "w")));
    let grants: Vec<u64> = host.kernel.tables().pairs.grants.values().copied().collect();
    assert_eq!(grants[0], grants[1], "what was not used was given back: {grants:?}");
    assert!(host.flows() <= 8);
}

#[test]
fn a_restart_finds_connections_that_nobody_has_heard_of() {
    let mut host = known(WEB);
    host.send("c > w tcp 4000:80 syn");
    host.send("c > w tcp 4001:80 syn");
    host.send("w > c tcp 80:4001 syn+ack");
    host.send("c > w tcp 4002:80 syn");
    // The process dies before it has listened, and its rules change before the next one comes.
    host.kernel.tables().pairs.opened.clear();
    host.scenario.apply("sg web a in tcp 22 from 10.0.0.0/8 out none").unwrap();
    host.scenario.apply("sg client a out none").unwrap();
    assert_eq!(host.restart(), (6, 6));
    assert_eq!((host.flows(), host.connections(), pairs(&host)), (6, 6, 0));
    for port in [4000, 4001, 4002] {
        assert_eq!(host.send(&format!("c > w tcp {port}:80 ack")), Seen::Hit(to(&host, "w")));
        assert_eq!(host.send(&format!("w > c tcp 80:{port} ack")), Seen::Hit(to(&host, "c")));
    }
    let egress = Fate::Dropped(DropReason::SecurityGroupEgress);
    assert_eq!(host.send("c > w tcp 4003:80 syn").fate(), egress);
}

#[test]
fn a_connection_has_a_record_once_its_flow_can_t_stand_for_it() {
    let end: [fn(&mut Host); 3] = [
        |host| {
            host.change("acl closed a; subnet a2 a 10.0.2.0/24 acl closed");
        },
        |host| {
            let key = host.kernel.tables().flows.iter().find(|(_, value)| value.opens != 0).map(|(key, _)| *key);
            host.engine.work(host.now, |work| work.remove_flow(&key.unwrap()));
        },
        |host| {
            host.wait(100);
            host.engine.expire(host.now).unwrap();
        },
    ];
    // Several times, since a change meets flows in any order.
    for end in end.into_iter().cycle().take(30) {
        let mut host = known(WEB);
        for text in
            ["c > w tcp 4000:80 syn", "c > w tcp 4001:80 syn", "w > c tcp 80:4001 syn+ack", "c > w tcp 4001:80 ack"]
        {
            host.send(text);
        }
        assert_eq!((host.connections(), host.kernel.tables().connections.len()), (4, 2));
        end(&mut host);
        host.connections();
        host.engine.expire(host.now).unwrap();
        let connections = kept(&host).1;
        host.restart();
        assert_eq!(kept(&host).1, connections);
    }
}

#[test]
fn a_restart_grants_anew_and_no_more() {
    let mut host = known(WEB);
    allow_connections(&mut host, "c", 10);
    host.send("c > w tcp 4000:80 syn");
    host.restart();
    let grants: u64 = host.kernel.tables().pairs.grants.values().sum();
    assert_eq!((pairs(&host), grants), (0, 0));
    let passed = (1..15).filter(|n| host.send(&format!("c > w tcp {}:80 syn", 4000 + n)).fate() == to(&host, "w"));
    assert_eq!(passed.count(), 9);
}

#[test]
fn an_eni_that_goes_takes_its_pairs_along_and_gives_its_grants_back() {
    for name in ["c", "w"] {
        let mut host = known(WEB);
        host.send("c > w tcp 4000:80 syn");
        host.send("n > w tcp 4000:80 syn");
        host.send("c > w tcp 4001:80 syn");
        let eni = host.scenario.eni(name);
        assert!(host.engine.remove_port(eni, host.now));
        let pairs_left = if name == "c" { 1 } else { 0 };
        assert_eq!(pairs(&host), pairs_left);
        let towards = ifindex(eni);
        let tables = host.kernel.tables();
        assert!(tables.flows.iter().all(|(key, value)| key.port != towards && value.out_ifindex != towards));
    }
}

#[test]
fn an_answer_that_was_dropped_before_passes_once_the_fast_path_has_begun_its_connection() {
    let mut host = known(WEB);
    host.send("c > w tcp 4000:80 syn");
    assert_eq!(host.send("w > c tcp 80:4001 ack").fate(), INGRESS);
    assert_eq!(host.send("c > w tcp 4001:80 syn"), Seen::Upcall(Cause::Miss, to(&host, "w")), "the slow path mends it");
    assert_eq!(host.send("w > c tcp 80:4001 syn+ack"), Seen::Hit(to(&host, "c")));
}

#[test]
fn a_pair_that_nobody_uses_is_forgotten() {
    let mut host = known(WEB);
    host.send("c > w udp 4000:53");
    host.wait(500);
    assert_eq!(host.send("c > w udp 4001:53"), Seen::Hit(to(&host, "w")));
    host.wait(500);
    host.engine.expire(host.now).unwrap();
    assert_eq!(pairs(&host), 1);
    host.wait(101);
    host.engine.expire(host.now).unwrap();
    assert_eq!(pairs(&host), 0);
    assert_eq!(host.send("c > w udp 4002:53"), Seen::Upcall(Cause::Miss, to(&host, "w")));
}

/// The text of the same packet from another source port, where it has one.
fn from_port(text: &str, port: usize) -> Option<String> {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let at = words.iter().position(|word| word == "tcp" || word == "udp")? + 1;
    let (_, destination) = words.get(at)?.split_once(':')?;
    words[at] = format!("{port}:{destination}");
    Some(words.join(" "))
}

type Kept = (BTreeMap<FlowKey, FlowValue>, Vec<(Tracker, Tracked)>);

/// What is in the tables, but for who put it there and when.
fn kept(host: &Host) -> Kept {
    host.flows();
    let flows =
        host.kernel.tables().flows.iter().map(|(key, value)| (*key, FlowValue { opens: 0, ..*value })).collect();
    let anonymous = |tracked: Tracked| Tracked { created_ns: 0, is_recorded: false, ..tracked };
    let mut connections = host.tracked();
    connections.iter_mut().for_each(|(_, tracked)| *tracked = anonymous(*tracked));
    connections.sort_by_key(|(tracker, tracked)| (*tracker, tracked.connection.tuple));
    (flows, connections)
}

/// On random worlds: with pairs and without, packets have the same fate and leave the same behind.
#[test]
fn with_pairs_and_without_everything_is_the_same() {
    let mut begun = 0;
    for seed in 0..80 {
        let world = if seed % 2 == 0 { RandomWorld::new(seed) } else { RandomWorld::with_ways(seed) };
        let (mut with, mut without) = (known(&world.text), Host::new(&world.text));
        let mut rng = Rng::new(seed);
        for round in 0..8 {
            for text in world.packets(&mut rng, 20) {
                let others = (0..3).filter_map(|_| from_port(&text, rng.between(1, 65_535)));
                for text in [text.clone()].into_iter().chain(others.collect::<Vec<_>>()) {
                    if with.scenario.packet(&text).is_err() {
                        continue;
                    }
                    let (seen, expected) = (with.send(&text), without.send(&text));
                    assert_eq!(seen.fate(), expected.fate(), "seed {seed}, round {round}: {text}\n{}", world.text);
                    if rng.chance(50) {
                        with.engine.catch_up(with.now);
                    }
                }
            }
            assert_eq!(kept(&with), kept(&without), "seed {seed}, round {round}\n{}", world.text);
            with.connections();
            begun += opened(&with);
            let change = world.change(&mut rng);
            for host in [&mut with, &mut without] {
                host.change(&change);
                host.wait(7);
                if round % 3 == 2 {
                    host.engine.expire(host.now).unwrap();
                }
                if round == 5 {
                    host.kernel.tables().pairs.opened.clear();
                    host.restart();
                }
            }
        }
    }
    assert!(begun > 1000, "only {begun} connections were begun by the fast path");
}
