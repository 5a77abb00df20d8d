//! The packet inside an ICMP error: which flow the error is about.
//!
//! Source: RFC 792 and RFC 4443: an error carries the header of the packet that caused it and what follows, at
//! least 8 bytes. Redirects are no errors and speak of no flow here: a VPC has one router per subnet.

use crate::extension::walk_extensions;
use crate::parse::is_echo;
use crate::{FiveTuple, icmp, protocol};
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};
use std::net::IpAddr;

/// The tuple of the packet that an ICMP error of this type is about, as far as `quoted` tells it.
pub(crate) fn embedded_tuple(protocol: u8, icmp_type: u8, quoted: &[u8]) -> Option<FiveTuple> {
    match (protocol, icmp_type) {
        (protocol::ICMP, icmp::DESTINATION_UNREACHABLE | icmp::TIME_EXCEEDED | icmp::PARAMETER_PROBLEM) => {
            let header = Ipv4HeaderSlice::from_slice(quoted).ok()?;
            if header.fragments_offset().value() > 0 {
                return None;
            }
            let payload = &quoted[header.slice().len()..];
            quoted_tuple(header.source_addr().into(), header.destination_addr().into(), header.protocol().0, payload)
        }
        (
            protocol::ICMPV6,
            icmp::V6_DESTINATION_UNREACHABLE
            | icmp::V6_PACKET_TOO_BIG
            | icmp::V6_TIME_EXCEEDED
            | icmp::V6_PARAMETER_PROBLEM,
        ) => {
            let header = Ipv6HeaderSlice::from_slice(quoted).ok()?;
            let upper = walk_extensions(header.next_header().0, &quoted[header.slice().len()..]).ok()?;
            if upper.fragment.is_some_and(|fragment| fragment.offset > 0) {
                return None;
            }
            quoted_tuple(header.source_addr().into(), header.destination_addr().into(), upper.protocol, upper.payload)
        }
        _ => None,
    }
}

fn quoted_tuple(src: IpAddr, dst: IpAddr, protocol: u8, payload: &[u8]) -> Option<FiveTuple> {
    let (src_port, dst_port) = match protocol {
        protocol::TCP | protocol::UDP => {
            let [s0, s1, d0, d1] = *payload.first_chunk()?;
            (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]))
        }
        protocol::ICMP | protocol::ICMPV6 => {
            let [icmp_type, code, _, _, i0, i1] = *payload.first_chunk()?;
            let id = if is_echo(protocol, icmp_type) { u16::from_be_bytes([i0, i1]) } else { 0 };
            (id, u16::from(icmp_type) << 8 | u16::from(code))
        }
        _ => (0, 0),
    };
    Some(FiveTuple { protocol, src, dst, src_port, dst_port })
}
