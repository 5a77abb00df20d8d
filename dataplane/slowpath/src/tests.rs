//! The engine at work: packets from guests, changes of the world, restarts.

use crate::Fate;
use crate::testing::{Host, Seen, ifindex};
use gp_abi::ACTION_DELIVER;
use gp_compile::Cause;
use gp_model::{
    Direction, Eni, PrefixList, PrefixListChange, PrefixListEntry, PrefixListId, PrefixListVersion, RulePeer,
    SecurityGroup, Subnet, Tags, Vpc,
};
use gp_trace::{DropReason, LocalService, Probe, Resource, Tracker, Verdict};
use gp_wire::Packet;
use gp_worlds::random::RandomWorld;
use gp_worlds::{Rng, Sent};

/// A client and a web server in two subnets; a third ENI whose group lets nothing in.
const WEB: &str = "
    vpc a 10.0.0.0/16; subnet a1 a 10.0.1.0/24; subnet a2 a 10.0.2.0/24
    sg web a in tcp 80 from 10.0.0.0/8; sg client a
    eni c a1 10.0.1.20 sg client; eni w a2 10.0.2.10 sg web; eni n a1 10.0.1.30 sg client
";

fn web() -> Host {
    Host::new(WEB)
}

fn delivered(host: &Host, name: &str) -> Fate {
    Fate::Delivered(host.scenario.eni(name))
}

const INGRESS: Fate = Fate::Dropped(DropReason::SecurityGroupIngress);

#[test]
fn a_first_packet_goes_on_and_then_both_directions_are_cached() {
    let mut host = web();
    let to_w = delivered(&host, "w");
    assert_eq!(host.send("c > w tcp 4000:80 syn"), Seen::Upcall(Cause::Miss, to_w));
    let sent = host.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].0, ifindex(host.scenario.eni("w")));
    let Packet::Ip(packet) = gp_wire::parse(&sent[0].1).unwrap() else { panic!("not IP") };
    assert_eq!(packet.src_mac, gp_trace::router_mac(host.scenario.subnet("a2")));
    assert_eq!(host.send("w > c tcp 80:4000 syn+ack"), Seen::Hit(delivered(&host, "c")));
    assert_eq!(host.send("c > w tcp 4000:80 ack"), Seen::Hit(to_w));
    assert_eq!((host.flows(), host.connections()), (2, 2));
    let packets: Vec<u64> = host.kernel.tables().flows.values().map(|flow| flow.packets).collect();
    assert_eq!(packets.iter().sum::<u64>(), 3, "each packet is counted once: {packets:?}");
}

#[test]
fn a_denied_packet_is_dropped_by_the_cache_until_a_rule_lets_it_pass() {
    let mut host = web();
    assert_eq!(host.send("c > w tcp 4000:22 syn"), Seen::Upcall(Cause::Miss, INGRESS));
    assert_eq!(host.send("c > w tcp 4000:22 syn"), Seen::Hit(INGRESS));
    host.change("sg web a in tcp 22 from 0.0.0.0/0");
    assert_eq!(host.send("c > w tcp 4000:22 syn").fate(), delivered(&host, "w"));
    assert_eq!(host.send("w > c tcp 22:4000 syn+ack").fate(), delivered(&host, "c"));
    assert_eq!(host.engine.counters().drops["security-group-ingress"], 2);
}

#[test]
fn a_tracked_connection_goes_on_without_its_rule_and_a_new_one_does_not_start() {
    let mut host = Host::new(
        "vpc a 10.0.0.0/16; subnet a1 a 10.0.1.0/24
         sg web a in tcp 80 from 10.0.0.0/8 out none; sg client a
         eni c a1 10.0.1.20 sg client; eni w a1 10.0.1.10 sg web",
    );
    host.send("c > w tcp 4000:80 syn");
    host.send("w > c tcp 80:4000 syn+ack");
    assert!(host.change("sg web a out none") > 0);
    assert_eq!(host.send("c > w tcp 4000:80 ack"), Seen::Hit(delivered(&host, "w")));
    assert_eq!(host.send("w > c tcp 80:4000 ack"), Seen::Hit(delivered(&host, "c")));
    assert_eq!(host.send("c > w tcp 4001:80 syn").fate(), INGRESS);
}

