//! What routers and gateways say to the sender of a packet that they drop, and packets cut to size.
//!
//! Sources: RFC 9293, 3.10.7.1 (resets); RFC 792, RFC 1191, RFC 1812, 4.3.2 (ICMP); RFC 4443 (ICMPv6); RFC 791, 3.2
//! (fragmentation).

use crate::checksum::Sum;
use crate::{FiveTuple, IpPacket, Packet, TcpFlags, Transport, icmp, parse, protocol};
use std::net::IpAddr;

const ETHERNET_BYTES: usize = 14;
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const TCP_BYTES: usize = 20;
const ICMP_BYTES: usize = 8;
/// How long an ICMP error may be as a whole: what every host takes (RFC 1812, 4.3.2.3; RFC 4443, 2.4).
const ICMP_ERROR_MAX: usize = 576;
const ICMPV6_ERROR_MAX: usize = 1280;
const TTL: u8 = 255;
const FRAGMENTATION_NEEDED: u8 = 4;
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;
/// Fragments but the last carry a multiple of this.
const FRAGMENT_UNIT: usize = 8;
/// Option kinds (RFC 791, 3.1).
const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;
/// In an option's kind: it belongs into every fragment.
const COPIED: u8 = 0x80;

/// The reset that answers a TCP segment of no connection, from the segment's own destination. `None` for what is no TCP
/// segment and for resets, which are never answered.
pub fn tcp_reset(frame: &[u8]) -> Option<Vec<u8>> {
    let packet = whole_ip(frame)?;
    let Transport::Tcp { flags } = packet.transport else { return None };
    if flags.0 & TcpFlags::RST != 0 {
        return None;
    }
    let segment = transport_of(frame, &packet)?;
    let [_, _, _, _, s0, s1, s2, s3, a0, a1, a2, a3, offset, ..] = *segment.first_chunk::<TCP_BYTES>()?;
    let data_bytes = segment.len().saturating_sub(usize::from(offset >> 4) * 4) as u32;
    let controls = [TcpFlags::SYN, TcpFlags::FIN].into_iter().filter(|flag| flags.0 & flag != 0).count() as u32;
    let (sequence, acknowledged, answer) = if flags.0 & TcpFlags::ACK != 0 {
        (u32::from_be_bytes([a0, a1, a2, a3]), 0, TcpFlags::RST)
    } else {
        let next = u32::from_be_bytes([s0, s1, s2, s3]).wrapping_add(data_bytes).wrapping_add(controls);
        (0, next, TcpFlags::RST | TcpFlags::ACK)
    };
    let tuple = packet.tuple.reversed();
    let mut body = Vec::with_capacity(TCP_BYTES);
    body.extend(tuple.src_port.to_be_bytes());
    body.extend(tuple.dst_port.to_be_bytes());
    body.extend(sequence.to_be_bytes());
    body.extend(acknowledged.to_be_bytes());
    body.extend([0x50, answer, 0, 0, 0, 0, 0, 0]);
    Some(answer_frame(&packet, &tuple, body, 16))
}

/// "Fragmentation needed" or "packet too big" for a frame that is too long for a way with this MTU, from the router's
/// address `from`. `None` where no error may be sent: for ICMP errors, later fragments and what was sent to many.
pub fn packet_too_big(frame: &[u8], from: IpAddr, mtu: u16) -> Option<Vec<u8>> {
    let [high, low] = mtu.to_be_bytes();
    match from {
        IpAddr::V4(_) => {
            error(frame, from, [icmp::DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED, 0, 0, 0, 0, high, low])
        }
        IpAddr::V6(_) => error(frame, from, [icmp::V6_PACKET_TOO_BIG, 0, 0, 0, 0, 0, high, low]),
    }
}

