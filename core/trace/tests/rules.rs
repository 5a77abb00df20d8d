//! The index of rules against what it stands for: a walk over all rules of the ENI's groups, one after the other. Random
//! rules of all kinds, changed again and again, and random packets: the same rule is named, the same lists are read.

use gp_model::*;
use gp_trace::{Detail, Effect, Path, Read, Resource, Stage, Tracker, Verdict, trace};
use gp_wire::build::{self, Ends};
use gp_wire::{FiveTuple, IpPacket, Packet, TcpFlags, icmp, protocol};
use gp_worlds::{Rng, Scenario};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const SEEDS: u64 = 60;
/// Changes of the groups of one world.
const ROUNDS: usize = 12;
const PACKETS: usize = 25;

const WORLD: &str = "
    vpc a 10.0.0.0/16,2001:db8:0::/48
    subnet s a 10.0.0.0/24,2001:db8:0:1::/64
    pl few 10.0.0.0/28,10.0.0.64/26,192.0.2.0/24; pl six 2001:db8:0:1::/96,::/0; pl none 203.0.113.0/24
    sg g0 a; sg g1 a; sg g2 a; sg other a
    eni c s 10.0.0.10,10.0.0.70,2001:db8:0:1::a sg other,g2
    eni d s 10.0.0.11,10.0.0.200,2001:db8:0:1::b sg other
    eni w s 10.0.0.20,2001:db8:0:1::20 sg g0,g1,g2
";
const GROUPS: [&str; 3] = ["g0", "g1", "g2"];
const PORTS: [u16; 9] = [0, 22, 23, 80, 443, 1024, 40000, 49152, 65535];
const ENDS: [u16; 8] = [0, 1, 22, 80, 443, 1024, 49151, 65535];

fn ports(rng: &mut Rng) -> PortRange {
    match rng.below(4) {
        0 => PortRange::ALL,
        1 => {
            let port = *rng.pick(&PORTS);
            PortRange { from: port, to: port }
        }
        // Some end before they start: they are about nothing.
        _ => PortRange { from: *rng.pick(&ENDS), to: *rng.pick(&ENDS) },
    }
}

fn icmp_match(rng: &mut Rng) -> (Option<u8>, Option<u8>) {
    let icmp_type = rng.chance(60).then(|| *rng.pick(&[0, 3, 8, 128, 129, 1]));
    (icmp_type, rng.chance(50).then(|| rng.below(3) as u8))
}

fn traffic(rng: &mut Rng) -> TrafficMatch {
    match rng.below(8) {
        0..3 => TrafficMatch::Tcp(ports(rng)),
        3 | 4 => TrafficMatch::Udp(ports(rng)),
        5 => {
            let (icmp_type, code) = icmp_match(rng);
            match rng.chance(50) {
                true => TrafficMatch::Icmp { icmp_type, code },
                false => TrafficMatch::Icmpv6 { icmp_type, code },
            }
        }
        6 => TrafficMatch::Protocol(*rng.pick(&[1, 6, 47, 50, 132])),
        _ => TrafficMatch::All,
    }
}

fn peer(rng: &mut Rng, scenario: &Scenario) -> RulePeer {
    let list = |name: &str| {
        let named = |list: &&std::sync::Arc<PrefixList>| list.name == name;
        RulePeer::PrefixList(scenario.world.tables().prefix_lists.values().find(named).unwrap().id)
    };
    match rng.below(9) {
        0..3 => {
            let address = *rng.pick(&[[10, 0, 0, 10], [10, 0, 0, 11], [10, 0, 0, 70], [192, 0, 2, 1]]);
            let length = *rng.pick(&[0, 8, 16, 24, 26, 28, 31, 32]);
            RulePeer::Ipv4(Ipv4Net::new(Ipv4Addr::from(address), length).unwrap().trunc())
        }
        3 | 4 => {
            let address: Ipv6Addr = rng.pick(&["2001:db8:0:1::a", "2001:db8:0:1::b", "fd00::1"]).parse().unwrap();
            let length = *rng.pick(&[0, 16, 48, 64, 96, 127, 128]);
            RulePeer::Ipv6(Ipv6Net::new(address, length).unwrap().trunc())
        }
        5 | 6 => list(rng.pick::<&str>(&["few", "six", "none"])),
        _ => {
            let name = *rng.pick(&["g0", "g1", "g2", "other"]);
            let group = scenario.world.security_group(scenario.security_group(name)).unwrap();
            RulePeer::Group { group: group.id, owner: group.owner }
        }
    }
}