#[test]
fn an_untracked_flow_stops_with_its_rule() {
    let mut host = web();
    host.change("sg web a in tcp 80 from 0.0.0.0/0 out all to 0.0.0.0/0");
    host.send("c > w tcp 4000:80 syn");
    assert_eq!(host.send("c > w tcp 4000:80 ack").fate(), delivered(&host, "w"));
    let tracked_by_w =
        host.engine.work(host.now, |work| work.state.connections.len_of(Tracker::Eni(host.scenario.eni("w"))));
    assert_eq!(tracked_by_w, 0, "anybody may ask and anybody may be answered");
    host.change("sg web a in tcp 81 from 0.0.0.0/0 out all to 0.0.0.0/0");
    assert_eq!(host.send("c > w tcp 4000:80 ack"), Seen::Hit(INGRESS));
}

#[test]
fn a_network_acl_cuts_tracked_connections_at_once() {
    let mut host = web();
    host.send("c > w tcp 4000:80 syn");
    host.send("w > c tcp 80:4000 syn+ack");
    host.change("acl closed a; subnet a2 a 10.0.2.0/24 acl closed");
    let denied = Fate::Dropped(DropReason::NetworkAclIngress);
    assert_eq!(host.send("c > w tcp 4000:80 ack"), Seen::Hit(denied));
    assert_eq!(host.send("w > c tcp 80:4000 ack"), Seen::Hit(Fate::Dropped(DropReason::NetworkAclEgress)));
    host.change("subnet a2 a 10.0.2.0/24");
    assert_eq!(host.send("c > w tcp 4000:80 ack").fate(), delivered(&host, "w"));
}

#[test]
fn a_changed_prefix_list_acts_on_cached_flows() {
    let mut host = web();
    let world = host.scenario.world.clone();
    let mut group = world
        .tables()
        .security_groups
        .values()
        .find(|group| group.rules(Direction::Ingress).next().is_some())
        .unwrap()
        .as_ref()
        .clone();
    let entry = PrefixListEntry { block: "10.0.1.20/32".parse().unwrap(), description: None };
    let mut list = PrefixList {
        id: PrefixListId::from_bits(1),
        owner: group.owner,
        name: "offices".to_owned(),
        address_family: "IPv4".to_owned(),
        max_entries: 1,
        versions: vec![PrefixListVersion { version: 1, entries: Vec::new() }],
        last_change: PrefixListChange::Create,
        tags: Tags::new(),
    };
    for rule in group.rules.values_mut().filter(|rule| rule.direction == Direction::Ingress) {
        rule.peer = RulePeer::PrefixList(list.id);
    }
    host.put(list.clone());
    host.put(group);
    host.send("c > w tcp 4000:80 syn");
    assert_eq!(host.send("c > w tcp 4000:80 syn"), Seen::Hit(INGRESS));
    list.versions.push(PrefixListVersion { version: 2, entries: vec![entry] });
    assert!(host.put(list) > 0);
    assert_eq!(host.send("c > w tcp 4000:80 syn").fate(), delivered(&host, "w"));
}

#[test]
fn an_answer_that_was_dropped_before_passes_once_its_connection_is_open() {
    let mut host = web();
    assert_eq!(host.send("w > c tcp 80:4000 ack").fate(), INGRESS);
    assert_eq!(host.send("w > c tcp 80:4000 ack"), Seen::Hit(INGRESS));
    host.send("c > w tcp 4000:80 syn");
    assert_eq!(host.send("w > c tcp 80:4000 syn+ack").fate(), delivered(&host, "c"));
}

#[test]
fn a_change_retraces_only_the_flows_that_rest_on_it() {
    let mut host = web();
    host.send("c > w tcp 4000:80 syn");
    host.send("n > c icmp echo");
    assert_eq!(host.change("sg other a in tcp 1 from 10.0.0.0/8"), 0);
    assert_eq!(host.change("vpc b 10.0.0.0/16; subnet b1 b 10.0.1.0/24; eni x b1 10.0.1.20"), 0);
    assert_eq!(host.change("sg web a"), 1, "the flow of the first packet alone has read the group");
}

#[test]
fn a_flow_that_a_change_leaves_as_it_is_is_not_written_again() {
    let mut host = web();
    host.send("c > w tcp 4000:80 syn");
    assert_eq!(host.change("sg web a"), 1, "its connection is tracked");
    assert_eq!(host.kernel.tables().replaced, 0);
}

