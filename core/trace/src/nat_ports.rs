//! Which ports of a NAT gateway's addresses are taken: its half of a translation as a pure value.
//!
//! ```text
//! free(addresses, limit, wanted) → (address, port)       take(translated)       release(translated)
//! ```
//!
//! Promises: no two connections ever share a translated tuple; an address has at most `limit` of them to one destination
//! (address, port and protocol); what is released is free again; and the answer follows from what is taken, so it
//! is the same on every run.
//! Source: VPC user guide, "NAT gateways": 55,000 simultaneous connections per address to each unique destination, from
//! ports 1024 to 65535.

use gp_wire::FiveTuple;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

/// The first port that NAT gateways use.
pub const FIRST_NAT_PORT: u16 = 1024;

/// Where connections of one address go; they must have different ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Slot {
    address: IpAddr,
    destination: IpAddr,
    destination_port: u16,
    protocol: u8,
}

impl Slot {
    fn of(translated: &FiveTuple) -> Self {
        let FiveTuple { protocol, src, dst, dst_port, .. } = *translated;
        Self { address: src, destination: dst, destination_port: dst_port, protocol }
    }
}

/// The ports of one NAT gateway that are taken.
#[derive(Debug, Clone, Default)]
pub struct NatPorts {
    taken: HashMap<Slot, Ports>,
}

impl NatPorts {
    /// A free address and port for a connection to the destination of `wanted`: the port that `wanted` has on the first
    /// address where it is free, else one that follows from it on the address with the fewest connections there.
    pub fn free(&self, addresses: &[Ipv4Addr], limit: u32, wanted: &FiveTuple) -> Option<(Ipv4Addr, u16)> {
        let nobody = Ports::default();
        let on = |address: Ipv4Addr| {
            let slot = Slot::of(&FiveTuple { src: address.into(), ..*wanted });
            self.taken.get(&slot).unwrap_or(&nobody)
        };
        let with_room = || addresses.iter().copied().filter(|address| on(*address).count < limit);
        let keeps_port = |address: &Ipv4Addr| !on(*address).contains(wanted.src_port);
        if wanted.src_port >= FIRST_NAT_PORT
            && let Some(address) = with_room().find(keeps_port)
        {
            return Some((address, wanted.src_port));
        }
        let address = with_room().min_by_key(|address| on(*address).count)?;
        on(address).free_from(start(wanted)).map(|port| (address, port))
    }

    /// Notes a connection. Says whether its port was free.
    pub fn take(&mut self, translated: &FiveTuple) -> bool {
        self.taken.entry(Slot::of(translated)).or_default().insert(translated.src_port)
    }

    /// Notes that a connection has ended. Says whether it was there.
    pub fn release(&mut self, translated: &FiveTuple) -> bool {
        let slot = Slot::of(translated);
        let Some(ports) = self.taken.get_mut(&slot) else { return false };
        let was_there = ports.remove(translated.src_port);
        if ports.count == 0 {
            self.taken.remove(&slot);
        }
        was_there
    }

    /// Has the address any connection?
    pub fn uses(&self, address: Ipv4Addr) -> bool {
        self.taken.keys().any(|slot| slot.address == IpAddr::V4(address))
    }

    /// Connections that there are.
    pub fn len(&self) -> usize {
        self.taken.values().map(|ports| ports.count as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }
}

/// A set of ports as runs, so that the next free one is found at once, however many are taken.
#[derive(Debug, Clone, Default)]
struct Ports {
    /// First → last port of each run; no two of them touch.
    runs: BTreeMap<u16, u16>,
    count: u32,
}

impl Ports {
    /// The run that holds the port.
    fn run_of(&self, port: u16) -> Option<(u16, u16)> {
        let (first, last) = self.runs.range(..=port).next_back()?;
        (*last >= port).then_some((*first, *last))
    }

    fn contains(&self, port: u16) -> bool {
        self.run_of(port).is_some()
    }

