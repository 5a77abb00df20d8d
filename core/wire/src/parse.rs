//! Ethernet frame → [`Packet`].
//!
//! Checksums are not looked at: a guest may leave them to its (virtual) hardware, and the fast path keeps them right
//! by differences. Everything that says how long something is, is checked against the frame.
//! Sources: RFC 826, 791, 8200, 9293, 768, 792, 4443.

use crate::extension::{UpperLayer, walk_extensions};
use crate::icmp_error::embedded_tuple;
use crate::{ArpPacket, FiveTuple, Fragment, IpPacket, Packet, TcpFlags, Transport, icmp, protocol};
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, TcpHeaderSlice};
use gp_model::Mac;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ETHERNET_HEADER_BYTES: usize = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// What a fragmented packet may hold once it is whole again.
const MAX_DATAGRAM_BYTES: u32 = u16::MAX as u32;
/// Fragments but the last one carry a multiple of this.
const FRAGMENT_UNIT_BYTES: usize = 8;
const ARP_BYTES: usize = 28;
const UDP_HEADER_BYTES: usize = 8;
/// Header and the 4 bytes behind it, which every ICMP message has.
const ICMP_BYTES: usize = 8;
/// ICMPv6 header, reserved bytes and target address (RFC 4861, 4.3).
const NEIGHBOR_SOLICITATION_BYTES: usize = 24;
/// Hop limit that tells that no router forwarded a neighbour discovery message (RFC 4861, 7.1.1).
const ON_LINK_HOP_LIMIT: u8 = 255;

/// Why bytes are not a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    #[error("EtherType {0:#06x} is neither ARP, IPv4 nor IPv6")]
    UnsupportedEtherType(u16),
    #[error("the frame ends inside its {0} header")]
    Truncated(&'static str),
    #[error("the {0} header contradicts itself or the frame's length")]
    Malformed(&'static str),
}

/// Reads a frame as it came from a guest.
///
/// # Errors
/// `UnsupportedEtherType` for anything but ARP, IPv4 and IPv6 without VLAN tags; otherwise what is wrong with it.
pub fn parse(frame: &[u8]) -> Result<Packet, ParseError> {
    let (ethernet, payload) =
        frame.split_first_chunk::<ETHERNET_HEADER_BYTES>().ok_or(ParseError::Truncated("Ethernet"))?;
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *ethernet;
    let ethernet = Ethernet {
        src: Mac([s0, s1, s2, s3, s4, s5]),
        dst: Mac([d0, d1, d2, d3, d4, d5]),
        // A guest's frame is at most some 64 KiB; the cast can't lose anything that matters.
        frame_bytes: u32::try_from(frame.len()).unwrap_or(u32::MAX),
    };
    match u16::from_be_bytes([t0, t1]) {
        ETHERTYPE_ARP => parse_arp(&ethernet, payload).map(Packet::Arp),
        ETHERTYPE_IPV4 => parse_ipv4(&ethernet, payload).map(Packet::Ip),
        ETHERTYPE_IPV6 => parse_ipv6(&ethernet, payload).map(Packet::Ip),
        other => Err(ParseError::UnsupportedEtherType(other)),
    }
}

/// For fuzzers: whatever the bytes, this returns; and what it returns can be used.
pub fn fuzz_parse(frame: &[u8]) {
    if let Ok(packet) = parse(frame) {
        let tuple = packet.tuple();
        assert_eq!(tuple.reversed().reversed(), tuple, "a tuple reversed twice is itself");
    }
}

struct Ethernet {
    src: Mac,
    dst: Mac,
    frame_bytes: u32,
}

fn parse_arp(ethernet: &Ethernet, bytes: &[u8]) -> Result<ArpPacket, ParseError> {
    let arp = bytes.first_chunk::<ARP_BYTES>().ok_or(ParseError::Truncated("ARP"))?;
    // Hardware type Ethernet, protocol IPv4, address lengths 6 and 4.
    if arp[..6] != [0, 1, 8, 0, 6, 4] {
        return Err(ParseError::Malformed("ARP"));
    }
    let is_request = match arp[6..8] {
        [0, 1] => true,
        [0, 2] => false,
        _ => return Err(ParseError::Malformed("ARP")),
    };
    Ok(ArpPacket {
        src_mac: ethernet.src,
        dst_mac: ethernet.dst,
        is_request,
        sender_mac: Mac([arp[8], arp[9], arp[10], arp[11], arp[12], arp[13]]),
        sender: Ipv4Addr::new(arp[14], arp[15], arp[16], arp[17]),
        target: Ipv4Addr::new(arp[24], arp[25], arp[26], arp[27]),
    })
}

/// An IP packet whose network header is read.
struct Datagram<'a> {
    src: IpAddr,
    dst: IpAddr,
    ttl: u8,
    protocol: u8,
    fragment: Option<Fragment>,
    dont_fragment: bool,
    payload: &'a [u8],
}

