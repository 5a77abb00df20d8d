//! On random worlds and packets: what the trace says is what the executor and the kernel program do.
//!
//! The test is the agent: it traces, opens connections, installs entries, and after each change re-traces what is
//! cached. Then every packet sent so far must be treated as a fresh trace of it says. Every second world has ways in
//! and out; there the outside answers what reaches it, so that translations are replayed in both directions.

use gp_abi::ACTION_DELIVER;
use gp_agreement::{IFINDEXES, Pair, cases, with_interfaces};
use gp_compile::{Cause, FlowEntry, HostSide, HostSides, Outcome, Output, UplinkSide, key_of};
use gp_maps::UpcallBudget;
use gp_model::{EniId, Mac, Timestamp};
use gp_trace::{Ingress, Path, Verdict, trace};
use gp_wire::{FiveTuple, IpPacket, Packet, Transport, build, icmp, protocol};
use gp_worlds::random::RandomWorld;
use gp_worlds::{Rng, Scenario, Sent};
use std::collections::BTreeMap;

const PACKETS: usize = 60;
const PACKETS_BETWEEN_CHANGES: usize = 10;
const UNLIMITED: UpcallBudget = UpcallBudget { per_second: 0, burst: u32::MAX };
const TOLERANCE_NS: u64 = 5_000_000_000;
const ETHERNET_BYTES: u32 = 14;
/// The kernel takes no longer frames for a test run: they must fit one page with room around them.
const FRAME_MAX_BYTES: u32 = 3_500;
/// Frames from and to the outside come in and go out here; texts of packets give its peer this MAC address.
const UPLINK: HostSide = HostSide {
    ifindex: IFINDEXES.start,
    vlan: 0,
    output: Output::Peer,
    mac: Mac([0x12, 0, 0, 0, 0, 1]),
    mtu: 1500,
    allowance: 0,
};
const UPLINK_OWN: Mac = Mac([0x12, 0, 0, 0, 0, 2]);

/// How ENIs and the outside hang on the host.
#[derive(Default)]
struct Sides(BTreeMap<EniId, HostSide>);

impl HostSides for Sides {
    fn host_side(&self, eni: EniId) -> Option<HostSide> {
        self.0.get(&eni).copied()
    }
    fn uplink(&self) -> Option<UplinkSide> {
        Some(UplinkSide { side: UPLINK, own_mac: UPLINK_OWN })
    }
}

struct Agent {
    scenario: Scenario,
    pair: Pair,
    host_sides: Sides,
    sent: Vec<(String, Sent)>,
    seen: BTreeMap<&'static str, usize>,
}

impl Agent {
    fn new(scenario: Scenario, pair: Pair) -> Self {
        let mut agent = Self { scenario, pair, host_sides: Sides::default(), sent: Vec::new(), seen: BTreeMap::new() };
        agent.pair.set_budget(UPLINK.ifindex, UNLIMITED);
        agent
    }

    /// A host side for each ENI of the world that has a guest; those that left keep theirs, as interfaces do until they
    /// are removed.
    fn plug_in(&mut self) {
        for eni in self.scenario.world.tables().enis.values().filter(|eni| !eni.requester_managed) {
            let ifindex = UPLINK.ifindex + 1 + self.host_sides.0.len() as u32;
            let host_side = HostSide { ifindex, vlan: 0, output: Output::Peer, mac: eni.mac, mtu: 9001, allowance: 0 };
            self.host_sides.0.entry(eni.id).or_insert_with(|| {
                self.pair.set_budget(ifindex, UNLIMITED);
                host_side
            });
        }
    }

    fn trace(&self, sent: &Sent) -> Option<Path> {
        let Scenario { world, connections, .. } = &self.scenario;
        trace(world, connections, sent.ingress, &sent.packet, Timestamp(0)).ok()
    }

    fn entry(&self, path: &Path) -> Option<FlowEntry> {
        FlowEntry::from_path(path, &self.host_sides)
    }

    /// A packet arrives for the first time, or again. The answer that it calls for, if that comes from outside.
    fn send(&mut self, text: &str) -> Option<String> {
        let sent = self.scenario.packet(text).ok().filter(fits_a_test_run)?;
        let path = self.trace(&sent)?;
        self.scenario.connections.apply(&path);
        self.refresh();
        let path = self.trace(&sent).expect("it could be traced a moment ago");
        if let Some(entry) = self.entry(&path)
            && !self.is_installed(&sent)
        {
            let (before, _) = self.pair.run(&build::emit(&sent.packet), self.ifindex(&sent), None);
            assert!(matches!(before, Outcome::Upcall(_)), "{text}: not installed yet, but {before:?}");
            self.pair.set_flow(entry.key(), entry.value());
        }
        self.check(text, &sent, &path);
        self.sent.push((text.to_owned(), sent));
        answer_from_outside(&path)
    }

