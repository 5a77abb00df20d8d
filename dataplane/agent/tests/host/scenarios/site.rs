//! A place whose guests are bare network cards: nothing in them answers but the test.
//!
//! Each instance is a network namespace of its own without addresses, into which the agent puts the ENI; the outside is the
//! outer end of the uplink, from which the host's addresses are taken.

use super::wire::{Received, Wire};
use crate::place::{PATIENCE, Place};
use gp_agent::{UplinkConfig, Way};
use gp_linux::{Links, NetNs, list_guest_addresses, remove_guest_address};
use gp_model::{Eni, EniId, ExternalGuest, ExternalNetns, GuestKind, InstanceState, Mac, PublicPools, World};
use gp_trace::Ingress;
use gp_wire::{Packet, build};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Instant;

/// What the kernel's largest Ethernet frame needs: the outside may try to send what no uplink takes.
const OUTSIDE_MTU: u32 = 9001;
/// Between looks at the counters while nothing comes out of a wire.
const LOOK_MS: u16 = 1;

pub struct Site {
    pub place: Place,
    enis: BTreeMap<EniId, Wire>,
    /// Branch ENIs by trunk and tag.
    branches: BTreeMap<(EniId, u16), EniId>,
    pub outside: Wire,
    /// The MAC address of the uplink's inner end.
    pub inner_mac: Mac,
    pins: Vec<PathBuf>,
}

/// Frames, and where they came out.
pub type Arrivals = Vec<(Ingress, Received)>;

impl Site {
    /// Brings the world up. The calling thread's network namespace is the outside.
    pub fn new(text: &str) -> Self {
        let mut place = Place::prepare(text);
        let pools = PublicPools::new(place.scenario.world.region.clone());
        place.config.uplink = Some(UplinkConfig { pools, way: Way::Host { internet: false } });
        let mut pins = Vec::new();
        give_bare_guests(&mut place, &mut pins);
        place.start();
        let (outside, inner_mac) = open_outside(&place);
        let (enis, branches) = Default::default();
        let mut site = Self { place, enis, branches, outside, inner_mac, pins };
        site.plug_wires();
        site
    }

    /// Applies statements, and waits until packets obey.
    pub fn change(&mut self, statements: &str) {
        self.place.scenario.apply(statements).unwrap();
        give_bare_guests(&mut self.place, &mut self.pins);
        self.place.publish();
        self.plug_wires();
        self.settle();
    }

    /// Waits for the interface of each ENI that has a running guest, and takes hold of it.
    fn plug_wires(&mut self) {
        self.place.wait_guests();
        let world = &self.place.scenario.world;
        let wanted: Vec<Eni> = running(world).cloned().collect();
        let branches = wanted.iter().flat_map(|eni| world.branches_of_trunk(eni.id));
        self.branches = branches.map(|branch| ((branch.trunk, branch.vlan_id), branch.branch)).collect();
        let deadline = Instant::now() + PATIENCE;
        while self.place.agent().status()["enis"] != wanted.len() + self.branches.len() {
            assert!(Instant::now() < deadline, "{}", self.place.agent().status());
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        self.enis.retain(|eni, _| wanted.iter().any(|wanted| wanted.id == *eni));
        for eni in &wanted {
            let netns = NetNs::open(&guest_pin(&self.place, eni)).unwrap();
            let link = Links::open(&netns).unwrap().link("eth0").unwrap().expect("the agent has put it there");
            if self.enis.get(&eni.id).is_none_or(|wire| wire.ifindex != link.ifindex) {
                self.enis.insert(eni.id, Wire::open(&netns, "eth0"));
            }
        }
    }

    /// The wire that leads there, and the tag that frames have on it.
    pub fn wire(&self, at: Ingress) -> Option<(&Wire, Option<u16>)> {
        match at {
            Ingress::Eni(eni) => match self.branches.iter().find(|(_, branch)| **branch == eni) {
                Some(((trunk, vlan), _)) => Some((self.enis.get(trunk)?, Some(*vlan))),
                None => Some((self.enis.get(&eni)?, None)),
            },
            Ingress::Uplink => Some((&self.outside, None)),
        }
    }

    /// What has come out anywhere.
    pub fn arrivals(&self) -> Arrivals {
        let enis = self.enis.iter().map(|(eni, wire)| (Ingress::Eni(*eni), wire));
        let wires = enis.chain([(Ingress::Uplink, &self.outside)]);
        let arrivals = wires.flat_map(|(at, wire)| wire.receive().into_iter().map(move |received| (at, received)));
        arrivals.map(|(at, received)| self.untagged(at, received)).collect()
    }

    /// What has the tag of a branch is at that, without it.
    fn untagged(&self, at: Ingress, mut received: Received) -> (Ingress, Received) {
        if let (Ingress::Eni(trunk), Some(vlan)) = (at, received.vlan)
            && let Some(branch) = self.branches.get(&(trunk, vlan))
        {
            received.vlan = None;
            return (Ingress::Eni(*branch), received);
        }
        (at, received)
    }

    /// Waits until something comes out anywhere, or until `is_done`.
    pub fn wait(&self, is_done: impl Fn() -> bool) -> Arrivals {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let arrivals = self.arrivals();
            if !arrivals.is_empty() || is_done() || Instant::now() > deadline {
                return arrivals;
            }
            let wires = self.enis.values().chain([&self.outside]);
            let mut fds: Vec<_> = wires.map(|wire| PollFd::new(wire.as_fd(), PollFlags::POLLIN)).collect();
            poll(&mut fds, PollTimeout::from(LOOK_MS)).unwrap();
        }
    }

