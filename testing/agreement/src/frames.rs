//! Random frames: well-formed ones of every kind that a guest may send, and damaged ones.

use gp_worlds::Rng;

/// What a frame was made to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    Tcp,
    Udp,
    Icmp,
    OtherProtocol,
    Fragment,
    Extension,
    Arp,
    OtherType,
}

const KINDS: [FrameKind; 14] = [
    FrameKind::Tcp,
    FrameKind::Tcp,
    FrameKind::Tcp,
    FrameKind::Tcp,
    FrameKind::Udp,
    FrameKind::Udp,
    FrameKind::Udp,
    FrameKind::Icmp,
    FrameKind::Icmp,
    FrameKind::OtherProtocol,
    FrameKind::Fragment,
    FrameKind::Extension,
    FrameKind::Arp,
    FrameKind::OtherType,
];
const MAX_PAYLOAD_BYTES: usize = 1600;
const MAX_PADDING_BYTES: usize = 20;
const ETHERTYPES: [u16; 4] = [0x8100, 0x88a8, 0x9000, 0x0026];
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// A frame of a random kind, well-formed but for checksums.
pub fn random_frame(rng: &mut Rng) -> (FrameKind, Vec<u8>) {
    let kind = *rng.pick(&KINDS);
    let mut frame = rng.bytes(12);
    // Multicast would be as good; unicast is the usual.
    frame[0] &= !1;
    frame[6] &= !1;
    match kind {
        FrameKind::Arp => {
            frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, rng.between(1, 3) as u8]);
            frame.extend(rng.bytes(20));
        }
        FrameKind::OtherType => {
            frame.extend(rng.pick(&ETHERTYPES).to_be_bytes());
            let length = rng.between(1, 100);
            frame.extend(rng.bytes(length));
        }
        _ if rng.chance(60) && kind != FrameKind::Extension => frame.extend(ipv4(rng, kind)),
        _ => frame.extend(ipv6(rng, kind)),
    }
    if rng.chance(20) {
        let padding = rng.below(MAX_PADDING_BYTES);
        frame.extend(rng.bytes(padding));
    }
    (kind, frame)
}

/// A byte or a length of it made wrong.
pub fn damage(rng: &mut Rng, frame: &mut Vec<u8>) {
    for _ in 0..rng.between(1, 4) {
        match rng.below(4) {
            0 => frame.truncate(rng.between(15, frame.len().max(16) + 1)),
            1 => {
                let at = rng.below(frame.len());
                frame[at] ^= 1 << rng.below(8);
            }
            // Headers are where it matters.
            _ => {
                let at = rng.below(frame.len().min(80));
                frame[at] = *rng.pick(&[0, 1, 0x0f, 0x40, 0x45, 0x4f, 0x60, 0x7f, 0x80, 0xff]);
            }
        }
    }
}

fn ipv4(rng: &mut Rng, kind: FrameKind) -> Vec<u8> {
    let (protocol, payload) = transport(rng, kind, ICMP);
    let options = if rng.chance(15) { 4 * rng.below(11) } else { 0 };
    let fragment: u16 = match kind {
        FrameKind::Fragment => *rng.pick(&[0x2000, 0x0001, 0x20b9]),
        _ => *rng.pick(&[0, 0x4000, 0x8000]),
    };
    let mut packet = vec![0x45 + (options / 4) as u8, 0];
    packet.extend(((20 + options + payload.len()) as u16).to_be_bytes());
    packet.extend(rng.bytes(2));
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    packet.extend(rng.bytes(8 + options));
    packet.extend(payload);
    [vec![8, 0], packet].concat()
}

fn ipv6(rng: &mut Rng, kind: FrameKind) -> Vec<u8> {
    let (mut protocol, mut payload) = transport(rng, kind, ICMPV6);
    match kind {
        FrameKind::Extension => {
            let extension = *rng.pick(&[0, 43, 60]);
            payload.splice(0..0, [protocol, 0, 0, 0, 0, 0, 0, 0]);
            protocol = extension;
        }
        FrameKind::Fragment => {
            payload.splice(0..0, [protocol, 0, 0, *rng.pick(&[0, 1, 9]), 0, 0, 0, 7]);
            protocol = 44;
        }
        _ => {}
    }
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([protocol, 64]);
    packet.extend(rng.bytes(32));
    packet.extend(payload);
    [vec![0x86, 0xdd], packet].concat()
}

/// Protocol number and the bytes behind the IP header.
fn transport(rng: &mut Rng, kind: FrameKind, icmp: u8) -> (u8, Vec<u8>) {
    let payload = if rng.chance(30) { rng.below(MAX_PAYLOAD_BYTES) } else { rng.below(64) };
    match kind {
        FrameKind::OtherProtocol => (*rng.pick(&[2, 33, 47, 50, 51, 59, 132, 255]), rng.bytes(payload)),
        FrameKind::Icmp => (icmp, icmp_message(rng, icmp, payload)),
        FrameKind::Udp => (UDP, udp(rng, payload)),
        FrameKind::Tcp => (TCP, tcp(rng, payload)),
        _ => match rng.below(3) {
            0 => (icmp, icmp_message(rng, icmp, payload)),
            1 => (UDP, udp(rng, payload)),
            _ => (TCP, tcp(rng, payload)),
        },
    }
}

fn tcp(rng: &mut Rng, payload: usize) -> Vec<u8> {
    let options = if rng.chance(40) { 4 * rng.below(11) } else { 0 };
    let mut segment = rng.bytes(12);
    segment.extend([(5 + options as u8 / 4) << 4, *rng.pick(&[0x02, 0x02, 0x10, 0x12, 0x18, 0x11, 0x04, 0x14, 0xff])]);
    segment.extend(rng.bytes(6));
    segment.extend(tcp_options(rng, options));
    segment.extend(rng.bytes(payload));
    segment
}

/// Options of a TCP header, mostly sensible ones; the last one may be cut.
fn tcp_options(rng: &mut Rng, bytes: usize) -> Vec<u8> {
    let mut options = Vec::new();
    while options.len() < bytes {
        match rng.below(8) {
            0 => options.extend([0]),
            1 | 2 => options.extend([1]),
            3 => options.extend([4, 2]),
            4 => options.extend([8, 10, 1, 2, 3, 4, 5, 6, 7, 8]),
            5 => options.extend(rng.bytes(3)),
            _ => {
                options.extend([2, *rng.pick(&[4, 4, 4, 3])]);
                options.extend(rng.bytes(2));
            }
        }
    }
    options.truncate(bytes);
    options
}

fn udp(rng: &mut Rng, payload: usize) -> Vec<u8> {
    let mut datagram = rng.bytes(4);
    datagram.extend(((8 + payload) as u16).to_be_bytes());
    datagram.extend(rng.bytes(2 + payload));
    datagram
}

fn icmp_message(rng: &mut Rng, protocol: u8, payload: usize) -> Vec<u8> {
    let icmp_type = match protocol {
        ICMP => *rng.pick(&[0, 8, 8, 3, 11, 13, 255]),
        _ => *rng.pick(&[128, 128, 129, 1, 2, 132, 133, 134, 135, 136, 137, 138, 255]),
    };
    let mut message = vec![icmp_type, rng.below(4) as u8];
    message.extend(rng.bytes(6 + payload));
    message
}