#[test]
fn equal_addresses_in_two_vpcs_never_meet() {
    let mut host = Host::new(
        "vpc a 10.0.0.0/16; subnet a1 a 10.0.1.0/24; eni c a1 10.0.1.20; eni w a1 10.0.1.10
         vpc b 10.0.0.0/16; subnet b1 b 10.0.1.0/24; eni d b1 10.0.1.20; eni x b1 10.0.1.10",
    );
    for (from, to) in [("c", "w"), ("d", "x")] {
        assert_eq!(host.send(&format!("{from} > 10.0.1.10 icmp echo")).fate(), delivered(&host, to));
        assert_eq!(host.send(&format!("{from} > 10.0.1.10 icmp echo")), Seen::Hit(delivered(&host, to)));
        assert_eq!(host.send(&format!("{to} > 10.0.1.20 icmp reply")), Seen::Hit(delivered(&host, from)));
    }
}

#[test]
fn what_decides_nothing_has_no_flow_traced_again() {
    let mut host = web();
    host.send("c > w tcp 4000:80 syn");
    assert_eq!(host.flows(), 2);
    let world = host.scenario.world.clone();
    let w = world.eni(host.scenario.eni("w")).unwrap();
    let tags = || Tags::from([("Name".to_owned(), "renamed".to_owned())]);
    let vpc = Vpc { tags: tags(), dns_hostnames: true, ..(**world.vpc(w.vpc).unwrap()).clone() };
    let subnet = Subnet { tags: tags(), map_public_ip_on_launch: true, ..(**world.subnet(w.subnet).unwrap()).clone() };
    let eni = Eni { tags: tags(), description: "renamed".into(), ..(**w).clone() };
    let group = world.security_group(w.groups[0]).unwrap();
    let group = SecurityGroup { tags: tags(), description: "renamed".into(), ..(**group).clone() };
    let retraced = [host.put(vpc), host.put(subnet), host.put(eni.clone()), host.put(group)];
    assert_eq!(retraced, [0; 4]);
    // What does decide, does so beside a tag, too.
    assert_eq!(host.put(Eni { source_dest_check: false, tags: Tags::new(), ..eni }), 2);
    assert_eq!(host.send("c > w tcp 4000:80 ack"), Seen::Hit(delivered(&host, "w")));
}

#[test]
fn what_is_idle_is_forgotten_by_its_own_timeout() {
    let mut host = web();
    host.send("c > w tcp 4000:80 syn");
    host.send("w > c tcp 80:4000 syn+ack");
    host.send("c > w tcp 4000:80 ack");
    host.send("c > n icmp echo");
    assert_eq!((host.flows(), host.connections()), (3, 3));
    host.wait(20);
    host.engine.expire(host.now).unwrap();
    assert_eq!((host.flows(), host.connections()), (3, 3));
    host.wait(45);
    host.engine.expire(host.now).unwrap();
    assert_eq!((host.flows(), host.connections()), (2, 2), "the established connection stays cached");
    host.wait(3600);
    host.engine.expire(host.now).unwrap();
    assert_eq!((host.flows(), host.connections()), (0, 2), "it stays, without cached flows");
    assert_eq!(host.send("w > c tcp 80:4000 ack"), Seen::Upcall(Cause::Miss, delivered(&host, "c")));
    host.wait(431_999);
    host.engine.expire(host.now).unwrap();
    assert_eq!(host.connections(), 2);
    host.wait(2);
    host.engine.expire(host.now).unwrap();
    assert_eq!((host.flows(), host.connections()), (0, 0));
    assert_eq!(host.send("w > c tcp 80:4000 ack").fate(), INGRESS);
}

#[test]
fn packets_that_only_the_fast_path_sees_keep_a_connection_alive() {
    let mut host = web();
    host.send("c > w udp 4000:53");
    host.change("sg web a in udp 53 from 10.0.0.0/8");
    host.send("c > w udp 4000:53");
    host.send("w > c udp 53:4000");
    for _ in 0..20 {
        host.wait(20);
        assert_eq!(host.send("c > w udp 4000:53"), Seen::Hit(delivered(&host, "w")));
        host.engine.expire(host.now).unwrap();
    }
    assert_eq!(host.connections(), 2);
    host.wait(181);
    host.engine.expire(host.now).unwrap();
    assert_eq!((host.flows(), host.connections()), (0, 0));
}

#[test]
fn a_restart_takes_flows_and_connections_over() {
    let mut host = web();
    host.send("c > w tcp 4000:80 syn");
    host.send("w > c tcp 80:4000 syn+ack");
    host.send("c > w tcp 4000:22 syn");
    let before = host.kernel.tables().flows.clone();
    assert_eq!(host.restart(), (3, 3));
    assert_eq!(host.kernel.tables().flows, before);
    assert_eq!(host.send("c > w tcp 4000:80 ack"), Seen::Hit(delivered(&host, "w")));
    host.change("sg web a");
    assert_eq!(host.send("w > c tcp 80:4000 ack"), Seen::Hit(delivered(&host, "c")), "it is tracked");
    assert_eq!(host.send("c > w tcp 4001:80 syn").fate(), INGRESS);
}