/// "Time exceeded in transit" for a frame whose TTL or hop limit has run out, from the router's address `from`. `None`
/// as of [`packet_too_big`].
pub fn time_exceeded(frame: &[u8], from: IpAddr) -> Option<Vec<u8>> {
    let icmp_type = if from.is_ipv4() { icmp::TIME_EXCEEDED } else { icmp::V6_TIME_EXCEEDED };
    error(frame, from, [icmp_type, 0, 0, 0, 0, 0, 0, 0])
}

fn error(frame: &[u8], from: IpAddr, header: [u8; ICMP_BYTES]) -> Option<Vec<u8>> {
    let Ok(Packet::Ip(packet)) = parse(frame) else { return None };
    let FiveTuple { src, dst, .. } = packet.tuple;
    let is_to_many = dst.is_multicast() || packet.dst_mac.is_multicast();
    let is_from_nobody = src.is_unspecified() || src.is_multicast() || src.is_loopback();
    let is_mixed = from.is_ipv4() != src.is_ipv4();
    if packet.is_later_fragment() || is_to_many || is_from_nobody || is_mixed || is_error(&packet) {
        return None;
    }
    let (protocol, room) = match from {
        IpAddr::V4(_) => (protocol::ICMP, ICMP_ERROR_MAX - IPV4_BYTES - ICMP_BYTES),
        IpAddr::V6(_) => (protocol::ICMPV6, ICMPV6_ERROR_MAX - IPV6_BYTES - ICMP_BYTES),
    };
    let whole = frame.get(ETHERNET_BYTES..network_end(frame)?)?;
    let mut body = header.to_vec();
    body.extend(&whole[..whole.len().min(room)]);
    let tuple = FiveTuple::icmp(protocol, from, src, header[0], header[1], 0);
    Some(answer_frame(&packet, &tuple, body, 2))
}

fn is_error(packet: &IpPacket) -> bool {
    match packet.transport {
        Transport::Icmp { icmp_type, .. } if packet.tuple.protocol == protocol::ICMPV6 => icmp_type < 128,
        Transport::Icmp { icmp_type, .. } => {
            !matches!(icmp_type, icmp::ECHO_REQUEST | icmp::ECHO_REPLY | 9 | 10 | 13..=18)
        }
        _ => false,
    }
}

/// The packet of a frame that is no fragment.
fn whole_ip(frame: &[u8]) -> Option<IpPacket> {
    match parse(frame) {
        Ok(Packet::Ip(packet)) if packet.fragment.is_none() => Some(packet),
        _ => None,
    }
}

/// Where the IP packet ends; behind it may be padding.
fn network_end(frame: &[u8]) -> Option<usize> {
    Some((ETHERNET_BYTES + network_bytes(frame.get(ETHERNET_BYTES..)?)?).min(frame.len()))
}

/// How long the IP packet is by its own header.
pub(crate) fn network_bytes(network: &[u8]) -> Option<usize> {
    Some(match network.first()? >> 4 {
        4 => usize::from(u16::from_be_bytes([*network.get(2)?, *network.get(3)?])),
        _ => IPV6_BYTES + usize::from(u16::from_be_bytes([*network.get(4)?, *network.get(5)?])),
    })
}

/// The transport header and payload of a whole packet without IPv6 extension headers.
pub(crate) fn transport_of<'f>(frame: &'f [u8], packet: &IpPacket) -> Option<&'f [u8]> {
    let header_bytes = match packet.tuple.src {
        IpAddr::V4(_) => usize::from(frame.get(ETHERNET_BYTES)? & 0x0f) * 4,
        IpAddr::V6(_) if *frame.get(ETHERNET_BYTES + 6)? == packet.tuple.protocol => IPV6_BYTES,
        IpAddr::V6(_) => return None,
    };
    frame.get(ETHERNET_BYTES + header_bytes..network_end(frame)?)
}

