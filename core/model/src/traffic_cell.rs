//! Traffic cut into cells, so that what covers a packet is found by value instead of by looking at every rule.
//!
//! A range of ports becomes aligned blocks of a power of two (at most 30), everything else is one cell. A packet lies in
//! one cell of each class: whoever knows what a packet is lists those, and finds each rule that covers it at one of them.
//!
//! ```text
//! class 0      1          2..=18                19..=35   36..=39                       40..=43
//!       all    protocol   TCP ports by size     UDP       ICMP: any type? any code?     ICMPv6
//! ```

use crate::{PortRange, TrafficMatch};
use std::ops::RangeInclusive;

const CLASS_ALL: u8 = 0;
const CLASS_PROTOCOL: u8 = 1;
const CLASS_TCP: u8 = 2;
const CLASS_UDP: u8 = 19;
const CLASS_ICMP: u8 = 36;
const CLASS_ICMPV6: u8 = 40;

/// Blocks of ports hold `1 << size` of them.
const SIZES: RangeInclusive<u8> = 0..=16;
/// Added to an ICMP class: every type, every code.
const ANY_TYPE: u8 = 1;
const ANY_CODE: u8 = 2;

/// A part of all traffic: its class in the upper half, its value in the lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrafficCell(u32);

impl TrafficCell {
    pub const ALL: TrafficCell = Self::new(CLASS_ALL, 0);

    const fn new(class: u8, value: u16) -> Self {
        Self((class as u32) << 16 | value as u32)
    }

    pub const fn protocol(number: u8) -> Self {
        Self::new(CLASS_PROTOCOL, number as u16)
    }

    /// Every port of TCP.
    pub const ALL_TCP: TrafficCell = ports(CLASS_TCP, 16, 0);
    /// Every port of UDP.
    pub const ALL_UDP: TrafficCell = ports(CLASS_UDP, 16, 0);

    /// The cells around a port, of every size.
    pub fn around_tcp(port: u16) -> impl Iterator<Item = Self> {
        SIZES.map(move |size| ports(CLASS_TCP, size, port))
    }

    /// The cells around a port, of every size.
    pub fn around_udp(port: u16) -> impl Iterator<Item = Self> {
        SIZES.map(move |size| ports(CLASS_UDP, size, port))
    }

    /// The cells around a type and a code of ICMP for IPv4.
    pub fn around_icmp(icmp_type: u8, code: u8) -> impl Iterator<Item = Self> {
        around_icmp(CLASS_ICMP, icmp_type, code)
    }

    /// The cells around a type and a code of ICMPv6.
    pub fn around_icmpv6(icmp_type: u8, code: u8) -> impl Iterator<Item = Self> {
        around_icmp(CLASS_ICMPV6, icmp_type, code)
    }

    fn class(self) -> u32 {
        self.0 >> 16
    }
}

/// The block of `1 << size` ports that holds this one.
const fn ports(class: u8, size: u8, port: u16) -> TrafficCell {
    let offset = (1u32 << size) - 1;
    TrafficCell::new(class + size, port & !(offset as u16))
}

fn icmp(class: u8, icmp_type: Option<u8>, code: Option<u8>) -> TrafficCell {
    let any_type = if icmp_type.is_none() { ANY_TYPE } else { 0 };
    let any_code = if code.is_none() { ANY_CODE } else { 0 };
    let value = u16::from_be_bytes([icmp_type.unwrap_or(0), code.unwrap_or(0)]);
    TrafficCell::new(class + any_type + any_code, value)
}

fn around_icmp(class: u8, icmp_type: u8, code: u8) -> impl Iterator<Item = TrafficCell> {
    let types = [Some(icmp_type), None];
    types.into_iter().flat_map(move |icmp_type| [Some(code), None].map(|code| icmp(class, icmp_type, code)))
}