#[test]
fn a_restart_sees_what_changed_while_nobody_looked() {
    let mut host = web();
    host.send("c > w tcp 4000:22 syn");
    host.send("c > w tcp 4000:80 syn");
    host.send("c > n icmp echo");
    host.scenario.apply("sg web a in tcp 22 from 10.0.0.0/8; delete eni n").unwrap();
    host.restart();
    assert_eq!(host.send("c > w tcp 4000:22 syn").fate(), delivered(&host, "w"));
    assert_eq!(host.send("c > w tcp 4000:80 ack").fate(), delivered(&host, "w"));
    assert_eq!(host.send("c > 10.0.1.30 icmp echo").fate(), Fate::Dropped(DropReason::NoSuchAddress));
    let live: Vec<u32> = host.kernel.tables().enis.keys().copied().collect();
    assert_eq!(live.len(), 3, "two ENIs and the uplink: the lost ENI may not send any more");
    host.connections();
}

#[test]
fn a_full_table_makes_room_and_never_stops_a_packet() {
    let mut host = web();
    host.kernel.tables().flows_max = 100;
    host.change("sg web a in tcp * from 0.0.0.0/0");
    for port in 1..1000 {
        host.now.monotonic_ns += 1_000_000;
        assert_eq!(host.send(&format!("c > w tcp {port}:80 syn")).fate(), delivered(&host, "w"));
    }
    assert!(host.flows() <= 100);
    assert!(host.engine.counters().totals.evicted > 0);
    assert_eq!(host.send("c > w tcp 999:80 ack"), Seen::Hit(delivered(&host, "w")), "the youngest stay");
}

#[test]
fn an_eni_that_leaves_takes_its_flows_and_connections_along() {
    let mut host = web();
    host.send("c > w tcp 4000:80 syn");
    host.send("c > n icmp echo");
    let w = host.scenario.eni("w");
    assert!(host.engine.remove_port(w, host.now));
    assert!(!host.engine.remove_port(w, host.now));
    assert_eq!(host.flows(), 1, "n is still there");
    assert_eq!(host.send("c > w tcp 4000:80 ack").fate(), Fate::Dropped(DropReason::EniNotAttached));
    assert_eq!(host.send("w > c tcp 80:4000 ack"), Seen::Hit(Fate::Dropped(DropReason::UnknownEni)));
}

#[test]
fn fragments_follow_their_first() {
    let mut host = web();
    host.change("sg web a in udp 53 from 10.0.0.0/8");
    let lost = Fate::Dropped(DropReason::FragmentWithoutFirst);
    assert_eq!(host.send("c > w udp 4000:53 frag 1480").fate(), lost);
    assert_eq!(host.send("c > w udp 4000:53 frag 0+").fate(), delivered(&host, "w"));
    assert_eq!(host.send("c > w udp 4000:53 frag 1480+").fate(), delivered(&host, "w"));
    assert_eq!(host.send("c > w udp 4000:53 frag 2960").fate(), delivered(&host, "w"));
    assert_eq!(host.send("c > w udp 4000:54 frag 0+").fate(), INGRESS);
    assert_eq!(host.flows(), 0, "fragments are never cached");
}

#[test]
fn the_vpc_answers_to_the_asker_alone() {
    let mut host = web();
    assert_eq!(host.send("c arp 10.0.1.1").fate(), Fate::Answered(LocalService::Arp));
    let sent = host.sent();
    assert_eq!(sent.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [ifindex(host.scenario.eni("c"))]);
    assert_eq!(host.send("c arp 10.0.1.20").fate(), Fate::Dropped(DropReason::NeighborAnnouncement));
    assert_eq!(host.send("c arp 10.0.1.99").fate(), Fate::Dropped(DropReason::NoSuchAddress));
    assert!(host.sent().is_empty());
}

