//! On random worlds and packets: what the trace says is what the executor and the kernel program do.
//!
//! The test is the agent: it traces, opens connections, installs entries, and after each change re-traces what is
//! cached. Then every packet sent so far must be treated as a fresh trace of it says.

use gp_abi::ACTION_DELIVER;
use gp_agreement::{IFINDEXES, Pair, cases, with_interfaces};
use gp_compile::{Cause, FlowEntry, HostSide, Outcome, Output, key_of};
use gp_maps::UpcallBudget;
use gp_model::{EniId, Timestamp};
use gp_trace::{Ingress, Path, Verdict, trace};
use gp_wire::{Packet, Transport, build};
use gp_worlds::random::RandomWorld;
use gp_worlds::{Rng, Scenario, Sent};
use std::collections::BTreeMap;

const PACKETS: usize = 60;
const PACKETS_BETWEEN_CHANGES: usize = 10;
const UNLIMITED: UpcallBudget = UpcallBudget { per_second: 0, burst: u32::MAX };
const TOLERANCE_NS: u64 = 5_000_000_000;

struct Agent {
    scenario: Scenario,
    pair: Pair,
    host_sides: BTreeMap<EniId, HostSide>,
    sent: Vec<(String, Sent)>,
    seen: BTreeMap<&'static str, usize>,
}

impl Agent {
    fn new(scenario: Scenario, pair: Pair) -> Self {
        Self { scenario, pair, host_sides: BTreeMap::new(), sent: Vec::new(), seen: BTreeMap::new() }
    }

    /// A host side for each ENI of the world; those that left keep theirs, as interfaces do until they are removed.
    fn plug_in(&mut self) {
        for eni in self.scenario.world.tables().enis.values() {
            let ifindex = IFINDEXES.start + self.host_sides.len() as u32;
            let host_side = HostSide { ifindex, vlan: 0, output: Output::Peer, mac: eni.mac, mtu: 9001, allowance: 0 };
            self.host_sides.entry(eni.id).or_insert_with(|| {
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
        FlowEntry::from_path(path, &|eni| self.host_sides.get(&eni).copied())
    }

    /// A packet arrives for the first time, or again.
    fn send(&mut self, text: &str) {
        let Ok(sent) = self.scenario.packet(text) else { return };
        let Some(path) = self.trace(&sent) else { return };
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
        let Ingress::Eni(eni) = sent.ingress else { unreachable!("packets of random worlds come from ENIs") };
        self.host_sides[&eni].ifindex
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
            (Verdict::Deliver { eni, src_mac, dst_mac }, _) => {
                let port = self.host_sides[eni].ifindex;
                assert_eq!(outcome, Outcome::Deliver { port }, "{text}: {path:#?}");
                let rewritten = [&dst_mac.0[..], &src_mac.0[..], &frame[12..]].concat();
                assert_eq!(bytes, rewritten, "{text}");
                "deliver"
            }
            (Verdict::Drop(drop), _) => {
                assert_eq!(outcome, Outcome::Drop { code: drop.reason.code() }, "{text}: {path:#?}");
                "drop"
            }
            (Verdict::Uplink | Verdict::LocalService(_), _) => unreachable!("local services have no entry"),
        };
        *self.seen.entry(name).or_default() += 1;
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

fn try_world(seed: u64, pair: Pair) -> (Pair, BTreeMap<&'static str, usize>) {
    let world = RandomWorld::new(seed);
    let mut rng = Rng::new(seed);
    let mut agent = Agent::new(world.scenario(), pair);
    for texts in world.packets(&mut rng, PACKETS).chunks(PACKETS_BETWEEN_CHANGES) {
        agent.plug_in();
        texts.iter().for_each(|text| agent.send(text));
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
                println!("failed at seed {seed}, in this world:\n{}", RandomWorld::new(seed).text);
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
        for outcome in ["deliver", "drop", "slow", "reopen"] {
            assert!(total.contains_key(outcome), "{outcome} never came up");
        }
    });
}