impl TrafficMatch {
    /// The cells that this traffic consists of.
    pub fn cells(self) -> Vec<TrafficCell> {
        match self {
            Self::All => vec![TrafficCell::ALL],
            Self::Protocol(number) => vec![TrafficCell::protocol(number)],
            Self::Tcp(range) => blocks_of(CLASS_TCP, range),
            Self::Udp(range) => blocks_of(CLASS_UDP, range),
            Self::Icmp { icmp_type, code } => vec![icmp(CLASS_ICMP, icmp_type, code)],
            Self::Icmpv6 { icmp_type, code } => vec![icmp(CLASS_ICMPV6, icmp_type, code)],
        }
    }
}

/// The fewest aligned blocks that make up a range, in order; none for a range that ends before it starts.
fn blocks_of(class: u8, range: PortRange) -> Vec<TrafficCell> {
    let mut blocks = Vec::with_capacity(1);
    let (mut from, end) = (u32::from(range.from), u32::from(range.to) + 1);
    while from < end {
        let aligned = from.trailing_zeros().min(u32::from(*SIZES.end()));
        let size = aligned.min((end - from).ilog2());
        blocks.push(ports(class, size as u8, from as u16));
        from += 1 << size;
    }
    blocks
}

/// The cells that a packet lies in, one of each class at most.
#[derive(Debug, Clone, Copy)]
pub struct TrafficCells {
    cells: [TrafficCell; Self::MOST],
    len: usize,
}

impl TrafficCells {
    /// All traffic, the protocol, and a block of ports of each size.
    const MOST: usize = 19;

    fn push(&mut self, cell: TrafficCell) {
        if let Some(free) = self.cells.get_mut(self.len) {
            *free = cell;
            self.len += 1;
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = TrafficCell> + '_ {
        self.cells[..self.len].iter().copied()
    }

    /// Those of a class in use.
    pub(crate) fn of_classes(&self, classes: CellClasses) -> Self {
        self.iter().filter(|cell| classes.has(*cell)).collect()
    }
}

impl FromIterator<TrafficCell> for TrafficCells {
    fn from_iter<I: IntoIterator<Item = TrafficCell>>(cells: I) -> Self {
        let mut all = Self { cells: [TrafficCell::ALL; Self::MOST], len: 0 };
        cells.into_iter().for_each(|cell| all.push(cell));
        all
    }
}

/// The classes that occur among cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CellClasses(u64);

impl CellClasses {
    pub(crate) fn insert(&mut self, cell: TrafficCell) {
        self.0 |= 1 << cell.class();
    }

    fn has(self, cell: TrafficCell) -> bool {
        self.0 & 1 << cell.class() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_ports_is_the_union_of_its_blocks() {
        let ends = [0u16, 1, 2, 21, 22, 80, 443, 1023, 1024, 32767, 32768, 49152, 65534, 65535];
        for from in ends {
            for to in ends {
                let blocks = TrafficMatch::Tcp(PortRange { from, to }).cells();
                assert!(blocks.len() <= 30, "{from}-{to} in {}", blocks.len());
                for port in ends {
                    let hits = TrafficCell::around_tcp(port).filter(|cell| blocks.contains(cell)).count();
                    assert_eq!(hits, usize::from(from <= port && port <= to), "{port} in {from}-{to}");
                }
            }
        }
    }

    #[test]
    fn only_the_whole_range_is_the_cell_of_all_ports() {
        assert_eq!(TrafficMatch::Tcp(PortRange::ALL).cells(), [TrafficCell::ALL_TCP]);
        assert_eq!(TrafficMatch::Udp(PortRange::ALL).cells(), [TrafficCell::ALL_UDP]);
        assert!(!TrafficMatch::Tcp(PortRange { from: 1, to: u16::MAX }).cells().contains(&TrafficCell::ALL_TCP));
    }

    #[test]
    fn no_two_classes_share_a_cell() {
        let mut cells: Vec<_> = TrafficCell::around_tcp(0).chain(TrafficCell::around_udp(0)).collect();
        cells.extend(TrafficCell::around_icmp(0, 0).chain(TrafficCell::around_icmpv6(0, 0)));
        cells.extend([TrafficCell::ALL, TrafficCell::protocol(0)]);
        let count = cells.len();
        let mut classes: Vec<_> = cells.into_iter().map(TrafficCell::class).collect();
        classes.sort_unstable();
        classes.dedup();
        assert_eq!((classes.len(), count), (44, 44));
    }
}
