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
const CLASSES: u8 = 44;

/// Blocks of ports hold `1 << size` of them.
const SIZES: RangeInclusive<u8> = 0..=16;
/// Added to an ICMP class: every type, every code.
const ANY_TYPE: u8 = 1;
const ANY_CODE: u8 = 2;

/// A part of all traffic: its class in the upper half, its value in the lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrafficCell(u32);

impl TrafficCell {
    const fn new(class: u8, value: u16) -> Self {
        Self((class as u32) << 16 | value as u32)
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

impl TrafficMatch {
    /// The cells that this traffic consists of.
    pub fn cells(self) -> Vec<TrafficCell> {
        match self {
            Self::All => vec![TrafficCell::new(CLASS_ALL, 0)],
            Self::Protocol(number) => vec![TrafficCell::new(CLASS_PROTOCOL, number.into())],
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

/// Where a packet lies: in one cell of each class that its protocol has.
#[derive(Debug, Clone, Copy)]
pub struct TrafficPoint {
    protocol: u8,
    classes: CellClasses,
    /// The first class of the protocol's own.
    own: u8,
    /// The port, or the ICMP type and code.
    value: u16,
}

impl TrafficPoint {
    /// A packet of a protocol without ports.
    pub fn protocol(number: u8) -> Self {
        Self::new(number, CLASS_PROTOCOL, 0, 0)
    }

    pub fn tcp(protocol: u8, port: u16) -> Self {
        Self::new(protocol, CLASS_TCP, CLASS_UDP - CLASS_TCP, port)
    }

    pub fn udp(protocol: u8, port: u16) -> Self {
        Self::new(protocol, CLASS_UDP, CLASS_ICMP - CLASS_UDP, port)
    }

    /// ICMP for IPv4.
    pub fn icmp(protocol: u8, icmp_type: u8, code: u8) -> Self {
        Self::new(protocol, CLASS_ICMP, CLASS_ICMPV6 - CLASS_ICMP, u16::from_be_bytes([icmp_type, code]))
    }

    pub fn icmpv6(protocol: u8, icmp_type: u8, code: u8) -> Self {
        Self::new(protocol, CLASS_ICMPV6, CLASSES - CLASS_ICMPV6, u16::from_be_bytes([icmp_type, code]))
    }

    fn new(protocol: u8, own: u8, count: u8, value: u16) -> Self {
        let own_classes = ((1 << count) - 1) << own;
        Self { protocol, classes: CellClasses(1 << CLASS_ALL | 1 << CLASS_PROTOCOL | own_classes), own, value }
    }

    /// Every port of the protocol at once: what covers some of them only does not count.
    pub fn of_all_ports(self) -> Self {
        let some_ports = ((1 << SIZES.end()) - 1) << self.own;
        let has_ports = self.own == CLASS_TCP || self.own == CLASS_UDP;
        if has_ports { Self { classes: CellClasses(self.classes.0 & !some_ports), ..self } } else { self }
    }

    /// All of its cells.
    pub fn cells(self) -> TrafficCells {
        self.cells_of(CellClasses(u64::MAX))
    }

    /// Its cells of classes in use.
    pub(crate) fn cells_of(self, classes: CellClasses) -> TrafficCells {
        let mut cells = TrafficCells { cells: [TrafficCell(0); TrafficCells::MOST], len: 0 };
        let mut left = self.classes.0 & classes.0;
        while left != 0 {
            cells.push(self.cell(left.trailing_zeros() as u8));
            left &= left - 1;
        }
        cells
    }

    fn cell(self, class: u8) -> TrafficCell {
        match class {
            CLASS_ALL => TrafficCell::new(class, 0),
            CLASS_PROTOCOL => TrafficCell::new(class, self.protocol.into()),
            _ if self.own < CLASS_ICMP => ports(self.own, class - self.own, self.value),
            _ => {
                let [icmp_type, code] = self.value.to_be_bytes();
                let any = class - self.own;
                icmp(self.own, (any & ANY_TYPE == 0).then_some(icmp_type), (any & ANY_CODE == 0).then_some(code))
            }
        }
    }
}

/// Cells of one packet, in order.
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
}

/// The classes that occur among cells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CellClasses(u64);

impl CellClasses {
    pub(crate) fn insert(&mut self, cell: TrafficCell) {
        self.0 |= 1 << cell.class();
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
                    let hits = TrafficPoint::tcp(6, port).cells().iter().filter(|cell| blocks.contains(cell)).count();
                    assert_eq!(hits, usize::from(from <= port && port <= to), "{port} in {from}-{to}");
                }
            }
        }
    }

    #[test]
    fn all_ports_are_covered_only_by_the_whole_range_the_protocol_and_everything() {
        let all_ports = TrafficPoint::udp(17, 53).of_all_ports();
        let covers_all = |traffic: TrafficMatch| all_ports.cells().iter().any(|cell| traffic.cells().contains(&cell));
        for traffic in [TrafficMatch::All, TrafficMatch::Protocol(17), TrafficMatch::Udp(PortRange::ALL)] {
            assert!(covers_all(traffic), "{traffic:?}");
        }
        let almost = PortRange { from: 0, to: u16::MAX - 1 };
        let port = PortRange { from: 53, to: 53 };
        for traffic in [TrafficMatch::Tcp(PortRange::ALL), TrafficMatch::Udp(almost), TrafficMatch::Udp(port)] {
            assert!(!covers_all(traffic), "{traffic:?}");
        }
    }

    #[test]
    fn a_packet_has_one_cell_of_each_class_of_its_protocol() {
        let points = [
            (TrafficPoint::tcp(6, 80), 19),
            (TrafficPoint::udp(17, 80), 19),
            (TrafficPoint::icmp(1, 8, 0), 6),
            (TrafficPoint::icmpv6(58, 128, 0), 6),
            (TrafficPoint::protocol(47), 2),
        ];
        for (point, count) in points {
            let mut classes: Vec<_> = point.cells().iter().map(TrafficCell::class).collect();
            classes.dedup();
            assert_eq!(classes.len(), count, "{point:?}");
            assert!(classes.is_sorted() && classes.iter().all(|class| *class < CLASSES.into()), "{point:?}");
        }
    }
}
