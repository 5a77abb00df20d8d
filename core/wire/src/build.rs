//! [`Packet`] → frame, with right lengths and checksums.
//!
//! ```text
//! parse(emit(packet)) == packet      for every packet that is consistent in itself
//! ```
//!
//! For questions ("would this packet pass?"), for tests and for answers. Consistent means: tuple and transport say the
//! same, both addresses are of one family, an IPv6 packet may not be cut, `frame_bytes` is not less than [`min_frame_bytes`], and fragments with more
//! to follow carry a multiple of 8 bytes.

use crate::checksum::Sum;
use crate::{ArpPacket, FiveTuple, Fragment, IpPacket, Packet, TcpFlags, Transport, icmp, protocol};
use gp_model::Mac;
use std::net::{IpAddr, Ipv4Addr};

const ETHERNET_BYTES: usize = 14;
const ARP_BYTES: usize = 28;
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const IPV6_FRAGMENT_BYTES: usize = 8;
const IPV6_FRAGMENT: u8 = 44;
const TCP_BYTES: usize = 20;
const UDP_BYTES: usize = 8;
const ICMP_BYTES: usize = 8;
const ADDRESS_BYTES: usize = 16;
/// What an ICMP error quotes of the packet behind its IP header.
const QUOTED_BYTES: usize = 8;
const IPV4_DONT_FRAGMENT: u16 = 0x4000;
const IPV4_MORE_FRAGMENTS: u16 = 0x2000;
const DEFAULT_TTL: u8 = 64;
/// Any that is not 0.
const TCP_WINDOW: u16 = 0xffff;

/// The two ends of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    pub src_mac: Mac,
    pub dst_mac: Mac,
    pub src: IpAddr,
    pub dst: IpAddr,
}

/// A TCP segment with `payload_bytes` zeros.
pub fn tcp(ends: Ends, src_port: u16, dst_port: u16, flags: TcpFlags, payload_bytes: u32) -> IpPacket {
    whole(ends, protocol::TCP, src_port, dst_port, Transport::Tcp { flags }, payload_bytes)
}

/// A UDP datagram with `payload_bytes` zeros.
pub fn udp(ends: Ends, src_port: u16, dst_port: u16, payload_bytes: u32) -> IpPacket {
    whole(ends, protocol::UDP, src_port, dst_port, Transport::Udp, payload_bytes)
}

/// An ICMP or ICMPv6 message, by the family of the addresses. `id` counts only for echos.
pub fn icmp(ends: Ends, icmp_type: u8, code: u8, id: u16, payload_bytes: u32) -> IpPacket {
    let protocol = if ends.src.is_ipv4() { protocol::ICMP } else { protocol::ICMPV6 };
    let id = if crate::parse::is_echo(protocol, icmp_type) { id } else { 0 };
    let type_and_code = u16::from(icmp_type) << 8 | u16::from(code);
    whole(ends, protocol, id, type_and_code, Transport::Icmp { icmp_type, code, id }, payload_bytes)
}

/// An echo request ("ping").
pub fn icmp_echo(ends: Ends, id: u16, payload_bytes: u32) -> IpPacket {
    let icmp_type = if ends.src.is_ipv4() { icmp::ECHO_REQUEST } else { icmp::V6_ECHO_REQUEST };
    icmp(ends, icmp_type, 0, id, payload_bytes)
}

/// A packet of a protocol without ports.
pub fn other(ends: Ends, protocol: u8, payload_bytes: u32) -> IpPacket {
    whole(ends, protocol, 0, 0, Transport::Other, payload_bytes)
}

fn whole(ends: Ends, protocol: u8, src_port: u16, dst_port: u16, transport: Transport, payload_bytes: u32) -> IpPacket {
    let Ends { src_mac, dst_mac, src, dst } = ends;
    let mut packet = IpPacket {
        src_mac,
        dst_mac,
        tuple: FiveTuple { protocol, src, dst, src_port, dst_port },
        transport,
        ttl: DEFAULT_TTL,
        fragment: None,
        dont_fragment: true,
        related: None,
        solicited: None,
        frame_bytes: 0,
    };
    packet.frame_bytes = min_frame_bytes(&packet) + payload_bytes;
    packet
}

/// The frame that asks by ARP who has `target`.
pub fn arp_request(src_mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let packet = ArpPacket { src_mac, dst_mac: Mac::BROADCAST, is_request: true, sender_mac: src_mac, sender, target };
    emit_arp(&packet)
}