fn rule(rng: &mut Rng, scenario: &Scenario) -> SecurityGroupRule {
    SecurityGroupRule {
        id: SecurityGroupRuleId::from_bits(u128::from(rng.next_u64())),
        direction: if rng.chance(70) { Direction::Ingress } else { Direction::Egress },
        traffic: traffic(rng),
        peer: peer(rng, scenario),
        description: None,
        tags: Default::default(),
    }
}

/// Adds rules, takes some out, and turns some into others under the same id.
fn change(rng: &mut Rng, scenario: &mut Scenario) {
    let id = scenario.security_group(rng.pick::<&str>(&GROUPS));
    let mut group = SecurityGroup::clone(scenario.world.security_group(id).unwrap());
    for _ in 0..rng.below(12) {
        let new = rule(rng, scenario);
        group.rules.insert(new.id, new);
    }
    for old in group.rules.keys().copied().collect::<Vec<_>>() {
        match rng.below(6) {
            0 => drop(group.rules.remove(&old)),
            1 => drop(group.rules.insert(old, SecurityGroupRule { id: old, ..rule(rng, scenario) })),
            _ => {}
        }
    }
    scenario.world.apply(Change::Put(group.into()));
}

/// To `w`, from an ENI of the same subnet: no network ACL and no route has a say.
fn packet(rng: &mut Rng, scenario: &Scenario) -> (EniId, IpPacket) {
    let sender = scenario.world.eni(scenario.eni(rng.pick::<&str>(&["c", "d"]))).unwrap();
    let receiver = scenario.world.eni(scenario.eni("w")).unwrap();
    let (src, dst): (IpAddr, IpAddr) = if rng.chance(60) {
        ((*rng.pick(&sender.private_ipv4)).into(), receiver.private_ipv4[0].into())
    } else {
        (sender.ipv6[0].into(), receiver.ipv6[0].into())
    };
    let ends = Ends { src_mac: sender.mac, dst_mac: receiver.mac, src, dst };
    let (from, to) = (*rng.pick(&PORTS), *rng.pick(&PORTS));
    let packet = match rng.below(6) {
        0..3 => build::tcp(ends, from, to, TcpFlags(TcpFlags::SYN), 0),
        3 => build::udp(ends, from, to, 0),
        4 => {
            let types = if src.is_ipv4() { [icmp::ECHO_REQUEST, 0, 3] } else { [icmp::V6_ECHO_REQUEST, 129, 1] };
            build::icmp(ends, *rng.pick(&types), rng.below(3) as u8, 7, 0)
        }
        _ => build::other(ends, *rng.pick(&[47, 50, 132]), 0),
    };
    (sender.id, packet)
}

fn covers(traffic: TrafficMatch, tuple: &FiveTuple) -> bool {
    let [packet_type, packet_code] = tuple.dst_port.to_be_bytes();
    let is_icmp = |number: u8, icmp_type: Option<u8>, code: Option<u8>| {
        tuple.protocol == number
            && icmp_type.is_none_or(|wanted| wanted == packet_type)
            && code.is_none_or(|wanted| wanted == packet_code)
    };
    match traffic {
        TrafficMatch::All => true,
        TrafficMatch::Tcp(ports) => tuple.protocol == protocol::TCP && ports.contains(tuple.dst_port),
        TrafficMatch::Udp(ports) => tuple.protocol == protocol::UDP && ports.contains(tuple.dst_port),
        TrafficMatch::Icmp { icmp_type, code } => is_icmp(protocol::ICMP, icmp_type, code),
        TrafficMatch::Icmpv6 { icmp_type, code } => is_icmp(protocol::ICMPV6, icmp_type, code),
        TrafficMatch::Protocol(number) => tuple.protocol == number,
    }
}

fn covers_all_ports(traffic: TrafficMatch, tuple: &FiveTuple) -> bool {
    match traffic {
        TrafficMatch::Tcp(ports) | TrafficMatch::Udp(ports) => ports == PortRange::ALL && covers(traffic, tuple),
        TrafficMatch::Icmp { .. } | TrafficMatch::Icmpv6 { .. } => false,
        other => covers(other, tuple),
    }
}

