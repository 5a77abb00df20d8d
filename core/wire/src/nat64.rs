//! IPv6 that stands for IPv4: addresses, ICMP messages and whole frames of the one in the other.
//!
//! Promise: a TCP or UDP checksum that was wrong stays wrong; one that UDP over IPv4 left out is made.
//! Sources: RFC 6052 (64:ff9b::/96), RFC 7915, 4 and 5.

use crate::checksum::{Delta, Sum};
use crate::reply::{network_bytes, transport_of};
use crate::{FiveTuple, IpPacket, Packet, icmp, parse, protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const ICMP_BYTES: usize = 8;
/// How much longer the IPv6 header is.
const DIFFERENCE: u32 = (IPV6_BYTES - IPV4_BYTES) as u32;
/// Up to here IPv6 packets may be cut once they are IPv4 (RFC 7915, 5.1).
const IPV6_MIN_MTU: usize = 1280;

/// First six groups of the well-known prefix.
const WELL_KNOWN: [u16; 6] = [0x0064, 0xff9b, 0, 0, 0, 0];

/// The IPv4 address that an address of 64:ff9b::/96 stands for.
pub fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, ..] = address.segments();
    let [.., w, x, y, z] = address.octets();
    ([a, b, c, d, e, f] == WELL_KNOWN).then(|| Ipv4Addr::new(w, x, y, z))
}

/// The address of 64:ff9b::/96 that stands for an IPv4 address.
pub fn embed(address: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = WELL_KNOWN;
    let [w, x, y, z] = address.octets();
    Ipv6Addr::new(a, b, c, d, e, f, u16::from_be_bytes([w, x]), u16::from_be_bytes([y, z]))
}

/// Type and code (`type << 8 | code`) of an ICMPv6 message as ICMP has them. `None` where ICMP has no such message.
pub fn icmp_to_ipv4(type_and_code: u16) -> Option<u16> {
    let [icmp_type, code] = type_and_code.to_be_bytes();
    let translated = match (icmp_type, code) {
        (128, 0) => [8, 0],
        (129, 0) => [0, 0],
        (1, 0 | 2 | 3) => [3, 1],
        (1, 1) => [3, 10],
        (1, 4) => [3, 3],
        (2, _) => [3, 4],
        (3, code) => [11, code],
        (4, 1) => [3, 2],
        _ => return None,
    };
    Some(u16::from_be_bytes(translated))
}

/// Type and code of an ICMP message as ICMPv6 has them.
pub fn icmp_to_ipv6(type_and_code: u16) -> Option<u16> {
    let [icmp_type, code] = type_and_code.to_be_bytes();
    let translated = match (icmp_type, code) {
        (8, 0) => [128, 0],
        (0, 0) => [129, 0],
        (3, 0 | 1 | 5..=8 | 11 | 12) => [1, 0],
        (3, 9 | 10 | 13 | 15) => [1, 1],
        (3, 3) => [1, 4],
        (3, 2) => [4, 1],
        (3, 4) => [2, 0],
        (11, code) => [3, code],
        _ => return None,
    };
    Some(u16::from_be_bytes(translated))
}

/// The frame's packet in the other family, with this tuple and, if it is an ICMP error, this one in what it quotes. The
/// Ethernet addresses stay. `None` for what can't be translated: fragments, extension headers, other protocols, a tuple of
/// the same family.
pub fn translate(frame: &[u8], to: &FiveTuple, related: Option<&FiveTuple>) -> Option<Vec<u8>> {
    let Ok(Packet::Ip(packet)) = parse(frame) else { return None };
    if packet.fragment.is_some() || packet.tuple.src.is_ipv4() == to.src.is_ipv4() {
        return None;
    }
    let body = transport_of(frame, &packet)?;
    let body = match to.protocol {
        protocol::TCP | protocol::UDP if to.protocol == packet.tuple.protocol => segment(&packet, body, to)?,
        protocol::ICMP | protocol::ICMPV6 if packet.tuple.is_icmp() => message(body, to, related)?,
        _ => return None,
    };
    let mut out = frame[..12].to_vec();
    out.extend(if to.src.is_ipv4() { [0x08, 0x00] } else { [0x86, 0xdd] });
    push_header(&mut out, to, packet.ttl, body.len())?;
    out.extend(body);
    Some(out)
}

fn push_header(out: &mut Vec<u8>, tuple: &FiveTuple, ttl: u8, body_bytes: usize) -> Option<()> {
    match (tuple.src, tuple.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let start = out.len();
            let bytes = u16::try_from(IPV4_BYTES + body_bytes).ok()?;
            let is_long = body_bytes + IPV6_BYTES > IPV6_MIN_MTU;
            out.extend([0x45, 0]);
            out.extend(bytes.to_be_bytes());
            out.extend([0, 0, if is_long { 0x40 } else { 0 }, 0, ttl, tuple.protocol, 0, 0]);
            out.extend(src.octets());
            out.extend(dst.octets());
            let checksum = Sum::default().add(&out[start..]).finish();
            out[start + 10..start + 12].copy_from_slice(&checksum.to_be_bytes());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            out.extend([0x60, 0, 0, 0]);
            out.extend(u16::try_from(body_bytes).ok()?.to_be_bytes());
            out.extend([tuple.protocol, ttl]);
            out.extend(src.octets());
            out.extend(dst.octets());
        }
        _ => return None,
    }
    Some(())
}

