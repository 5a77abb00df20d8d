//! What the trace decides on: a frame's meaning as plain values.

use gp_model::Mac;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ETHERNET_HEADER_BYTES: u32 = 14;

/// IP protocol numbers (IANA) that have a meaning of their own here.
pub mod protocol {
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
}

/// A frame as it left a guest, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    Arp(ArpPacket),
    Ip(IpPacket),
}

/// An ARP packet for IPv4 over Ethernet (RFC 826).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArpPacket {
    pub src_mac: Mac,
    pub dst_mac: Mac,
    pub is_request: bool,
    pub sender_mac: Mac,
    pub sender: Ipv4Addr,
    pub target: Ipv4Addr,
}

/// One IPv4 or IPv6 packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpPacket {
    pub src_mac: Mac,
    pub dst_mac: Mac,
    pub tuple: FiveTuple,
    pub transport: Transport,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Set on every packet that is a part of a larger one.
    pub fragment: Option<Fragment>,
    /// Of an ICMP error: the tuple of the packet that it is about, as that packet's sender wrote it.
    pub related: Option<FiveTuple>,
    /// Of a valid neighbour solicitation (RFC 4861, 7.1.1): the address whose holder it asks for.
    pub solicited: Option<Ipv6Addr>,
    /// May no router cut it in pieces? True of all IPv6 packets.
    pub dont_fragment: bool,
    /// Bytes of the whole frame.
    pub frame_bytes: u32,
}

/// Protocol, addresses and ports: what tells one flow from another.
///
/// ICMP has no ports: `src_port` holds the identifier of an echo (0 for other types) and `dst_port` the type and
/// code, `type << 8 | code`. Protocols without either, and fragments behind the first, have 0 and 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FiveTuple {
    pub protocol: u8,
    pub src: IpAddr,
    pub dst: IpAddr,
    pub src_port: u16,
    pub dst_port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp {
        flags: TcpFlags,
    },
    Udp,
    /// ICMP or ICMPv6; `tuple.protocol` tells which.
    Icmp {
        icmp_type: u8,
        code: u8,
        id: u16,
    },
    Other,
}

/// TCP's control bits (RFC 9293, 3.1), as in the header's octet 13.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const ACK: u8 = 0x10;

    /// Does this packet ask to open a connection?
    pub fn opens(self) -> bool {
        self.0 & (Self::SYN | Self::ACK | Self::RST) == Self::SYN
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Identification field: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// In bytes.
    pub offset: u32,
    pub more: bool,
}

/// ICMP message types that have a meaning of their own here.
pub mod icmp {
    pub const ECHO_REPLY: u8 = 0;
    pub const DESTINATION_UNREACHABLE: u8 = 3;
    pub const ECHO_REQUEST: u8 = 8;
    pub const TIME_EXCEEDED: u8 = 11;
    pub const PARAMETER_PROBLEM: u8 = 12;
    pub const V6_DESTINATION_UNREACHABLE: u8 = 1;
    pub const V6_PACKET_TOO_BIG: u8 = 2;
    pub const V6_TIME_EXCEEDED: u8 = 3;
    pub const V6_PARAMETER_PROBLEM: u8 = 4;
    pub const V6_ECHO_REQUEST: u8 = 128;
    pub const V6_ECHO_REPLY: u8 = 129;
    pub const V6_ROUTER_SOLICITATION: u8 = 133;
    pub const V6_ROUTER_ADVERTISEMENT: u8 = 134;
    pub const V6_NEIGHBOR_SOLICITATION: u8 = 135;
    pub const V6_NEIGHBOR_ADVERTISEMENT: u8 = 136;
    pub const V6_REDIRECT: u8 = 137;
}

impl Packet {
    /// Protocol, addresses and ports. ARP has protocol 0, the addresses of its sender and target, and no ports.
    pub fn tuple(&self) -> FiveTuple {
        match self {
            Packet::Arp(arp) => {
                FiveTuple { protocol: 0, src: arp.sender.into(), dst: arp.target.into(), src_port: 0, dst_port: 0 }
            }
            Packet::Ip(packet) => packet.tuple,
        }
    }
}

impl IpPacket {
    /// Bytes of the IP packet; padding of short frames counts.
    pub fn packet_bytes(&self) -> u32 {
        self.frame_bytes.saturating_sub(ETHERNET_HEADER_BYTES)
    }

    /// Is it a part of a larger packet, and not the part with the transport header?
    pub fn is_later_fragment(&self) -> bool {
        self.fragment.is_some_and(|fragment| fragment.offset > 0)
    }
}

impl FiveTuple {
    /// An ICMP "5-tuple": see the type's description.
    pub fn icmp(protocol: u8, src: IpAddr, dst: IpAddr, icmp_type: u8, code: u8, id: u16) -> Self {
        Self { protocol, src, dst, src_port: id, dst_port: u16::from(icmp_type) << 8 | u16::from(code) }
    }

    pub fn is_icmp(&self) -> bool {
        matches!(self.protocol, protocol::ICMP | protocol::ICMPV6)
    }

    pub fn icmp_type(&self) -> Option<u8> {
        self.is_icmp().then_some((self.dst_port >> 8) as u8)
    }

    /// The tuple of an answer: ends swapped, an echo's request and reply exchanged.
    pub fn reversed(&self) -> Self {
        let (src_port, dst_port) = if self.is_icmp() {
            (self.src_port, reversed_icmp(self.protocol, self.dst_port))
        } else {
            (self.dst_port, self.src_port)
        };
        Self { protocol: self.protocol, src: self.dst, dst: self.src, src_port, dst_port }
    }
}

fn reversed_icmp(protocol: u8, type_and_code: u16) -> u16 {
    let code = type_and_code & 0xff;
    let icmp_type = match (protocol, (type_and_code >> 8) as u8) {
        (protocol::ICMP, icmp::ECHO_REQUEST) => icmp::ECHO_REPLY,
        (protocol::ICMP, icmp::ECHO_REPLY) => icmp::ECHO_REQUEST,
        (protocol::ICMPV6, icmp::V6_ECHO_REQUEST) => icmp::V6_ECHO_REPLY,
        (protocol::ICMPV6, icmp::V6_ECHO_REPLY) => icmp::V6_ECHO_REQUEST,
        (_, other) => other,
    };
    u16::from(icmp_type) << 8 | code
}

impl fmt::Display for FiveTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, src, dst, src_port, dst_port } = self;
        match *protocol {
            protocol::TCP => write!(f, "tcp {src}:{src_port} > {dst}:{dst_port}"),
            protocol::UDP => write!(f, "udp {src}:{src_port} > {dst}:{dst_port}"),
            protocol::ICMP | protocol::ICMPV6 => {
                write!(f, "icmp {src} > {dst} type {} code {} id {src_port}", dst_port >> 8, dst_port & 0xff)
            }
            other => write!(f, "protocol {other} {src} > {dst}"),
        }
    }
}

impl fmt::Debug for FiveTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
