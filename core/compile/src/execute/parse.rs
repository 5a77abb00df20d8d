//! From bytes to a flow key: `lib/parse.h`.
//!
//! Not gp-wire's parser: this one must give up where the kernel program gives up.

use crate::key::{is_slow_icmp, is_slow_icmpv6};
use gp_abi::FlowKey;
use gp_wire::{icmp, protocol};

const ETHERNET_HEADER_BYTES: usize = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const IPV4_HEADER_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;
const TCP_HEADER_BYTES: usize = 20;
const UDP_HEADER_BYTES: usize = 8;
const ICMP_HEADER_BYTES: usize = 8;
/// More fragments, or an offset (RFC 791, 3.1).
const IPV4_FRAGMENT: u16 = 0x3fff;
/// Hop-by-hop options, routing, fragment, destination options (RFC 8200, 4).
const IPV6_EXTENSIONS: [u8; 4] = [0, 43, 44, 60];

pub(super) struct Parsed {
    pub key: FlowKey,
    /// Bytes in front of the payload, Ethernet header included.
    pub headers: usize,
    /// Of them in front of the transport header.
    pub transport: usize,
    pub tcp_flags: u8,
}

/// An IP packet, down to what its header says of its payload.
struct Datagram<'a> {
    family: u8,
    src: [u8; 16],
    dst: [u8; 16],
    protocol: u8,
    header_bytes: usize,
    payload: &'a [u8],
}

/// What the transport header adds.
#[derive(Default)]
struct Transport {
    src_port: u16,
    dst_port: u16,
    tcp_flags: u8,
    header_bytes: usize,
}

/// `None` is no fault: user space parses the frame in full.
pub(super) fn parse(frame: &[u8], port: u32) -> Option<Parsed> {
    let (ethernet, payload) = frame.split_first_chunk::<ETHERNET_HEADER_BYTES>()?;
    let [_, _, _, _, _, _, s0, s1, s2, s3, s4, s5, t0, t1] = *ethernet;
    let datagram = match u16::from_be_bytes([t0, t1]) {
        ETHERTYPE_IPV4 => parse_ipv4(payload)?,
        ETHERTYPE_IPV6 => parse_ipv6(payload)?,
        _ => return None,
    };
    let transport = parse_transport(&datagram)?;
    let key = FlowKey {
        src: datagram.src,
        dst: datagram.dst,
        port,
        src_mac: [s0, s1, s2, s3, s4, s5],
        src_port: transport.src_port,
        dst_port: transport.dst_port,
        protocol: datagram.protocol,
        family: datagram.family,
    };
    let before = ETHERNET_HEADER_BYTES + datagram.header_bytes;
    let headers = before + transport.header_bytes;
    Some(Parsed { key, headers, transport: before, tcp_flags: transport.tcp_flags })
}

fn parse_ipv4(bytes: &[u8]) -> Option<Datagram<'_>> {
    let ip = bytes.first_chunk::<IPV4_HEADER_BYTES>()?;
    let header_bytes = usize::from(ip[0] & 0xf) * 4;
    let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    if ip[0] >> 4 != 4 || header_bytes < IPV4_HEADER_BYTES {
        return None;
    }
    if u16::from_be_bytes([ip[6], ip[7]]) & IPV4_FRAGMENT != 0 {
        return None;
    }
    let payload = bytes.get(header_bytes..total)?;
    let [src, dst] = [&ip[12..16], &ip[16..20]].map(|address| {
        let mut mapped = [0; 16];
        mapped[10..12].fill(0xff);
        mapped[12..].copy_from_slice(address);
        mapped
    });
    Some(Datagram { family: 4, src, dst, protocol: ip[9], header_bytes, payload })
}

fn parse_ipv6(bytes: &[u8]) -> Option<Datagram<'_>> {
    let (ip, behind) = bytes.split_first_chunk::<IPV6_HEADER_BYTES>()?;
    let payload = behind.get(..usize::from(u16::from_be_bytes([ip[4], ip[5]])))?;
    if ip[0] >> 4 != 6 || IPV6_EXTENSIONS.contains(&ip[6]) {
        return None;
    }
    let (mut src, mut dst) = ([0; 16], [0; 16]);
    src.copy_from_slice(&ip[8..24]);
    dst.copy_from_slice(&ip[24..]);
    Some(Datagram { family: 6, src, dst, protocol: ip[6], header_bytes: IPV6_HEADER_BYTES, payload })
}

fn parse_transport(datagram: &Datagram<'_>) -> Option<Transport> {
    match (datagram.protocol, datagram.family) {
        (protocol::TCP, _) => parse_tcp(datagram.payload),
        (protocol::UDP, _) => parse_udp(datagram.payload),
        (protocol::ICMP, 4) | (protocol::ICMPV6, 6) => parse_icmp(datagram.protocol, datagram.payload),
        (protocol::ICMP | protocol::ICMPV6, _) => None,
        _ => Some(Transport::default()),
    }
}

fn parse_tcp(bytes: &[u8]) -> Option<Transport> {
    let tcp = bytes.first_chunk::<TCP_HEADER_BYTES>()?;
    let header_bytes = usize::from(tcp[12] >> 4) * 4;
    (header_bytes >= TCP_HEADER_BYTES && header_bytes <= bytes.len()).then_some(Transport {
        src_port: u16::from_be_bytes([tcp[0], tcp[1]]),
        dst_port: u16::from_be_bytes([tcp[2], tcp[3]]),
        tcp_flags: tcp[13],
        header_bytes,
    })
}

fn parse_udp(bytes: &[u8]) -> Option<Transport> {
    let udp = bytes.first_chunk::<UDP_HEADER_BYTES>()?;
    let length = usize::from(u16::from_be_bytes([udp[4], udp[5]]));
    (length >= UDP_HEADER_BYTES && length <= bytes.len()).then_some(Transport {
        src_port: u16::from_be_bytes([udp[0], udp[1]]),
        dst_port: u16::from_be_bytes([udp[2], udp[3]]),
        tcp_flags: 0,
        header_bytes: UDP_HEADER_BYTES,
    })
}

fn parse_icmp(protocol: u8, bytes: &[u8]) -> Option<Transport> {
    let [icmp_type, code, _, _, i0, i1, _, _] = *bytes.first_chunk::<ICMP_HEADER_BYTES>()?;
    let (is_slow, is_echo) = match protocol {
        protocol::ICMP => (is_slow_icmp(icmp_type), matches!(icmp_type, icmp::ECHO_REQUEST | icmp::ECHO_REPLY)),
        _ => (is_slow_icmpv6(icmp_type), matches!(icmp_type, icmp::V6_ECHO_REQUEST | icmp::V6_ECHO_REPLY)),
    };
    (!is_slow).then_some(Transport {
        src_port: if is_echo { u16::from_be_bytes([i0, i1]) } else { 0 },
        dst_port: u16::from_be_bytes([icmp_type, code]),
        tcp_flags: 0,
        header_bytes: ICMP_HEADER_BYTES,
    })
}