#[test]
fn a_tuple_that_is_used_again_is_judged_again() {
    let mut host = web();
    host.send("c > w tcp 4000:80 syn");
    host.send("w > c tcp 80:4000 syn+ack");
    host.send("c > w tcp 4000:80 fin+ack");
    host.send("w > c tcp 80:4000 fin+ack");
    let again = host.send("c > w tcp 4000:80 syn");
    assert_eq!(again, Seen::Upcall(Cause::Reopen, delivered(&host, "w")));
    assert_eq!(host.send("w > c tcp 80:4000 syn+ack"), Seen::Hit(delivered(&host, "c")));
    host.send("c > w tcp 4000:80 rst");
    host.change("sg web a");
    assert_eq!(host.send("c > w tcp 4000:80 syn"), Seen::Upcall(Cause::Reopen, INGRESS));
    assert_eq!(host.send("c > w tcp 4000:80 syn"), Seen::Hit(INGRESS));
}

#[test]
fn packets_that_are_never_cached_keep_a_connection_alive_too() {
    let mut host = web();
    host.change("sg web a in udp 53 from 10.0.0.0/8");
    host.send("c > w udp 4000:53 frag 0+");
    host.change("sg web a");
    for round in 0..6 {
        host.wait(20);
        assert_eq!(host.send("c > w udp 4000:53 frag 0+").fate(), delivered(&host, "w"), "round {round}");
        host.engine.expire(host.now).unwrap();
    }
    assert_eq!(host.restart(), (0, 2));
    host.engine.expire(host.now).unwrap();
    assert_eq!(host.connections(), 2, "the next process knows of them, too");
}

#[test]
fn a_restart_keeps_the_timeout_of_a_stream() {
    let mut host = web();
    host.change("sg web a in udp 53 from 10.0.0.0/8");
    for _ in 0..3 {
        host.send("c > w udp 4000:53");
        host.send("w > c udp 53:4000");
    }
    host.wait(70);
    host.engine.expire(host.now).unwrap();
    assert_eq!((host.flows(), host.connections()), (0, 2), "a stream may be silent for 180 s");
    host.restart();
    host.engine.expire(host.now).unwrap();
    assert_eq!(host.connections(), 2);
    host.wait(111);
    host.engine.expire(host.now).unwrap();
    assert_eq!(host.connections(), 0);
}

#[test]
fn a_tuple_that_its_far_end_has_reset_is_judged_again() {
    let mut host = web();
    host.send("c > w tcp 4000:80 syn");
    host.send("w > c tcp 80:4000 rst+ack");
    assert_eq!(host.send("c > w tcp 4000:80 syn").fate(), delivered(&host, "w"));
    host.send("w > c tcp 80:4000 syn+ack");
    host.send("c > w tcp 4000:80 ack");
    host.wait(300);
    host.engine.expire(host.now).unwrap();
    assert_eq!(host.connections(), 2, "the new connection has not been reset");
    host.send("w > c tcp 80:4000 rst+ack");
    host.change("sg web a");
    assert_eq!(host.send("c > w tcp 4000:80 syn").fate(), INGRESS);
}

#[test]
fn a_syn_that_is_sent_again_finds_its_connection() {
    let mut host = web();
    host.send("c > w tcp 4000:80 syn");
    host.change("sg web a");
    assert_eq!(host.send("c > w tcp 4000:80 syn").fate(), delivered(&host, "w"));
    host.send("w > c tcp 80:4000 syn+ack");
    assert_eq!(host.send("c > w tcp 4000:80 syn").fate(), delivered(&host, "w"));
    assert_eq!(host.send("c > w tcp 4000:80 ack"), Seen::Hit(delivered(&host, "w")));
}

#[test]
fn what_a_sweep_has_read_of_an_ended_connection_says_nothing_of_the_next_one() {
    let mut host = web();
    host.send("c > w tcp 4000:80 syn");
    host.send("w > c tcp 80:4000 syn+ack");
    host.send("c > w tcp 4000:80 rst");
    let read_by_a_sweep: Vec<_> = host.kernel.tables().flows.iter().map(|(key, value)| (*key, *value)).collect();
    host.wait(1);
    host.send("c > w tcp 4000:80 syn");
    host.send("w > c tcp 80:4000 syn+ack");
    host.send("c > w tcp 4000:80 ack");
    host.engine.work(host.now, |work| read_by_a_sweep.iter().for_each(|(key, value)| work.note(key, value, false)));
    host.wait(300);
    host.engine.expire(host.now).unwrap();
    assert_eq!(host.connections(), 2);
}

#[test]
fn why_tells_without_any_effect() {
    let host = web();
    let (c, w) = (host.scenario.eni("c"), "10.0.2.10".parse().unwrap());
    let ask = |port| host.engine.why(c.into(), w, Probe::Tcp { port }, host.now).unwrap().1;
    assert!(ask(80).is_reachable());
    let Verdict::Drop(drop) = ask(22).forward.verdict().clone() else { panic!("must be dropped") };
    assert_eq!(drop.reason, DropReason::SecurityGroupIngress);
    assert_eq!(drop.missing.unwrap().groups, [host.scenario.security_group("web")]);
    assert_eq!((host.flows(), host.connections()), (0, 0));
}

