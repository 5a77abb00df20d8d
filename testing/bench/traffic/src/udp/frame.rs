//! A UDP frame of 64 bytes: Ethernet 14, IPv4 20, UDP 8, payload 22.
//!
//! Without a UDP checksum (RFC 768 allows that over IPv4), so that a frame is made by writing two ports.

use crate::udp::flow::Ports;
use crate::udp::lane::{LaneName, Mac};

pub const FRAME_BYTES: usize = 64;
const IP: usize = 14;
const UDP: usize = IP + 20;
const PAYLOAD: usize = UDP + 8;
pub const PAYLOAD_BYTES: usize = FRAME_BYTES - PAYLOAD;

/// First byte of a payload: the server sends such datagrams back.
pub const ECHO: u8 = 1;

#[derive(Debug, Clone, Copy)]
pub struct Frame(pub [u8; FRAME_BYTES]);

impl Frame {
    pub fn of_lane(lane: &LaneName, own_mac: Mac) -> Self {
        let mut bytes = [0; FRAME_BYTES];
        bytes[..6].copy_from_slice(&lane.next_hop);
        bytes[6..12].copy_from_slice(&own_mac);
        bytes[12..14].copy_from_slice(&[0x08, 0x00]);
        // Version and length; TTL 64, UDP; don't fragment.
        bytes[IP] = 0x45;
        bytes[IP + 2..IP + 4].copy_from_slice(&((FRAME_BYTES - IP) as u16).to_be_bytes());
        bytes[IP + 6] = 0x40;
        bytes[IP + 8..IP + 10].copy_from_slice(&[64, 17]);
        bytes[IP + 12..IP + 16].copy_from_slice(&lane.source.octets());
        bytes[IP + 16..IP + 20].copy_from_slice(&lane.destination.octets());
        let checksum = checksum(&bytes[IP..UDP]);
        bytes[IP + 10..IP + 12].copy_from_slice(&checksum.to_be_bytes());
        bytes[UDP + 4..UDP + 6].copy_from_slice(&((FRAME_BYTES - UDP) as u16).to_be_bytes());
        Self(bytes)
    }

    pub fn set_ports(&mut self, ports: Ports) {
        self.0[UDP..UDP + 2].copy_from_slice(&ports.source.to_be_bytes());
        self.0[UDP + 2..UDP + 4].copy_from_slice(&ports.destination.to_be_bytes());
    }

    /// Asks for an echo that names the place.
    pub fn ask_echo(&mut self, place: u32) {
        self.0[PAYLOAD] = ECHO;
        self.0[PAYLOAD + 4..PAYLOAD + 8].copy_from_slice(&place.to_be_bytes());
    }
}

/// The place that an echo names; `None` for any other frame.
pub fn echoed(frame: &[u8]) -> Option<u32> {
    let is_echo = frame.get(IP + 9) == Some(&17) && frame.get(PAYLOAD) == Some(&ECHO);
    let place = frame.get(PAYLOAD + 4..PAYLOAD + 8)?;
    is_echo.then(|| u32::from_be_bytes(place.try_into().expect("four bytes")))
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let mut sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_receivers_accept() {
        let lane: LaneName = "eth0,10.8.0.1,10.9.0.1,02:00:00:00:00:ff".parse().unwrap();
        let mut frame = Frame::of_lane(&lane, [2; 6]);
        frame.set_ports(Ports { source: 30_000, destination: 8000 });
        assert_eq!(checksum(&frame.0[IP..UDP]), 0, "a correct header sums up to nothing");
        assert_eq!(u16::from_be_bytes([frame.0[UDP + 2], frame.0[UDP + 3]]), 8000);
        assert_eq!(echoed(&frame.0), None);
        frame.ask_echo(70_000);
        assert_eq!(echoed(&frame.0), Some(70_000));
        assert_eq!(echoed(&[]), None);
    }
}