fn parse_ipv4(ethernet: &Ethernet, bytes: &[u8]) -> Result<IpPacket, ParseError> {
    let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|error| match error {
        etherparse::err::ipv4::HeaderSliceError::Len(_) => ParseError::Truncated("IPv4"),
        etherparse::err::ipv4::HeaderSliceError::Content(_) => ParseError::Malformed("IPv4"),
    })?;
    // Less than the frame holds is padding; more is a lie.
    let payload =
        bytes.get(header.slice().len()..usize::from(header.total_len())).ok_or(ParseError::Malformed("IPv4"))?;
    let fragment = Fragment {
        id: u32::from(header.identification()),
        offset: u32::from(header.fragments_offset().byte_offset()),
        more: header.more_fragments(),
    };
    finish(
        ethernet,
        Datagram {
            src: header.source_addr().into(),
            dst: header.destination_addr().into(),
            ttl: header.ttl(),
            protocol: header.protocol().0,
            fragment: checked_fragment(fragment, payload)?,
            dont_fragment: header.dont_fragment(),
            payload,
        },
    )
}

fn parse_ipv6(ethernet: &Ethernet, bytes: &[u8]) -> Result<IpPacket, ParseError> {
    let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|error| match error {
        etherparse::err::ipv6::HeaderSliceError::Len(_) => ParseError::Truncated("IPv6"),
        etherparse::err::ipv6::HeaderSliceError::Content(_) => ParseError::Malformed("IPv6"),
    })?;
    let start = header.slice().len();
    let payload =
        bytes.get(start..start + usize::from(header.payload_length())).ok_or(ParseError::Malformed("IPv6"))?;
    let UpperLayer { protocol, fragment, payload } = walk_extensions(header.next_header().0, payload)?;
    let fragment = match fragment {
        Some(fragment) => checked_fragment(fragment, payload)?,
        None => None,
    };
    finish(
        ethernet,
        Datagram {
            src: header.source_addr().into(),
            dst: header.destination_addr().into(),
            ttl: header.hop_limit(),
            protocol,
            fragment,
            dont_fragment: true,
            payload,
        },
    )
}

/// A packet with offset 0 and nothing to follow is whole, also if IPv6 says so in a header (RFC 6946).
fn checked_fragment(fragment: Fragment, payload: &[u8]) -> Result<Option<Fragment>, ParseError> {
    if fragment.offset == 0 && !fragment.more {
        return Ok(None);
    }
    let uneven = fragment.more && !payload.len().is_multiple_of(FRAGMENT_UNIT_BYTES);
    // IP caps the payload at 64 KiB, so the sum stays far below 32 bits.
    let too_long = fragment.offset + payload.len() as u32 > MAX_DATAGRAM_BYTES;
    if uneven || too_long { Err(ParseError::Malformed("fragment")) } else { Ok(Some(fragment)) }
}