/// The frame that tells `asker` that `sender` is at `sender_mac`.
pub fn arp_reply(sender_mac: Mac, sender: Ipv4Addr, asker_mac: Mac, asker: Ipv4Addr) -> Vec<u8> {
    let packet =
        ArpPacket { src_mac: sender_mac, dst_mac: asker_mac, is_request: false, sender_mac, sender, target: asker };
    emit_arp(&packet)
}

/// Writes the frame. What a [`Packet`] does not tell is zero.
pub fn emit(packet: &Packet) -> Vec<u8> {
    match packet {
        Packet::Arp(arp) => emit_arp(arp),
        Packet::Ip(packet) => emit_ip(packet),
    }
}

/// Bytes of the shortest frame that holds the packet's headers.
pub fn min_frame_bytes(packet: &IpPacket) -> u32 {
    let transport = transport_bytes(packet);
    // Fragments but the last carry a multiple of 8.
    let payload =
        if packet.fragment.is_some_and(|f| f.more) { transport.max(8).next_multiple_of(8) } else { transport };
    (ETHERNET_BYTES + network_bytes(packet) + payload) as u32
}

fn network_bytes(packet: &IpPacket) -> usize {
    match (packet.tuple.src, packet.fragment) {
        (IpAddr::V4(_), _) => IPV4_BYTES,
        (IpAddr::V6(_), None) => IPV6_BYTES,
        (IpAddr::V6(_), Some(_)) => IPV6_BYTES + IPV6_FRAGMENT_BYTES,
    }
}

fn transport_bytes(packet: &IpPacket) -> usize {
    match packet.transport {
        _ if packet.is_later_fragment() => 0,
        Transport::Tcp { .. } => TCP_BYTES,
        Transport::Udp => UDP_BYTES,
        Transport::Icmp { .. } => {
            let quoted = packet.related.map_or(0, |related| ip_header_bytes(related.src) + QUOTED_BYTES);
            let target = packet.solicited.map_or(0, |_| ADDRESS_BYTES);
            ICMP_BYTES + quoted + target
        }
        Transport::Other => 0,
    }
}

fn ip_header_bytes(address: IpAddr) -> usize {
    if address.is_ipv4() { IPV4_BYTES } else { IPV6_BYTES }
}

fn emit_arp(arp: &ArpPacket) -> Vec<u8> {
    let mut frame = Vec::with_capacity(ETHERNET_BYTES + ARP_BYTES);
    push_ethernet(&mut frame, arp.src_mac, arp.dst_mac, 0x0806);
    frame.extend([0, 1, 8, 0, 6, 4, 0, if arp.is_request { 1 } else { 2 }]);
    frame.extend(arp.sender_mac.0);
    frame.extend(arp.sender.octets());
    frame.extend(if arp.is_request { [0; 6] } else { arp.dst_mac.0 });
    frame.extend(arp.target.octets());
    frame
}

fn push_ethernet(frame: &mut Vec<u8>, src: Mac, dst: Mac, ether_type: u16) {
    frame.extend(dst.0);
    frame.extend(src.0);
    frame.extend(ether_type.to_be_bytes());
}

fn emit_ip(packet: &IpPacket) -> Vec<u8> {
    let frame_bytes = packet.frame_bytes.max(min_frame_bytes(packet)) as usize;
    let body_bytes = frame_bytes - ETHERNET_BYTES - network_bytes(packet);
    let mut frame = Vec::with_capacity(frame_bytes);
    let ether_type = if packet.tuple.src.is_ipv4() { 0x0800 } else { 0x86dd };
    push_ethernet(&mut frame, packet.src_mac, packet.dst_mac, ether_type);
    push_network(&mut frame, &packet.tuple, packet.ttl, (packet.fragment, packet.dont_fragment), body_bytes);
    let body = frame.len();
    push_transport(&mut frame, packet, body_bytes);
    frame.resize(frame_bytes, 0);
    fill_checksum(&mut frame[body..], packet);
    frame
}

fn push_network(
    frame: &mut Vec<u8>,
    tuple: &FiveTuple,
    ttl: u8,
    fragmentation: (Option<Fragment>, bool),
    body_bytes: usize,
) {
    let (fragment, _) = fragmentation;
    match (tuple.src, tuple.dst) {
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let fragment_bytes = fragment.map_or(0, |_| IPV6_FRAGMENT_BYTES);
            frame.extend([0x60, 0, 0, 0]);
            frame.extend(((body_bytes + fragment_bytes) as u16).to_be_bytes());
            frame.extend([fragment.map_or(tuple.protocol, |_| IPV6_FRAGMENT), ttl]);
            frame.extend(src.octets());
            frame.extend(dst.octets());
            if let Some(Fragment { id, offset, more }) = fragment {
                frame.extend([tuple.protocol, 0]);
                frame.extend((offset as u16 & !7 | u16::from(more)).to_be_bytes());
                frame.extend(id.to_be_bytes());
            }
        }
        (src, dst) => push_ipv4(frame, [v4(src), v4(dst)], (tuple.protocol, ttl), fragmentation, body_bytes),
    }
}