    /// Everything that the slow path has been asked before has been answered when this returns: an ENI asks for its
    /// router, behind all that waits. What came out meanwhile.
    pub fn settle(&self) -> Arrivals {
        let (eni, wire) = self.enis.iter().next().expect("every world has an ENI");
        let question = self.neighbor_question(*eni);
        let router = gp_trace::router_mac(self.place.scenario.world.eni(*eni).unwrap().subnet);
        wire.send(&build::emit(&question)).unwrap();
        let mut arrivals = Arrivals::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            arrivals.extend(self.wait(|| false));
            let is_answer = |(at, received): &(Ingress, Received)| {
                *at == Ingress::Eni(*eni) && received.frame[6..12] == router.0 && is_neighbor_answer(&received.frame)
            };
            if let Some(place) = arrivals.iter().position(is_answer) {
                arrivals.remove(place);
                return arrivals;
            }
            assert!(Instant::now() < deadline, "nobody answers {question:?}; there came {arrivals:?}");
        }
    }

    fn neighbor_question(&self, eni: EniId) -> Packet {
        let scenario = &self.place.scenario;
        let eni = scenario.world.eni(eni).unwrap();
        let name = &eni.description;
        let text = match gp_trace::router_ipv4(scenario.world.subnet(eni.subnet).unwrap()) {
            Some(router) if eni.primary_ipv4().is_some() => format!("{name} arp {router}"),
            _ => format!("{name}/ll solicits {}", gp_trace::ROUTER_LINK_LOCAL),
        };
        scenario.packet(&text).unwrap().packet
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.place.down();
        self.pins.iter().for_each(|pin| drop(NetNs::remove_pinned(pin)));
    }
}

fn is_neighbor_answer(frame: &[u8]) -> bool {
    const ADVERTISEMENT: u8 = 136;
    match frame[12..14] {
        [0x08, 0x06] => true,
        [0x86, 0xdd] => frame.get(54) == Some(&ADVERTISEMENT),
        _ => false,
    }
}

/// The ENIs of running instances.
fn running(world: &World) -> impl Iterator<Item = &Eni> {
    world.tables().enis.values().map(|eni| &**eni).filter(|eni| {
        let attachment = eni.attachment.as_ref();
        let instance = attachment.and_then(|attachment| world.instance(attachment.instance));
        instance.is_some_and(|instance| instance.state == InstanceState::Running)
    })
}

fn guest_pin(place: &Place, eni: &Eni) -> PathBuf {
    place.guests_dir().join(&eni.description)
}

/// Makes a namespace where nothing answers for each instance that has none.
fn give_bare_guests(place: &mut Place, pins: &mut Vec<PathBuf>) {
    let enis: Vec<Eni> = running(&place.scenario.world).cloned().collect();
    for eni in enis {
        let pin = guest_pin(place, &eni);
        if !pins.contains(&pin) {
            let netns = NetNs::ensure_pinned(&pin).unwrap();
            for links in ["all", "default"] {
                netns.set_sysctl(&format!("ipv6/conf/{links}/disable_ipv6"), "1").unwrap();
            }
            pins.push(pin.clone());
        }
        let path = pin.to_str().unwrap().to_owned();
        let guest = ExternalNetns { path, ifname: None, is_configured: false };
        place.edit_instance(&eni.description, |instance| {
            instance.guest = GuestKind::External(ExternalGuest::Netns(guest));
        });
    }
}

fn open_outside(place: &Place) -> (Wire, Mac) {
    let here = NetNs::current().unwrap();
    let links = Links::open(&here).unwrap();
    let is_outer = |link: &gp_linux::LinkInfo| link.alias.as_ref().is_some_and(|alias| alias.starts_with("uplink"));
    let outer = links.list_links().unwrap().into_iter().find(is_outer).expect("the uplink is there");
    here.set_sysctl(&format!("ipv6/conf/{}/disable_ipv6", outer.name), "1").unwrap();
    for address in list_guest_addresses(&here, &outer.name).unwrap() {
        remove_guest_address(&here, &outer.name, address).unwrap();
    }
    links.set_mtu(outer.ifindex, OUTSIDE_MTU).unwrap();
    let inside = NetNs::open(&place.config.run_dir.join("netns")).unwrap();
    let inner = Links::open(&inside).unwrap().link("uplink0").unwrap().expect("the uplink has an inner end");
    (Wire::open(&here, &outer.name), Mac(inner.mac))
}