fn finish(ethernet: &Ethernet, datagram: Datagram<'_>) -> Result<IpPacket, ParseError> {
    let Datagram { src, dst, ttl, protocol, fragment, dont_fragment, payload } = datagram;
    let (transport, src_port, dst_port) = match fragment {
        Some(fragment) if fragment.offset > 0 => (Transport::Other, 0, 0),
        _ => parse_transport(protocol, payload, fragment.is_some())?,
    };
    let icmp_type = match transport {
        Transport::Icmp { icmp_type, .. } => Some(icmp_type),
        _ => None,
    };
    Ok(IpPacket {
        src_mac: ethernet.src,
        dst_mac: ethernet.dst,
        tuple: FiveTuple { protocol, src, dst, src_port, dst_port },
        transport,
        ttl,
        fragment,
        dont_fragment,
        related: icmp_type.and_then(|icmp_type| embedded_tuple(protocol, icmp_type, &payload[ICMP_BYTES..])),
        solicited: (ttl == ON_LINK_HOP_LIMIT && fragment.is_none())
            .then(|| solicited_address(protocol, payload))
            .flatten(),
        frame_bytes: ethernet.frame_bytes,
    })
}

/// The transport header's meaning, and the ports as [`FiveTuple`] wants them.
fn parse_transport(protocol: u8, payload: &[u8], is_fragment: bool) -> Result<(Transport, u16, u16), ParseError> {
    match protocol {
        protocol::TCP => {
            let header = TcpHeaderSlice::from_slice(payload).map_err(|error| match error {
                etherparse::err::tcp::HeaderSliceError::Len(_) => ParseError::Truncated("TCP"),
                etherparse::err::tcp::HeaderSliceError::Content(_) => ParseError::Malformed("TCP"),
            })?;
            let flags = TcpFlags(header.slice()[13]);
            Ok((Transport::Tcp { flags }, header.source_port(), header.destination_port()))
        }
        protocol::UDP => {
            let [s0, s1, d0, d1, l0, l1, ..] =
                *payload.first_chunk::<UDP_HEADER_BYTES>().ok_or(ParseError::Truncated("UDP"))?;
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            // A first fragment tells the length of the whole datagram.
            if length < UDP_HEADER_BYTES || (length > payload.len() && !is_fragment) {
                return Err(ParseError::Malformed("UDP"));
            }
            Ok((Transport::Udp, u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])))
        }
        protocol::ICMP | protocol::ICMPV6 => {
            let [icmp_type, code, _, _, i0, i1, ..] =
                *payload.first_chunk::<ICMP_BYTES>().ok_or(ParseError::Truncated("ICMP"))?;
            let id = if is_echo(protocol, icmp_type) { u16::from_be_bytes([i0, i1]) } else { 0 };
            Ok((Transport::Icmp { icmp_type, code, id }, id, u16::from(icmp_type) << 8 | u16::from(code)))
        }
        _ => Ok((Transport::Other, 0, 0)),
    }
}

pub(crate) fn is_echo(protocol: u8, icmp_type: u8) -> bool {
    matches!(
        (protocol, icmp_type),
        (protocol::ICMP, icmp::ECHO_REQUEST | icmp::ECHO_REPLY)
            | (protocol::ICMPV6, icmp::V6_ECHO_REQUEST | icmp::V6_ECHO_REPLY)
    )
}

fn solicited_address(protocol: u8, payload: &[u8]) -> Option<Ipv6Addr> {
    if protocol != protocol::ICMPV6 || payload.first() != Some(&icmp::V6_NEIGHBOR_SOLICITATION) {
        return None;
    }
    let message = payload.first_chunk::<NEIGHBOR_SOLICITATION_BYTES>()?;
    let target = Ipv6Addr::from(*message.last_chunk::<16>()?);
    (message[1] == 0 && !target.is_multicast()).then_some(target)
}