    fn insert(&mut self, port: u16) -> bool {
        if self.contains(port) {
            return false;
        }
        let before = port.checked_sub(1).and_then(|before| self.run_of(before));
        let after = port.checked_add(1).and_then(|after| self.run_of(after));
        if let Some((first, _)) = after {
            self.runs.remove(&first);
        }
        self.runs.insert(before.map_or(port, |(first, _)| first), after.map_or(port, |(_, last)| last));
        self.count += 1;
        true
    }

    fn remove(&mut self, port: u16) -> bool {
        let Some((first, last)) = self.run_of(port) else { return false };
        self.runs.remove(&first);
        if first < port {
            self.runs.insert(first, port - 1);
        }
        if port < last {
            self.runs.insert(port + 1, last);
        }
        self.count -= 1;
        true
    }

    /// The first free port from `start` on, round the end of the range.
    fn free_from(&self, start: u16) -> Option<u16> {
        let next = |from: u16| match self.run_of(from) {
            None => Some(from),
            Some((_, last)) => last.checked_add(1),
        };
        next(start).or_else(|| next(FIRST_NAT_PORT))
    }
}

/// Where the search for a port starts: spread over the range by what is wanted, so that it seldom has to go far.
fn start(wanted: &FiveTuple) -> u16 {
    let range = u32::from(u16::MAX - FIRST_NAT_PORT) + 1;
    let spread = u32::from(wanted.src_port).wrapping_mul(0x9e37_79b1) ^ u32::from(wanted.dst_port);
    FIRST_NAT_PORT + ((spread >> 8) % range) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_model::NAT_PORTS_PER_DESTINATION;
    use gp_wire::protocol;
    use std::collections::HashSet;

    const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 9), Ipv4Addr::new(10, 0, 0, 10)];

    fn wanted(src_port: u16, server: u8) -> FiveTuple {
        let dst = IpAddr::from([203, 0, 113, server]);
        FiveTuple { protocol: protocol::TCP, src: Ipv4Addr::UNSPECIFIED.into(), dst, src_port, dst_port: 443 }
    }

    fn open(ports: &mut NatPorts, limit: u32, wanted: FiveTuple) -> Option<FiveTuple> {
        let (address, port) = ports.free(&ADDRESSES, limit, &wanted)?;
        let translated = FiveTuple { src: address.into(), src_port: port, ..wanted };
        assert!(ports.take(&translated), "{translated} was promised to be free");
        Some(translated)
    }

    /// A stream of numbers (splitmix64).
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) % end as u64) as usize
        }
    }

    #[test]
    fn a_free_port_is_kept_and_a_low_or_taken_one_is_not() {
        let mut ports = NatPorts::default();
        assert_eq!(open(&mut ports, 10, wanted(40_000, 1)).unwrap().src_port, 40_000);
        let second = open(&mut ports, 10, wanted(40_000, 1)).unwrap();
        assert_eq!((second.src, second.src_port), (ADDRESSES[1].into(), 40_000), "another address has it free");
        let third = open(&mut ports, 10, wanted(40_000, 1)).unwrap();
        assert!(third.src_port != 40_000 && third.src_port >= FIRST_NAT_PORT);
        assert_eq!(open(&mut ports, 10, wanted(40_000, 2)).unwrap().src_port, 40_000, "another destination");
        assert!(ports.uses(ADDRESSES[1]) && ports.release(&second) && !ports.uses(ADDRESSES[1]));
        assert!(ports.uses(ADDRESSES[0]));
        assert!(open(&mut ports, 10, wanted(22, 1)).unwrap().src_port >= FIRST_NAT_PORT);
    }

    #[test]
    fn all_ports_up_to_the_limit_are_found_and_none_above() {
        let mut ports = NatPorts::default();
        let limit = u32::from(u16::MAX - FIRST_NAT_PORT) + 1;
        for _ in 0..2 * limit {
            open(&mut ports, limit, wanted(50_000, 1)).expect("there is one more");
        }
        assert_eq!(open(&mut ports, limit, wanted(50_000, 1)), None);
        assert_eq!(open(&mut ports, 2 * limit, wanted(50_000, 1)), None, "there are no more ports than that");
    }

    /// The figure of the VPC user guide, for each address and destination by itself; who has a port keeps it.
    #[test]
    fn an_address_has_exactly_55_000_connections_to_one_destination() {
        let mut ports = NatPorts::default();
        let (limit, both) = (NAT_PORTS_PER_DESTINATION, 2 * NAT_PORTS_PER_DESTINATION);
        let all: HashSet<FiveTuple> =
            (0..both).map(|n| open(&mut ports, limit, wanted(n as u16, 1)).expect("there is one more")).collect();
        assert_eq!(all.len(), both as usize, "no two connections share a translated tuple");
        for address in ADDRESSES {
            assert_eq!(all.iter().filter(|tuple| tuple.src == IpAddr::V4(address)).count(), limit as usize);
        }
        assert!(all.iter().all(|tuple| tuple.src_port >= FIRST_NAT_PORT));
        for _ in 0..3 {
            assert_eq!(open(&mut ports, limit, wanted(40_000, 1)), None, "the next one is refused");
        }
        let other_port = FiveTuple { dst_port: 80, ..wanted(40_000, 1) };
        let other_protocol = FiveTuple { protocol: protocol::UDP, ..wanted(40_000, 1) };
        for other in [wanted(40_000, 2), other_port, other_protocol] {
            assert_eq!(open(&mut ports, limit, other).map(|tuple| tuple.src_port), Some(40_000), "another destination");
        }
        assert!(all.iter().all(|tuple| !ports.take(tuple)), "those that were there live on");
        let ended = all.iter().next().expect("there are some");
        assert!(ports.release(ended));
        let next = open(&mut ports, limit, wanted(40_000, 1)).expect("one has ended");
        assert_eq!((next.src, next.dst), (ended.src, ended.dst));
        assert_eq!(open(&mut ports, limit, wanted(40_000, 1)), None);
        for tuple in all.iter().filter(|tuple| *tuple != ended).chain([&next]) {
            assert!(ports.release(tuple));
        }
        assert_eq!(ports.len(), 3, "those to the other destinations");
    }

    /// Opens and closes at random: never twice the same, never above the limit, nothing left at the end.
    #[test]
    fn whatever_comes_and_goes_nothing_is_shared_or_leaked() {
        for seed in 0..200 {
            let mut numbers = Numbers(seed);
            let limit = 1 + numbers.below(12) as u32;
            let (mut ports, mut open_now): (NatPorts, Vec<FiveTuple>) = Default::default();
            for _ in 0..400 {
                if numbers.below(5) < 3 {
                    let wanted = wanted(1020 + numbers.below(9) as u16, numbers.below(3) as u8);
                    let to_there = open_now.iter().filter(|other| other.dst == wanted.dst).count();
                    match open(&mut ports, limit, wanted) {
                        Some(translated) => open_now.push(translated),
                        None => assert_eq!(to_there, ADDRESSES.len() * limit as usize),
                    }
                } else if !open_now.is_empty() {
                    let closed = open_now.swap_remove(numbers.below(open_now.len()));
                    assert!(ports.release(&closed) && !ports.release(&closed));
                }
                assert_eq!(ports.len(), open_now.len());
                for (address, dst) in open_now.iter().map(|one| (one.src, one.dst)) {
                    let sharing = open_now.iter().filter(|one| (one.src, one.dst) == (address, dst)).count();
                    assert!(sharing <= limit as usize);
                }
            }
            open_now.iter().for_each(|translated| assert!(ports.release(translated)));
            assert!(ports.is_empty(), "seed {seed}");
        }
    }
}