/// A TCP segment or UDP datagram with new ports.
fn segment(packet: &IpPacket, body: &[u8], to: &FiveTuple) -> Option<Vec<u8>> {
    let mut body = body.to_vec();
    let before = Delta::default().without(&addresses(&packet.tuple)).without(body.get(..4)?);
    body[..2].copy_from_slice(&to.src_port.to_be_bytes());
    body[2..4].copy_from_slice(&to.dst_port.to_be_bytes());
    let delta = before.with(&addresses(to)).with(&body[..4]);
    let offset = if to.protocol == protocol::TCP { 16 } else { 6 };
    let field = body.get(offset..offset + 2)?;
    if to.protocol == protocol::UDP && field == [0, 0] {
        let sum = Sum::default().add_pseudo_header(to, body.len() as u32).add(&body).finish();
        body[offset..offset + 2].copy_from_slice(&sum.to_be_bytes());
    } else {
        delta.mend(&mut body[offset..offset + 2]);
    }
    if to.protocol == protocol::UDP && body[offset..offset + 2] == [0, 0] {
        body[offset..offset + 2].copy_from_slice(&[0xff; 2]);
    }
    Some(body)
}

fn addresses(tuple: &FiveTuple) -> Vec<u8> {
    let octets = |address| match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    };
    [octets(tuple.src), octets(tuple.dst)].concat()
}

/// An echo, or an error with what it quotes.
fn message(body: &[u8], to: &FiveTuple, related: Option<&FiveTuple>) -> Option<Vec<u8>> {
    let mut out = body.get(..ICMP_BYTES)?.to_vec();
    let says_mtu = is_too_big(to);
    out[..2].copy_from_slice(&to.dst_port.to_be_bytes());
    match related {
        None => {
            out[4..6].copy_from_slice(&to.src_port.to_be_bytes());
            out.extend(&body[ICMP_BYTES..]);
        }
        Some(related) => {
            let mtu = u32::from_be_bytes([body[4], body[5], body[6], body[7]]);
            out[4..8].fill(0);
            if says_mtu {
                out[4..8].copy_from_slice(&translated_mtu(mtu, to).to_be_bytes());
            }
            push_quote(&mut out, &body[ICMP_BYTES..], related)?;
        }
    }
    out[2..4].fill(0);
    let sum = if to.protocol == protocol::ICMP {
        Sum::default()
    } else {
        Sum::default().add_pseudo_header(to, out.len() as u32)
    };
    let checksum = sum.add(&out).finish();
    out[2..4].copy_from_slice(&checksum.to_be_bytes());
    Some(out)
}

fn is_too_big(to: &FiveTuple) -> bool {
    matches!((to.protocol, to.dst_port.to_be_bytes()), (protocol::ICMPV6, [icmp::V6_PACKET_TOO_BIG, _]) | (_, [3, 4]))
}

/// In IPv4 the MTU is the lower half of the word, and the whole word's upper half is 0.
fn translated_mtu(mtu: u32, to: &FiveTuple) -> u32 {
    if to.src.is_ipv4() {
        mtu.saturating_sub(DIFFERENCE).min(u32::from(u16::MAX))
    } else {
        ((mtu & 0xffff) + DIFFERENCE).max(IPV6_MIN_MTU as u32)
    }
}

/// The quoted packet in the other family, as far as it is there.
fn push_quote(out: &mut Vec<u8>, quoted: &[u8], related: &FiveTuple) -> Option<()> {
    let header_bytes = match quoted.first()? >> 4 {
        4 => usize::from(quoted[0] & 0x0f) * 4,
        _ => IPV6_BYTES,
    };
    // The quoted packet is of the other family.
    let ttl = *quoted.get(if related.src.is_ipv6() { 8 } else { 7 })?;
    let transport = quoted.get(header_bytes..)?;
    let bytes = network_bytes(quoted)?.checked_sub(header_bytes)?;
    push_header(out, related, ttl, bytes)?;
    let start = out.len();
    out.extend(transport);
    let ports = out.get_mut(start..start + 8)?;
    if related.is_icmp() {
        ports[..2].copy_from_slice(&related.dst_port.to_be_bytes());
        ports[4..6].copy_from_slice(&related.src_port.to_be_bytes());
    } else {
        ports[..2].copy_from_slice(&related.src_port.to_be_bytes());
        ports[2..4].copy_from_slice(&related.dst_port.to_be_bytes());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_comes_back_from_its_ipv6_one() {
        let address = Ipv4Addr::new(198, 51, 100, 7);
        assert_eq!(embed(address).to_string(), "64:ff9b::c633:6407");
        assert_eq!(embedded(embed(address)), Some(address));
        assert_eq!(embedded("64:ff9b:1::1".parse().unwrap()), None);
    }

    #[test]
    fn echos_and_errors_keep_their_meaning() {
        for (six, four) in [(0x8000, 0x0800), (0x8100, 0x0000), (0x0104, 0x0303), (0x0200, 0x0304), (0x0300, 0x0b00)] {
            assert_eq!((icmp_to_ipv4(six), icmp_to_ipv6(four)), (Some(four), Some(six)));
        }
        assert_eq!((icmp_to_ipv4(0x8700), icmp_to_ipv6(0x0500)), (None, None));
    }
}
