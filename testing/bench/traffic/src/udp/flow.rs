//! Flows by number.
//!
//! A flow is a source port and a destination port. Each destination port has its flows, a section; sections are dealt to
//! the lanes in turn. So the same number of flows has the same number of destination ports, and the server the same
//! number of sockets, whatever the lanes.

use std::ops::Range;

/// Destination ports of flows that were established, and of new ones.
pub const ESTABLISHED_PORT: u16 = 8000;
pub const NEW_PORT: u16 = 20_000;

/// The flows of one section.
pub const SECTION: u32 = 5_000;
const FIRST_SOURCE_PORT: u16 = 30_000;
/// Sections of one kind of flow, after which the numbers begin again.
const SECTIONS: u32 = 10_000;

/// A range of flows of one kind. A flow's place is its number within the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The first destination port of the kind.
    pub port: u16,
    pub first: u32,
    pub count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ports {
    pub source: u16,
    pub destination: u16,
}

/// The places that share a destination port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub lane: usize,
    pub destination: u16,
    pub places: Range<u32>,
}

impl Block {
    pub fn ports(&self, place: u32) -> Ports {
        let flow = self.first + place;
        let source = FIRST_SOURCE_PORT + (flow % SECTION) as u16;
        Ports { source, destination: self.destination(flow / SECTION) }
    }

    /// The flows in so many parts, each of whole sections as far as there are enough.
    pub fn split(&self, parts: u32) -> Vec<Self> {
        let each = self.count.div_ceil(parts.max(1)).next_multiple_of(SECTION);
        let part = |first: u32| Self { first: self.first + first, count: each.min(self.count - first), ..*self };
        (0..self.count).step_by(each as usize).map(part).collect()
    }

    fn destination(&self, section: u32) -> u16 {
        self.port + (section % SECTIONS) as u16
    }

    pub fn sections(&self, lanes: usize) -> Vec<Section> {
        let end = self.first + self.count;
        let sections = self.first / SECTION..end.div_ceil(SECTION);
        let section = |number: u32| Section {
            lane: number as usize % lanes,
            destination: self.destination(number),
            places: (number * SECTION).max(self.first) - self.first..((number + 1) * SECTION).min(end) - self.first,
        };
        sections.map(section).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_flow_of_a_block_has_ports_of_its_own_and_is_in_one_section() {
        let block = Block { port: NEW_PORT, first: 9_999, count: 5_002 };
        let ports: HashSet<Ports> = (0..block.count).map(|place| block.ports(place)).collect();
        assert_eq!(ports.len(), 5_002);
        let sections = block.sections(2);
        let shape: Vec<_> = sections.iter().map(|s| (s.lane, s.destination, s.places.clone())).collect();
        assert_eq!(shape, [(1, 20_001, 0..1), (0, 20_002, 1..5_001), (1, 20_003, 5_001..5_002)]);
        for section in sections {
            assert!(section.places.clone().all(|place| block.ports(place).destination == section.destination));
        }
    }

    #[test]
    fn parts_have_every_flow_once() {
        for (count, parts, counts) in
            [(40_000, 2, vec![20_000, 20_000]), (12_000, 2, vec![10_000, 2_000]), (300, 2, vec![300])]
        {
            let block = Block { port: NEW_PORT, first: 15_000, count };
            let split = block.split(parts);
            assert_eq!(split.iter().map(|part| part.count).collect::<Vec<_>>(), counts);
            let of_parts: HashSet<Ports> =
                split.iter().flat_map(|part| (0..part.count).map(|place| part.ports(place))).collect();
            assert_eq!(of_parts, (0..count).map(|place| block.ports(place)).collect());
        }
    }
}
