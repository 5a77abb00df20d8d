//! Reading the payload out of a guest's frame, and putting the answer's payload into one.

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use gp_model::Mac;
use std::net::{IpAddr, Ipv6Addr};

/// TTL and hop limit of answers.
const HOP_LIMIT: u8 = 64;

/// A datagram from a guest.
pub(crate) struct Udp<'a> {
    pub src: IpAddr,
    pub dst_port: u16,
    pub payload: &'a [u8],
}

pub(crate) fn parse_udp(frame: &[u8]) -> Option<Udp<'_>> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let src = match packet.net.as_ref()? {
        NetSlice::Ipv4(ip) => IpAddr::V4(ip.header().source_addr()),
        NetSlice::Ipv6(ip) => IpAddr::V6(ip.header().source_addr()),
        _ => return None,
    };
    let Some(TransportSlice::Udp(udp)) = packet.transport else { return None };
    Some(Udp { src, dst_port: udp.destination_port(), payload: udp.payload() })
}

/// An ICMPv6 message from a guest; its checksum is right.
pub(crate) struct Icmpv6<'a> {
    pub src: Ipv6Addr,
    pub dst: Ipv6Addr,
    pub hop_limit: u8,
    pub icmp_type: u8,
    pub code: u8,
    /// The message behind its checksum.
    pub body: &'a [u8],
}

pub(crate) fn parse_icmpv6(frame: &[u8]) -> Option<Icmpv6<'_>> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let NetSlice::Ipv6(ip) = packet.net.as_ref()? else { return None };
    let Some(TransportSlice::Icmpv6(icmp)) = packet.transport.as_ref() else { return None };
    let header = ip.header();
    if !icmp.is_checksum_valid(header.source(), header.destination()) {
        return None;
    }
    Some(Icmpv6 {
        src: header.source_addr(),
        dst: header.destination_addr(),
        hop_limit: header.hop_limit(),
        icmp_type: icmp.type_u8(),
        code: icmp.code_u8(),
        body: icmp.slice().get(4..)?,
    })
}

/// Where an answer comes from and goes to.
pub(crate) struct Ends<A> {
    pub src_mac: Mac,
    pub dst_mac: Mac,
    pub src: A,
    pub dst: A,
}

/// `None` where the payload is too long for a packet, which no answer of ours is.
pub(crate) fn emit_udp(ends: &Ends<IpAddr>, src_port: u16, dst_port: u16, payload: &[u8]) -> Option<Vec<u8>> {
    let link = PacketBuilder::ethernet2(ends.src_mac.0, ends.dst_mac.0);
    let net = match (ends.src, ends.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => link.ipv4(src.octets(), dst.octets(), HOP_LIMIT),
        (IpAddr::V6(src), IpAddr::V6(dst)) => link.ipv6(src.octets(), dst.octets(), HOP_LIMIT),
        _ => return None,
    };
    let builder = net.udp(src_port, dst_port);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).ok()?;
    Some(frame)
}

/// Hop limit 255, as neighbour discovery demands (RFC 4861, 7.1).
pub(crate) fn emit_icmpv6(ends: &Ends<Ipv6Addr>, icmp_type: u8, word: [u8; 4], payload: &[u8]) -> Option<Vec<u8>> {
    let builder = PacketBuilder::ethernet2(ends.src_mac.0, ends.dst_mac.0)
        .ipv6(ends.src.octets(), ends.dst.octets(), 255)
        .icmpv6_raw(icmp_type, 0, word);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).ok()?;
    Some(frame)
}

/// The Ethernet address of an IPv6 multicast group (RFC 2464, 7).
pub(crate) fn multicast_mac(group: Ipv6Addr) -> Mac {
    let a = group.octets();
    Mac([0x33, 0x33, a[12], a[13], a[14], a[15]])
}