/// The walk.
struct Walk<'w> {
    world: &'w World,
    eni: &'w Eni,
    tuple: FiveTuple,
    lists_read: BTreeSet<PrefixListId>,
    asked_for_sender: bool,
}

impl<'w> Walk<'w> {
    fn groups(&self) -> impl Iterator<Item = &'w SecurityGroup> + use<'w> {
        let (world, eni) = (self.world, self.eni);
        eni.groups.iter().map(|id| &**world.security_group(*id).unwrap())
    }

    fn first(&mut self, sender: &Eni) -> Option<(SecurityGroupId, SecurityGroupRuleId)> {
        for group in self.groups() {
            for rule in group.rules(Direction::Ingress) {
                if covers(rule.traffic, &self.tuple) && self.is_peer(rule.peer, sender) {
                    return Some((group.id, rule.id));
                }
            }
        }
        None
    }

    fn is_peer(&mut self, peer: RulePeer, sender: &Eni) -> bool {
        let src = self.tuple.src;
        match peer {
            RulePeer::Ipv4(block) => IpNet::V4(block).contains(&src),
            RulePeer::Ipv6(block) => IpNet::V6(block).contains(&src),
            RulePeer::PrefixList(list) => {
                self.lists_read.insert(list);
                self.world.prefix_list(list).unwrap().entries().iter().any(|entry| entry.block.contains(&src))
            }
            RulePeer::Group { group, .. } => {
                self.asked_for_sender = true;
                sender.groups.contains(&group)
            }
        }
    }

    fn is_open(&self, direction: Direction, wanted: impl Fn(TrafficMatch) -> bool) -> bool {
        let is_anybody = |rule: &&SecurityGroupRule| {
            let is_family = |block: IpNet| matches!(block, IpNet::V4(_)) == self.tuple.src.is_ipv4();
            rule.peer.block().is_some_and(|block| block.prefix_len() == 0 && is_family(block))
        };
        self.groups().any(|group| group.rules(direction).filter(is_anybody).any(|rule| wanted(rule.traffic)))
    }

    fn is_untracked(&self) -> bool {
        use Direction::{Egress, Ingress};
        let (tuple, answer) = (self.tuple, self.tuple.reversed());
        let all_ports = |traffic| covers_all_ports(traffic, &tuple);
        let is_eligible = matches!(tuple.protocol, protocol::TCP | protocol::UDP);
        let asks = self.is_open(Ingress, |traffic| covers(traffic, &tuple)) && self.is_open(Egress, all_ports);
        let answers = self.is_open(Ingress, all_ports) && self.is_open(Egress, |traffic| covers(traffic, &answer));
        is_eligible && (asks || answers)
    }
}

fn named(path: &Path) -> Option<(SecurityGroupId, SecurityGroupRuleId)> {
    let mut steps = path.hops().iter().flat_map(|hop| &hop.steps);
    match steps.find(|step| step.stage == Stage::SecurityGroupIn)?.resource? {
        Resource::SecurityGroupRule { id, group } => Some((group, id)),
        _ => None,
    }
}

/// What came up: without all of it a test would prove nothing.
#[derive(Debug, Default)]
struct Seen {
    passed: usize,
    dropped: usize,
    untracked: usize,
    lists: usize,
}