/// A packet whose ends are of two families is not consistent; its IPv6 end is written as 0.0.0.0.
fn v4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(a) => a,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

fn push_ipv4(
    frame: &mut Vec<u8>,
    ends: [Ipv4Addr; 2],
    (protocol, ttl): (u8, u8),
    (fragment, dont_fragment): (Option<Fragment>, bool),
    body_bytes: usize,
) {
    let start = frame.len();
    let (id, place) = match fragment {
        None => (0, 0),
        Some(Fragment { id, offset, more }) => {
            (id as u16, (offset / 8) as u16 | if more { IPV4_MORE_FRAGMENTS } else { 0 })
        }
    };
    let fragmentation = place | if dont_fragment { IPV4_DONT_FRAGMENT } else { 0 };
    frame.extend([0x45, 0]);
    frame.extend(((IPV4_BYTES + body_bytes) as u16).to_be_bytes());
    frame.extend(id.to_be_bytes());
    frame.extend(fragmentation.to_be_bytes());
    frame.extend([ttl, protocol, 0, 0]);
    frame.extend(ends[0].octets());
    frame.extend(ends[1].octets());
    let checksum = Sum::default().add(&frame[start..]).finish();
    frame[start + 10..start + 12].copy_from_slice(&checksum.to_be_bytes());
}

fn push_transport(frame: &mut Vec<u8>, packet: &IpPacket, body_bytes: usize) {
    let FiveTuple { src_port, dst_port, .. } = packet.tuple;
    match packet.transport {
        _ if packet.is_later_fragment() => {}
        Transport::Tcp { flags } => {
            push_ports(frame, src_port, dst_port);
            // Sequence and acknowledgement number, data offset of 5 words.
            frame.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags.0]);
            frame.extend(TCP_WINDOW.to_be_bytes());
            frame.extend([0; 4]);
        }
        Transport::Udp => {
            push_ports(frame, src_port, dst_port);
            frame.extend((body_bytes as u16).to_be_bytes());
            frame.extend([0; 2]);
        }
        Transport::Icmp { icmp_type, code, id } => {
            frame.extend([icmp_type, code, 0, 0]);
            frame.extend(id.to_be_bytes());
            frame.extend([0; 2]);
            if let Some(related) = &packet.related {
                push_network(frame, related, DEFAULT_TTL, (None, true), QUOTED_BYTES);
                push_quoted(frame, related);
            }
            if let Some(target) = packet.solicited {
                frame.extend(target.octets());
            }
        }
        Transport::Other => {}
    }
}

fn push_ports(frame: &mut Vec<u8>, src_port: u16, dst_port: u16) {
    frame.extend(src_port.to_be_bytes());
    frame.extend(dst_port.to_be_bytes());
}

/// The first 8 bytes of a transport header.
fn push_quoted(frame: &mut Vec<u8>, tuple: &FiveTuple) {
    if tuple.is_icmp() {
        frame.extend(tuple.dst_port.to_be_bytes());
        frame.extend([0; 2]);
        frame.extend(tuple.src_port.to_be_bytes());
        frame.extend([0; 2]);
    } else {
        push_ports(frame, tuple.src_port, tuple.dst_port);
        frame.extend([0; 4]);
    }
}

/// Fragments are left without: the sum runs over the whole packet, which nobody here has.
fn fill_checksum(body: &mut [u8], packet: &IpPacket) {
    let offset = match packet.transport {
        _ if packet.fragment.is_some() => return,
        Transport::Tcp { .. } => 16,
        Transport::Udp => 6,
        Transport::Icmp { .. } => 2,
        Transport::Other => return,
    };
    let sum = if packet.tuple.protocol == protocol::ICMP {
        Sum::default()
    } else {
        Sum::default().add_pseudo_header(&packet.tuple, body.len() as u32)
    };
    let checksum = match sum.add(body).finish() {
        // UDP has a use of its own for 0: no checksum (RFC 768).
        0 if packet.transport == Transport::Udp => 0xffff,
        checksum => checksum,
    };
    body[offset..offset + 2].copy_from_slice(&checksum.to_be_bytes());
}
