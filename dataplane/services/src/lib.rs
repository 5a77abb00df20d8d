//! What the VPC itself answers: ARP, IPv6 neighbour discovery, DHCP and DHCPv6.
//!
//! ```text
//! world + asking ENI + packet → reply → the frame that the ENI's guest gets, or nothing
//! ```
//!
//! Pure functions: no socket, no clock, no state. Leases need none, since an address belongs to its ENI for as long as
//! the API says so. Every byte that is read here comes from a guest and may be anything; nothing here panics on it.
//! Source: VPC user guide, "Subnet sizing" and "DHCP option sets"; the RFCs are named in each module.

mod arp;
mod dhcp;
mod dhcp6;
mod frame;
mod nd;
mod options;
mod outside;

pub use outside::{outside_asks, reply_outside};

use gp_model::{Eni, Mac, Subnet, World};
use gp_trace::LocalService;
use gp_wire::Packet;
use std::net::IpAddr;
use std::sync::Arc;

/// Bytes of the largest IP packet inside a VPC (EC2 user guide, "Network MTU"): jumbo frames.
pub const VPC_MTU_BYTES: u16 = 9001;

/// The frame that answers `frame`, which the trace has found to be for `service`; `None` where silence is the answer.
pub fn reply(world: &World, eni: &Eni, packet: &Packet, frame: &[u8], service: LocalService) -> Option<Vec<u8>> {
    let asker = Asker { world, eni, subnet: world.subnet(eni.subnet)? };
    match (service, packet) {
        (LocalService::Arp, Packet::Arp(request)) => arp::reply(&asker, request),
        (LocalService::NeighborDiscovery, Packet::Ip(_)) => nd::reply(&asker, frame),
        (LocalService::Dhcp, Packet::Ip(packet)) if packet.tuple.src.is_ipv4() => dhcp::reply(&asker, frame),
        (LocalService::Dhcp, Packet::Ip(_)) => dhcp6::reply(&asker, frame),
        _ => None,
    }
}

/// Feeds bytes that claim to be a frame to every service: for fuzzing. Must never panic.
pub fn fuzz_reply(world: &World, eni: &Eni, frame: &[u8]) {
    let Some(subnet) = world.subnet(eni.subnet) else { return };
    let asker = Asker { world, eni, subnet };
    nd::reply(&asker, frame);
    dhcp::reply(&asker, frame);
    dhcp6::reply(&asker, frame);
}

/// Feeds bytes that claim to be a DHCP message (either version) to the services: for fuzzing. Must never panic.
pub fn fuzz_dhcp(world: &World, eni: &Eni, message: &[u8]) {
    let Some(subnet) = world.subnet(eni.subnet) else { return };
    let asker = Asker { world, eni, subnet };
    let _ = dhcp::Request::parse(message).and_then(|request| dhcp::answer(&asker, &request));
    let _ = dhcp6::Request::parse(message).and_then(|request| dhcp6::answer(&asker, &request));
}

/// Who asks, and where it is.
struct Asker<'a> {
    world: &'a World,
    eni: &'a Eni,
    subnet: &'a Arc<Subnet>,
}

impl Asker<'_> {
    fn router_mac(&self) -> Mac {
        gp_trace::router_mac(self.subnet.id)
    }

    /// The MAC address that answers for an address on the asker's link; `None` where nobody does. The trace decides
    /// it, so that packets to that MAC address are delivered to the same place.
    fn mac_behind(&self, address: IpAddr) -> Option<Mac> {
        gp_trace::neighbor_mac(self.world, self.eni, address)
    }
}

#[cfg(test)]
mod testing;
