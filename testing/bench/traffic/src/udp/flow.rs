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
const SECTION: u32 = 10_000;
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
        let block = Block { port: NEW_PORT, first: 19_999, count: 10_002 };
        let ports: HashSet<Ports> = (0..block.count).map(|place| block.ports(place)).collect();
        assert_eq!(ports.len(), 10_002);
        let sections = block.sections(2);
        let shape: Vec<_> = sections.iter().map(|s| (s.lane, s.destination, s.places.clone())).collect();
        assert_eq!(shape, [(1, 20_001, 0..1), (0, 20_002, 1..10_001), (1, 20_003, 10_001..10_002)]);
        for section in sections {
            assert!(section.places.clone().all(|place| block.ports(place).destination == section.destination));
        }
    }
}