    /// Re-traces what was sent and replaces the entries in place.
    fn refresh(&mut self) {
        let mut installed = std::mem::take(&mut self.pair.rust.flows);
        let mut fresh = BTreeMap::new();
        for (_, sent) in &self.sent {
            if let Some(entry) = self.trace(sent).and_then(|path| self.entry(&path)) {
                fresh.insert(*entry.key(), entry);
            }
        }
        let gone: Vec<_> = installed.keys().filter(|key| !fresh.contains_key(*key)).copied().collect();
        let renewed: Vec<_> = fresh
            .values()
            .filter_map(|entry| Some((entry, installed.get(entry.key())?)))
            .map(|(entry, old)| entry.with_counters_of(old))
            .filter(|entry| installed.get(entry.key()) != Some(entry.value()))
            .collect();
        std::mem::swap(&mut self.pair.rust.flows, &mut installed);
        gone.iter().for_each(|key| self.pair.remove_flow(key));
        renewed.iter().for_each(|entry| self.pair.set_flow(entry.key(), entry.value()));
    }

    fn ifindex(&self, sent: &Sent) -> u32 {
        match sent.ingress {
            Ingress::Eni(eni) => self.host_sides.0[&eni].ifindex,
            Ingress::Uplink => UPLINK.ifindex,
        }
    }

    /// Is there an entry that the packet itself is looked up by? A fragment or a frame with a foreign MAC may be the
    /// reason for an entry that it never meets, where the trace ends before it looks at that.
    fn is_installed(&self, sent: &Sent) -> bool {
        key_of(&sent.packet, self.ifindex(sent)).is_some_and(|key| self.pair.rust.flows.contains_key(&key))
    }

    /// Sends the packet's frame through both, and holds them against the trace.
    fn check(&mut self, text: &str, sent: &Sent, path: &Path) {
        let frame = build::emit(&sent.packet);
        let entry = self.entry(path);
        let is_installed = self.is_installed(sent);
        let reopens = entry.is_some_and(|entry| Self::reopens(sent, &entry));
        let (outcome, bytes) = self.pair.run(&frame, self.ifindex(sent), None);
        let name = match (path.verdict(), outcome) {
            _ if entry.is_none() => {
                assert!(matches!(outcome, Outcome::Upcall(_)), "{text}: not cacheable, but {outcome:?} for {path:#?}");
                "slow"
            }
            _ if !is_installed => {
                assert!(matches!(outcome, Outcome::Upcall(Cause::Miss | Cause::Slow)), "{text}: {outcome:?}");
                "miss"
            }
            _ if reopens => {
                assert_eq!(outcome, Outcome::Upcall(Cause::Reopen), "{text}");
                "reopen"
            }
            _ if is_too_large(sent, &entry) => {
                assert_eq!(outcome, Outcome::Upcall(Cause::TooLarge), "{text}: {path:#?}");
                "too large"
            }
            (Verdict::Deliver { eni, src_mac, dst_mac }, _) => self.check_delivered(
                text,
                sent,
                path,
                (self.host_sides.0[eni].ifindex, *src_mac, *dst_mac),
                outcome,
                &bytes,
            ),
            (Verdict::Uplink, _) => {
                self.check_delivered(text, sent, path, (UPLINK.ifindex, UPLINK_OWN, UPLINK.mac), outcome, &bytes)
            }
            (Verdict::Drop(drop), _) => {
                assert_eq!(outcome, Outcome::Drop { code: drop.reason.code() }, "{text}: {path:#?}");
                "drop"
            }
            (Verdict::LocalService(_), _) => unreachable!("local services have no entry"),
        };
        *self.seen.entry(name).or_default() += 1;
    }