fn compare(scenario: &Scenario, from: EniId, packet: IpPacket, seen: &mut Seen) {
    let tuple = packet.tuple;
    let world = &scenario.world;
    let path = trace(world, &scenario.connections, from, &Packet::Ip(packet), Timestamp(0)).unwrap();
    let eni = world.eni(scenario.eni("w")).unwrap();
    let mut walk = Walk { world, eni, tuple, lists_read: BTreeSet::new(), asked_for_sender: false };
    let first = walk.first(world.eni(from).unwrap());
    assert_eq!(named(&path), first, "{tuple:?}");

    let reads = |read: &Read| match read {
        Read::PrefixList(list) => Some(*list),
        _ => None,
    };
    let read: BTreeSet<_> = path.reads().iter().filter_map(reads).collect();
    assert_eq!(read, walk.lists_read, "{tuple:?}");
    let has_asked = path.reads().contains(&Read::Holder(eni.vpc, tuple.src));
    assert!(has_asked || !walk.asked_for_sender, "{tuple:?}");
    seen.lists += read.len();

    let opens = |effect: &Effect| {
        let Effect::OpenConnection { tracker, .. } = effect;
        *tracker == Tracker::Eni(eni.id)
    };
    match path.verdict() {
        Verdict::Deliver { .. } => {
            assert_eq!(path.effects().iter().any(opens), !walk.is_untracked(), "{tuple:?}");
            seen.passed += 1;
            seen.untracked += usize::from(walk.is_untracked());
        }
        Verdict::Drop(_) => seen.dropped += 1,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_rule_that_is_named_is_the_first_of_a_walk_over_all_of_them() {
    let mut seen = Seen::default();
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let mut scenario: Scenario = WORLD.parse().unwrap();
        for _ in 0..ROUNDS {
            change(&mut rng, &mut scenario);
            for _ in 0..PACKETS {
                let (from, packet) = packet(&mut rng, &scenario);
                compare(&scenario, from, packet, &mut seen);
            }
        }
    }
    let all = SEEDS as usize * ROUNDS * PACKETS;
    let Seen { passed, dropped, untracked, lists } = seen;
    assert!(passed > all / 5 && dropped > all / 20 && untracked > all / 50 && lists > all / 20, "{seen:?} of {all}");
}

#[test]
fn an_index_that_was_changed_is_the_one_that_would_be_made() {
    for seed in 0..SEEDS {
        let mut rng = Rng::new(seed);
        let mut scenario: Scenario = WORLD.parse().unwrap();
        for _ in 0..ROUNDS {
            change(&mut rng, &mut scenario);
        }
        let world = &scenario.world;
        let mut made = World::new(world.region.clone());
        world.tables().records().for_each(|record| made.apply(Change::Put(record)));
        for group in world.tables().security_groups.values() {
            assert_eq!(world.rules_of_group(group.id), made.rules_of_group(group.id), "seed {seed}");
            let naming = |world: &World| world.groups_naming(group.id).collect::<Vec<_>>();
            assert_eq!(naming(world), naming(&made), "seed {seed}");
            for rule in group.rules.keys() {
                assert_eq!(world.group_of_rule(*rule).map(|group| group.id), Some(group.id), "seed {seed}");
            }
        }
        for list in world.tables().prefix_lists.keys() {
            let naming = |world: &World| world.groups_naming_list(*list).collect::<Vec<_>>();
            assert_eq!(naming(world), naming(&made), "seed {seed}");
        }
    }
}

/// Groups as long as AWS grants, of overlapping ranges and nested blocks.
#[test]
fn of_thousands_of_overlapping_rules_the_first_is_named() {
    let mut scenario: Scenario = WORLD.parse().unwrap();
    let mut rng = Rng::new(1);
    for name in GROUPS {
        let mut group = SecurityGroup::clone(scenario.world.security_group(scenario.security_group(name)).unwrap());
        group.rules.clear();
        for number in 0..1000u16 {
            let (id, direction) = (SecurityGroupRuleId::from_bits(rng.next_u64().into()), Direction::Ingress);
            let traffic = TrafficMatch::Tcp(PortRange { from: number, to: 2 * number });
            let peer =
                RulePeer::Ipv4(Ipv4Net::new(Ipv4Addr::new(10, 0, 0, 10), 8 + (number % 25) as u8).unwrap().trunc());
            group.rules.insert(
                id,
                SecurityGroupRule { id, direction, traffic, peer, description: None, tags: Default::default() },
            );
        }
        scenario.world.apply(Change::Put(group.into()));
    }
    for port in [0, 1, 500, 999, 1000, 1998] {
        let sent = scenario.packet(&format!("c > w tcp 4000:{port} syn")).unwrap();
        let path = trace(&scenario.world, &scenario.connections, sent.ingress, &sent.packet, Timestamp(0)).unwrap();
        let group = scenario.world.security_group(scenario.security_group("g0")).unwrap();
        let tuple = path.tuple();
        let first = group.rules(Direction::Ingress).find(|rule| covers(rule.traffic, &tuple)).unwrap();
        assert_eq!(named(&path), Some((group.id, first.id)), "{port}");
        let details = path.hops().iter().flat_map(|hop| &hop.steps).map(|step| &step.detail);
        assert!(details.into_iter().any(|detail| *detail == Detail::RuleAllows { tracked: true }));
    }
}
