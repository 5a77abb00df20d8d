//! Flows by number.
//!
//! A flow is a source port and a destination port, on one lane. Numbers are dealt to the lanes in turn. The same number
//! of flows has the same number of destination ports, and so the server the same number of sockets, whatever the lanes.

/// Destination ports of flows that were established, and of new ones.
pub const ESTABLISHED_PORT: u16 = 8000;
pub const NEW_PORT: u16 = 20_000;

/// The flows of one destination port.
pub const FLOWS_PER_PORT: u32 = 25_000;
const FIRST_SOURCE_PORT: u16 = 30_000;
/// Destination ports of one kind of flow, after which the numbers begin again.
const PORTS: u32 = 10_000;

/// A range of flows of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The first destination port of the kind.
    pub port: u16,
    pub first: u32,
    pub count: u32,
}

/// What tells flows of a lane apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ports {
    pub source: u16,
    pub destination: u16,
}

impl Block {
    /// The ports of the flow at a place in the block.
    pub fn ports(&self, place: u32) -> Ports {
        let flow = self.first + place;
        Ports {
            source: FIRST_SOURCE_PORT + (flow % FLOWS_PER_PORT) as u16,
            destination: self.port + (flow / FLOWS_PER_PORT % PORTS) as u16,
        }
    }

    /// All destination ports of the block.
    pub fn destinations(&self) -> Vec<u16> {
        let last = self.first + self.count.max(1) - 1;
        let ports = self.first / FLOWS_PER_PORT..=last / FLOWS_PER_PORT;
        ports.map(|number| self.port + (number % PORTS) as u16).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_flow_of_a_block_has_ports_of_its_own_and_a_socket() {
        let block = Block { port: NEW_PORT, first: 49_999, count: 25_002 };
        let ports: HashSet<Ports> = (0..block.count).map(|place| block.ports(place)).collect();
        assert_eq!(ports.len(), 25_002);
        assert_eq!(block.destinations(), [20_001, 20_002, 20_003]);
        assert!(ports.iter().all(|ports| block.destinations().contains(&ports.destination)));
    }
}