    /// It came out there, with these Ethernet addresses, and translated as the trace says.
    fn check_delivered(
        &self,
        text: &str,
        sent: &Sent,
        path: &Path,
        (port, src_mac, dst_mac): (u32, Mac, Mac),
        outcome: Outcome,
        bytes: &[u8],
    ) -> &'static str {
        assert_eq!(outcome, Outcome::Deliver { port }, "{text}: {path:#?}");
        let Packet::Ip(packet) = &sent.packet else { unreachable!("ARP has no entry") };
        let tuple = path.translated();
        let transport = match packet.transport {
            Transport::Icmp { icmp_type, code, .. } => Transport::Icmp { icmp_type, code, id: tuple.src_port },
            other => other,
        };
        let wanted = IpPacket { src_mac, dst_mac, tuple, transport, ..packet.clone() };
        assert_eq!(bytes, build::emit(&Packet::Ip(wanted)), "{text}: {path:#?}");
        if tuple == path.tuple() { "deliver" } else { "translate" }
    }

    /// Is it a SYN that the slow path must see, since its connection may be a new one?
    fn reopens(sent: &Sent, entry: &FlowEntry) -> bool {
        let Packet::Ip(ip) = &sent.packet else { return false };
        let Transport::Tcp { flags } = ip.transport else { return false };
        flags.opens() && entry.value().action == ACTION_DELIVER
    }

    /// Every packet so far is treated as a fresh trace says.
    fn check_all(&mut self) {
        for (text, sent) in self.sent.clone() {
            if let Some(path) = self.trace(&sent) {
                self.check(&text, &sent, &path);
            }
        }
    }
}

fn fits_a_test_run(sent: &Sent) -> bool {
    !matches!(&sent.packet, Packet::Ip(packet) if packet.frame_bytes > FRAME_MAX_BYTES)
}

fn is_too_large(sent: &Sent, entry: &Option<FlowEntry>) -> bool {
    let Packet::Ip(packet) = &sent.packet else { return false };
    let mtu = entry.map_or(0, |entry| entry.value().mtu);
    mtu != 0 && packet.packet_bytes() + ETHERNET_BYTES > u32::from(mtu)
}

/// The text of what somebody outside answers to a packet that has reached them.
fn answer_from_outside(path: &Path) -> Option<String> {
    if *path.verdict() != Verdict::Uplink {
        return None;
    }
    let FiveTuple { protocol, src, dst, src_port, dst_port } = path.translated();
    let rest = match (protocol, path.translated().icmp_type()) {
        (protocol::TCP, _) => format!("tcp {dst_port}:{src_port} syn+ack"),
        (protocol::UDP, _) => format!("udp {dst_port}:{src_port}"),
        (_, Some(icmp::ECHO_REQUEST | icmp::V6_ECHO_REQUEST)) => format!("icmp reply id {src_port}"),
        _ => return None,
    };
    Some(format!("uplink[{dst}] > {src} {rest}"))
}

fn random_world(seed: u64) -> RandomWorld {
    if seed.is_multiple_of(2) { RandomWorld::new(seed) } else { RandomWorld::with_ways(seed) }
}

fn try_world(seed: u64, pair: Pair) -> (Pair, BTreeMap<&'static str, usize>) {
    let world = random_world(seed);
    let mut rng = Rng::new(seed);
    let mut agent = Agent::new(world.scenario(), pair);
    for texts in world.packets(&mut rng, PACKETS).chunks(PACKETS_BETWEEN_CHANGES) {
        agent.plug_in();
        for text in texts {
            let answer = agent.send(text);
            answer.into_iter().for_each(|answer| drop(agent.send(&answer)));
            if rng.chance(10) && !text.contains(" len") {
                agent.send(&format!("{text} len 2000 nodf"));
            }
        }
        agent.check_all();
        agent.scenario.apply(&world.change(&mut rng)).expect("a random change can be read");
        agent.refresh();
        agent.check_all();
    }
    agent.pair.compare_ledgers(TOLERANCE_NS);
    let flows: Vec<_> = agent.pair.rust.flows.keys().copied().collect();
    flows.iter().for_each(|key| agent.pair.remove_flow(key));
    (agent.pair, agent.seen)
}

fn try_worlds() -> BTreeMap<&'static str, usize> {
    let mut pair = Pair::new();
    let mut total = BTreeMap::new();
    for seed in 0..cases(2000) {
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| try_world(seed, pair)));
        let seen = match tried {
            Ok((returned, seen)) => {
                pair = returned;
                seen
            }
            Err(panic) => {
                println!("failed at seed {seed}, in this world:\n{}", random_world(seed).text);
                std::panic::resume_unwind(panic);
            }
        };
        seen.into_iter().for_each(|(name, count)| *total.entry(name).or_default() += count);
    }
    total
}

#[test]
fn trace_executor_and_kernel_program_agree() {
    with_interfaces(|| {
        let total = try_worlds();
        println!("{total:?}");
        for outcome in ["deliver", "translate", "too large", "drop", "slow", "reopen"] {
            assert!(total.contains_key(outcome), "{outcome} never came up");
        }
    });
}