#[test]
fn what_is_dropped_is_told_with_its_cause() {
    let mut host = web();
    host.send("c > w tcp 4000:22 syn");
    host.wait(2);
    host.send("c > w tcp 4000:23 syn");
    host.send("c > w tcp 4000:23 syn");
    host.send("c > w tcp 4000:80 syn");
    let dropped = host.engine.dropped_flows(10, host.now).unwrap();
    let told: Vec<_> = dropped.iter().map(|d| (d.flow.as_str(), d.packets, d.idle_secs)).collect();
    assert_eq!(told, [("tcp 10.0.1.20:4000 > 10.0.2.10:23", 2, 0), ("tcp 10.0.1.20:4000 > 10.0.2.10:22", 1, 2)]);
    assert_eq!(dropped[0].reason, "security-group-ingress");
    assert_eq!(dropped[0].resource, Some(Resource::SecurityGroup { id: host.scenario.security_group("web") }));
    assert_eq!(host.engine.dropped_flows(1, host.now).unwrap().len(), 1);
}

#[test]
fn random_bytes_are_dropped_and_counted() {
    let mut host = web();
    let c = host.scenario.eni("c");
    let mut rng = Rng::new(1);
    for round in 0..20_000 {
        let length = rng.between(0, 120);
        let mut frame = rng.bytes(length);
        if round % 2 == 0 && frame.len() > 14 {
            let types = [[0x08, 0x00], [0x86, 0xdd], [0x08, 0x06]];
            let ether_type = *rng.pick(&types);
            frame[12..14].copy_from_slice(&ether_type);
            frame[6..12].copy_from_slice(&host.scenario.world.eni(c).unwrap().mac.0);
        }
        host.send_frame(c, &mut frame);
    }
    let dropped: u64 = host.engine.counters().drops.values().sum();
    let totals = host.engine.counters().totals;
    assert_eq!(dropped + totals.delivered + totals.answered, 20_000);
}

/// Whatever is cached, a packet fares as a fresh trace says.
#[test]
fn on_random_worlds_the_cache_never_disagrees_with_the_trace() {
    let mut hits = 0;
    for seed in 0..60 {
        let world = RandomWorld::with_ways(seed);
        let mut host = Host::new(&world.text);
        let mut rng = Rng::new(seed);
        for round in 0..12 {
            let packets = world.packets(&mut rng, 25);
            for text in packets.iter().chain(&packets) {
                // Some name an ENI that a change has deleted.
                let Ok(Sent { packet, .. }) = host.scenario.packet(text) else { continue };
                let is_fragment = matches!(&packet, Packet::Ip(ip) if ip.fragment.is_some());
                let expected = fate(&host.verdict(text));
                let seen = host.send(text);
                hits += usize::from(matches!(seen, Seen::Hit(_)));
                // Of fragments the engine knows more than one packet tells; a reopened tuple has lost its connection.
                if is_fragment || matches!(seen, Seen::Upcall(Cause::Reopen, _)) {
                    continue;
                }
                // A cached drop names why packets of any size die.
                let is_large = expected == Fate::Dropped(DropReason::TooLarge);
                if is_large && matches!(seen, Seen::Hit(Fate::Dropped(_))) {
                    continue;
                }
                assert_eq!(seen.fate(), expected, "seed {seed}, round {round}: {text}\nsaw {seen:?}\n{}", world.text);
            }
            let change = world.change(&mut rng);
            host.change(&change);
            host.wait(7);
            if round % 3 == 2 {
                host.engine.expire(host.now).unwrap();
            }
            if round == 8 {
                host.restart();
            }
            let delivering = host.kernel.tables().flows.values().filter(|f| f.action == ACTION_DELIVER).count();
            assert!(delivering <= host.flows());
        }
    }
    assert!(hits > 1000, "only {hits} packets met the cache");
}

fn fate(verdict: &Verdict) -> Fate {
    match verdict {
        Verdict::Deliver { eni, .. } => Fate::Delivered(*eni),
        Verdict::Uplink => Fate::LeftRegion,
        Verdict::LocalService(service) => Fate::Answered(*service),
        Verdict::Drop(drop) => Fate::Dropped(drop.reason),
    }
}