/// A frame back to where `to` came from, with its checksum at `checksum` of the body.
fn answer_frame(to: &IpPacket, tuple: &FiveTuple, mut body: Vec<u8>, checksum: usize) -> Vec<u8> {
    let sum = if tuple.protocol == protocol::ICMP {
        Sum::default()
    } else {
        Sum::default().add_pseudo_header(tuple, body.len() as u32)
    };
    let sum = sum.add(&body).finish();
    body[checksum..checksum + 2].copy_from_slice(&sum.to_be_bytes());
    let mut frame = Vec::with_capacity(ETHERNET_BYTES + IPV6_BYTES + body.len());
    frame.extend(to.src_mac.0);
    frame.extend(to.dst_mac.0);
    match (tuple.src, tuple.dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((body.len() as u16).to_be_bytes());
            frame.extend([tuple.protocol, TTL]);
            frame.extend(src.octets());
            frame.extend(dst.octets());
        }
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend(((IPV4_BYTES + body.len()) as u16).to_be_bytes());
            frame.extend([0, 0, 0x40, 0, TTL, tuple.protocol, 0, 0]);
            frame.extend(src.octets());
            frame.extend(dst.octets());
            mend_ipv4(&mut frame[ETHERNET_BYTES..]);
        }
        // Both are of the dropped packet's family.
        _ => {}
    }
    frame.extend(body);
    frame
}

fn mend_ipv4(header: &mut [u8]) {
    header[10..12].copy_from_slice(&[0; 2]);
    let sum = Sum::default().add(header).finish();
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Cuts the IPv4 packet of a frame into pieces of at most `mtu` bytes. One that fits, that must not be cut or that is no
/// IPv4 packet comes back as it is.
pub fn fragment(frame: &[u8], mtu: u16) -> Vec<Vec<u8>> {
    cut(frame, mtu).unwrap_or_else(|| vec![frame.to_vec()])
}

fn cut(frame: &[u8], mtu: u16) -> Option<Vec<Vec<u8>>> {
    let Ok(Packet::Ip(packet)) = parse(frame) else { return None };
    if packet.tuple.src.is_ipv6() || packet.dont_fragment {
        return None;
    }
    let end = network_end(frame)?;
    let header_bytes = usize::from(frame.get(ETHERNET_BYTES)? & 0x0f) * 4;
    let body_start = ETHERNET_BYTES + header_bytes;
    if end - ETHERNET_BYTES <= usize::from(mtu) {
        return None;
    }
    let unit = (usize::from(mtu).checked_sub(header_bytes)? / FRAGMENT_UNIT) * FRAGMENT_UNIT;
    if unit == 0 {
        return None;
    }
    let place = u16::from_be_bytes([frame[ETHERNET_BYTES + 6], frame[ETHERNET_BYTES + 7]]);
    let pieces: Vec<&[u8]> = frame.get(body_start..end)?.chunks(unit).collect();
    let last = pieces.len() - 1;
    let make = |(index, piece): (usize, &&[u8])| {
        let mut out = frame[..body_start].to_vec();
        let offset = (place & OFFSET_MASK) + (index * unit / FRAGMENT_UNIT) as u16;
        let more = if index < last { MORE_FRAGMENTS } else { place & MORE_FRAGMENTS };
        let header = &mut out[ETHERNET_BYTES..];
        header[2..4].copy_from_slice(&((header_bytes + piece.len()) as u16).to_be_bytes());
        header[6..8].copy_from_slice(&((place & DONT_FRAGMENT) | offset | more).to_be_bytes());
        if index > 0 {
            blank_options(&mut header[IPV4_BYTES..]);
        }
        mend_ipv4(header);
        out.extend(*piece);
        out
    };
    Some(pieces.iter().enumerate().map(make).collect())
}

/// Takes out the options that belong into the first fragment alone.
fn blank_options(options: &mut [u8]) {
    let mut at = 0;
    while let Some(kind) = options.get(at).copied() {
        let bytes = match kind {
            END_OF_OPTIONS => return,
            NO_OPERATION => 1,
            _ => options.get(at + 1).map_or(1, |length| usize::from(*length).max(1)),
        };
        let end = (at + bytes).min(options.len());
        if kind & COPIED == 0 {
            options[at..end].fill(NO_OPERATION);
        }
        at = end;
    }
}
