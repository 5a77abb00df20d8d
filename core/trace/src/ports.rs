//! Which other ports a packet might have had and been told the same.

use gp_model::{PortRange, TrafficMatch};
use gp_wire::{FiveTuple, protocol};

/// Source and destination ports with which a packet, all else equal, would have been told the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    pub source: PortRange,
    pub destination: PortRange,
}

impl Ports {
    pub const ALL: Ports = Ports { source: PortRange::ALL, destination: PortRange::ALL };

    /// A rule about this traffic compares the tuple's destination port.
    pub fn compare_destination(&mut self, traffic: TrafficMatch, tuple: &FiveTuple) {
        self.destination = alike(self.destination, traffic, tuple.protocol, tuple.dst_port);
    }

    /// A rule about this traffic compares the destination port of the tuple's answers.
    pub fn compare_source(&mut self, traffic: TrafficMatch, tuple: &FiveTuple) {
        self.source = alike(self.source, traffic, tuple.protocol, tuple.src_port);
    }
}

/// Those of `range` that lie to the traffic's ports as `port` does: among them, below or above.
fn alike(range: PortRange, traffic: TrafficMatch, protocol: u8, port: u16) -> PortRange {
    let compared = match traffic {
        TrafficMatch::Tcp(ports) if protocol == protocol::TCP => ports,
        TrafficMatch::Udp(ports) if protocol == protocol::UDP => ports,
        _ => return range,
    };
    let PortRange { from, to } = range;
    if port < compared.from {
        PortRange { from, to: to.min(compared.from - 1) }
    } else if port > compared.to {
        PortRange { from: from.max(compared.to + 1), to }
    } else {
        PortRange { from: from.max(compared.from), to: to.min(compared.to) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_alike_on_the_same_side_of_what_they_are_compared_with() {
        let range = |from, to| PortRange { from, to };
        let tcp = |from, to| TrafficMatch::Tcp(range(from, to));
        let alike = |traffic, port| alike(range(10, 100), traffic, protocol::TCP, port);
        assert_eq!(alike(tcp(20, 30), 25), range(20, 30));
        assert_eq!(alike(tcp(20, 30), 20), range(20, 30));
        assert_eq!(alike(tcp(20, 30), 19), range(10, 19));
        assert_eq!(alike(tcp(20, 30), 31), range(31, 100));
        assert_eq!(alike(tcp(0, 65_535), 50), range(10, 100));
        assert_eq!(alike(TrafficMatch::Udp(range(20, 30)), 25), range(10, 100), "another protocol's ports");
        assert_eq!(alike(TrafficMatch::All, 25), range(10, 100));
    }
}
