//! A new world: which cached flows rest on what has changed, and what becomes of them.

use crate::clock::Now;
use crate::connections::Tracked;
use crate::engine::{Engine, PORTION, Work, plain_packet};
use crate::kernel::Kernel;
use gp_abi::FlowKey;
use gp_compile::{FlowEntry, HostView, tuple_of};
use gp_model::{NatGatewayId, NatGatewayState, World};
use gp_trace::{Ingress, Path, Read, Tracker, trace};
use gp_wire::Packet;
use std::collections::HashSet;
use std::net::IpAddr;

impl<K: Kernel> Engine<K> {
    /// Makes this the world that packets obey. When it returns, no cached flow follows the old one. Returns how many
    /// flows were traced again.
    ///
    /// Connections stay as they are, so what they let pass goes on when a group's rule is removed (EC2 user guide,
    /// "Security group connection tracking").
    ///
    /// First packets wait for a portion of them at most, and are decided by the new world from the first portion on.
    pub fn apply(&self, view: HostView, now: Now) -> usize {
        let pairs = self.work(now, |work| work.pairs_that_end_with(&view));
        for portion in pairs.chunks(PORTION) {
            self.work(now, |work| work.forget_pairs(portion.iter().copied()));
        }
        let keys = self.work(now, |work| {
            let reads = if work.has_decided() { changed_reads(&work.state.view, &view) } else { HashSet::new() };
            // Those that have come meanwhile.
            work.forget_pairs_resting_on(&reads);
            work.state.view = view;
            work.forget_lost_gateways(&reads);
            work.state.flows.resting_on(&reads)
        });
        for portion in keys.chunks(PORTION) {
            self.work(now, |work| portion.iter().for_each(|key| work.retrace(key)));
        }
        keys.len()
    }
}

impl<K: Kernel> Work<'_, K> {
    /// Traces a cached flow again and makes its entry say what the trace says; a flow that the trace would have to open
    /// a connection for goes, so that its next packet decides.
    pub fn retrace(&mut self, key: &FlowKey) {
        self.state.totals.retraced += 1;
        let Some((path, entry)) = self.decide_again(key) else {
            self.state.totals.changed += 1;
            return self.remove_flow(key);
        };
        match self.replace_flow(&entry) {
            Ok(true) => self.index(key, entry.value(), &path),
            Ok(false) => {
                self.state.flows.remove(key);
            }
            Err(error) => {
                self.failed("replace a flow", &error);
                self.remove_flow(key);
            }
        }
    }

    fn pairs_that_end_with(&self, view: &HostView) -> Vec<u64> {
        if self.state.pairs.is_empty() {
            return Vec::new();
        }
        let reads = changed_reads(&self.state.view, view);
        self.state.flows.pairs_resting_on(&reads).into_iter().collect()
    }

    /// Is there anything that a change could concern? At a start there is not, and all of the world is new.
    fn has_decided(&self) -> bool {
        self.state.flows.len() > 0 || self.state.connections.len() > 0 || !self.state.pairs.is_empty()
    }

    /// Connections end with their gateway, and with the address that it translated them to. An address that drains is
    /// there still.
    fn forget_lost_gateways(&mut self, reads: &HashSet<Read>) {
        let trackers: Vec<Tracker> = self.state.connections.trackers().collect();
        for tracker in trackers {
            match tracker {
                Tracker::Eni(_) => {}
                Tracker::NatGateway(id) if reads.contains(&Read::NatGateway(id)) => self.forget_lost_addresses(id),
                Tracker::NatGateway(_) => {}
                Tracker::EgressOnlyInternetGateway(_) if !self.is_there(tracker) => {
                    self.remove_tracker(tracker);
                }
                Tracker::EgressOnlyInternetGateway(_) => {}
            }
        }
    }

    fn forget_lost_addresses(&mut self, id: NatGatewayId) {
        let tracker = Tracker::NatGateway(id);
        let mut gateways = self.state.view.regions.values().filter_map(|world| world.nat_gateway(id));
        let addresses: HashSet<IpAddr> = match gateways.find(|gateway| gateway.state == NatGatewayState::Available) {
            Some(gateway) => gateway.addresses.iter().map(|address| address.private_ip.into()).collect(),
            None => {
                self.remove_tracker(tracker);
                self.state.nats.forget(id);
                return;
            }
        };
        let has_address =
            |tracked: &&Tracked| tracked.connection.translated.is_some_and(|tuple| addresses.contains(&tuple.src));
        let lost: Vec<Tracked> =
            self.state.connections.of_tracker(tracker).filter(|tracked| !has_address(tracked)).copied().collect();
        lost.iter().for_each(|tracked| self.close(tracker, tracked));
    }

    /// Is the tracker on this host or in a world that this host serves?
    pub fn is_there(&self, tracker: Tracker) -> bool {
        let mut worlds = self.state.view.regions.values();
        match tracker {
            Tracker::Eni(eni) => self.state.ports.get(eni).is_some(),
            Tracker::NatGateway(id) => worlds.any(|world| world.nat_gateway(id).is_some()),
            Tracker::EgressOnlyInternetGateway(id) => {
                worlds.any(|world| world.egress_only_internet_gateway(id).is_some())
            }
        }
    }

    /// The flow's path in the world of now, if it may be cached as it is.
    pub fn decide_again(&self, key: &FlowKey) -> Option<(Path, FlowEntry)> {
        let side = self.state.ports.at(key.port)?;
        let world = self.world_of(side)?;
        let dst_mac = match side.ingress {
            Ingress::Eni(eni) => gp_trace::router_mac(world.eni(eni)?.subnet),
            Ingress::Uplink => side.own_mac,
        };
        let packet = Packet::Ip(plain_packet(tuple_of(key), side.mac, dst_mac));
        let path = trace(&world, &self.state.connections, side.ingress, &packet, self.now.wall).ok()?;
        if !path.effects().is_empty() {
            return None;
        }
        let entry = FlowEntry::from_path(&path, &self.state.ports.in_region(&side.region))?;
        (entry.key() == key).then_some((path, entry))
    }
}

/// All that a trace may have read and that is not the same in the two views.
fn changed_reads(old: &HostView, new: &HostView) -> HashSet<Read> {
    old.changed_regions(new).iter().flat_map(|(old, new)| reads_between(old, new)).collect()
}

fn reads_between(old: &World, new: &World) -> HashSet<Read> {
    let keys = new.changed_since(old);
    keys.iter().flat_map(|key| Read::from_change(old.tables().record(key), new.tables().record(key))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_model::Change;
    use gp_worlds::Rng;
    use gp_worlds::random::RandomWorld;

    /// The same world, of which nothing is noted that an earlier one knows.
    fn of_another_line(world: &World) -> World {
        let mut other = World::new(world.region.clone());
        world.tables().records().for_each(|record| other.apply(Change::Put(record)));
        other
    }

    #[test]
    fn what_was_noted_is_what_a_comparison_finds() {
        let mut found = 0;
        for seed in 0..60 {
            let random = RandomWorld::with_ways(seed);
            let mut rng = Rng::new(seed);
            let mut scenario = random.scenario();
            for _ in 0..10 {
                let before = scenario.world.clone();
                for _ in 0..rng.between(1, 3) {
                    scenario.apply(&random.change(&mut rng)).unwrap();
                }
                let noted = reads_between(&before, &scenario.world);
                assert_eq!(noted, reads_between(&before, &of_another_line(&scenario.world)), "{}", random.text);
                found += usize::from(!noted.is_empty());
            }
        }
        assert!(found > 300, "{found} of 600 changes are decisive");
    }
}
