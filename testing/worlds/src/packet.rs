//! One line of text → a packet.
//!
//! ```text
//! FROM > TO tcp SPORT:DPORT [syn|ack|fin|rst|FLAGS]       FROM > TO udp SPORT:DPORT
//! FROM > TO icmp echo|reply|TYPE[/CODE] [id N]            FROM > TO proto N
//! FROM > TO icmp 3/3 about [to ADDRESS] tcp SPORT:DPORT   an error about TO's packet to FROM, or to ADDRESS
//! FROM arp ADDRESS                                        FROM solicits ADDRESS
//!   [mac MAC] [ttl N] [frag OFFSET[+]] [len BYTES] [nodf]
//! ```
//! FROM is `uplink[203.0.113.5]` for what comes from outside with that source address, or an ENI's name, for its first IPv4 address; `c/6` is its first IPv6 address, `c/ll` its link-local one, and
//! `c[10.0.9.9]` sends from an address that need not be its own. TO is one of these or an address. ICMP means ICMPv6
//! between IPv6 addresses. `frag 1480+` sets the offset in bytes; `+` says that more fragments follow.

use crate::statement::bits;
use crate::tokens::{TextError, Tokens};
use gp_model::{Eni, EniId, Mac, World};
use gp_trace::Ingress;
use gp_wire::build::{self, Ends};
use gp_wire::{ArpPacket, FiveTuple, Fragment, IpPacket, Packet, TcpFlags, Transport, icmp, protocol};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

type Result<T> = std::result::Result<T, TextError>;

/// A packet and where it comes in. Its bytes are [`gp_wire::build::emit`] of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub ingress: Ingress,
    pub packet: Packet,
}

pub(crate) fn from_text(world: &World, text: &str) -> Result<Sent> {
    let mut tokens = Tokens::new(text);
    let from = tokens.word("sender")?;
    if name_of(from) == "uplink" {
        let packet = Packet::Ip(from_outside(world, from, &mut tokens)?);
        return finish(&mut tokens, Ingress::Uplink, packet);
    }
    let sender = eni(world, name_of(from)).ok_or_else(|| tokens.error("unknown sender"))?;
    let packet = if tokens.take("arp") {
        Packet::Arp(arp(sender, from, &mut tokens)?)
    } else {
        Packet::Ip(ip(world, sender, from, &mut tokens)?)
    };
    finish(&mut tokens, sender.id.into(), packet)
}

fn finish(tokens: &mut Tokens<'_>, ingress: Ingress, packet: Packet) -> Result<Sent> {
    match tokens.peek() {
        Some(word) => Err(tokens.error(format_args!("{word} is not understood"))),
        None => Ok(Sent { ingress, packet }),
    }
}

/// MAC addresses of the uplink's two ends.
const UPLINK_MACS: [Mac; 2] = [Mac([0x12, 0, 0, 0, 0, 1]), Mac([0x12, 0, 0, 0, 0, 2])];

fn from_outside(world: &World, from: &str, tokens: &mut Tokens<'_>) -> Result<IpPacket> {
    tokens.expect(">")?;
    let to = tokens.word("receiver")?;
    let wants_ipv6 = [from, to].iter().any(|word| word.contains(':') || word.contains('/'));
    let (src, dst) = (address(world, from, wants_ipv6, tokens)?, address(world, to, wants_ipv6, tokens)?);
    let [src_mac, dst_mac] = UPLINK_MACS;
    let mut packet = transport(Ends { src_mac, dst_mac, src, dst }, tokens)?;
    options(&mut packet, tokens)?;
    Ok(packet)
}

fn name_of(word: &str) -> &str {
    word.split(['/', '[']).next().unwrap_or(word)
}

fn eni<'w>(world: &'w World, name: &str) -> Option<&'w Eni> {
    world.eni(EniId::from_bits(bits("eni", name))).map(|eni| &**eni)
}

fn address(world: &World, word: &str, ipv6: bool, tokens: &Tokens<'_>) -> Result<IpAddr> {
    if let Ok(address) = word.parse() {
        return Ok(address);
    }
    if let Some((_, written)) = word.split_once('[') {
        return tokens.parse(written.trim_end_matches(']'), "address");
    }
    let eni = eni(world, name_of(word)).ok_or_else(|| tokens.error(format_args!("{word} is no ENI or address")))?;
    Ok(match word.split_once('/').map(|(_, family)| family) {
        Some("ll") => eni.mac.link_local().into(),
        Some(_) => eni.ipv6.first().copied().unwrap_or_else(|| eni.mac.link_local()).into(),
        None if ipv6 => eni.ipv6.first().copied().unwrap_or_else(|| eni.mac.link_local()).into(),
        None => eni.primary_ipv4().unwrap_or(Ipv4Addr::UNSPECIFIED).into(),
    })
}

fn arp(sender: &Eni, from: &str, tokens: &mut Tokens<'_>) -> Result<ArpPacket> {
    let written = from.split_once('[').map(|(_, written)| written.trim_end_matches(']'));
    let source = match written {
        Some(written) => tokens.parse(written, "address")?,
        None => sender.primary_ipv4().unwrap_or(Ipv4Addr::UNSPECIFIED),
    };
    let target = tokens.value("address")?;
    let src_mac = if tokens.take("mac") { tokens.value("MAC address")? } else { sender.mac };
    let sender_mac = src_mac;
    Ok(ArpPacket { src_mac, dst_mac: Mac::BROADCAST, is_request: true, sender_mac, sender: source, target })
}

fn ip(world: &World, sender: &Eni, from: &str, tokens: &mut Tokens<'_>) -> Result<IpPacket> {
    let mut packet = if tokens.take("solicits") {
        let target: Ipv6Addr = tokens.value("IPv6 address")?;
        solicitation(sender, address(world, from, true, tokens)?, target)
    } else {
        tokens.expect(">")?;
        let to = tokens.word("receiver")?;
        // The end whose family is written decides for both.
        let wants_ipv6 = [from, to].iter().any(|word| word.contains(':') || word.contains('/'));
        let (src, dst) = (address(world, from, wants_ipv6, tokens)?, address(world, to, wants_ipv6, tokens)?);
        let ends = Ends { src_mac: sender.mac, dst_mac: next_hop(world, sender, dst), src, dst };
        transport(ends, tokens)?
    };
    options(&mut packet, tokens)?;
    Ok(packet)
}

/// The MAC address that a guest would send to.
fn next_hop(world: &World, sender: &Eni, dst: IpAddr) -> Mac {
    match dst {
        IpAddr::V4(a) if a.is_broadcast() => Mac::BROADCAST,
        IpAddr::V4(a) if a.is_multicast() => {
            let [_, b, c, d] = a.octets();
            Mac([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(a) if a.is_multicast() => multicast_mac(a),
        _ => gp_trace::neighbor_mac(world, sender, dst).unwrap_or_else(|| gp_trace::router_mac(sender.subnet)),
    }
}

fn multicast_mac(address: Ipv6Addr) -> Mac {
    let o = address.octets();
    Mac([0x33, 0x33, o[12], o[13], o[14], o[15]])
}

fn solicitation(sender: &Eni, src: IpAddr, target: Ipv6Addr) -> IpPacket {
    let t = target.octets();
    // The solicited-node group (RFC 4291, 2.7.1).
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, t[13], t[14], t[15]]);
    let ends = Ends { src_mac: sender.mac, dst_mac: multicast_mac(group), src, dst: group.into() };
    let mut packet = build::icmp(ends, icmp::V6_NEIGHBOR_SOLICITATION, 0, 0, 0);
    packet.ttl = 255;
    packet.solicited = Some(target);
    packet.frame_bytes = build::min_frame_bytes(&packet);
    packet
}

fn ports(tokens: &mut Tokens<'_>) -> Result<(u16, u16)> {
    let word = tokens.word("ports")?;
    let (src, dst) = word.split_once(':').ok_or_else(|| tokens.error("ports are written SPORT:DPORT"))?;
    Ok((tokens.parse(src, "port")?, tokens.parse(dst, "port")?))
}

fn transport(ends: Ends, tokens: &mut Tokens<'_>) -> Result<IpPacket> {
    Ok(match tokens.word("protocol")? {
        "tcp" => {
            let (src_port, dst_port) = ports(tokens)?;
            build::tcp(ends, src_port, dst_port, flags(tokens), 0)
        }
        "udp" => {
            let (src_port, dst_port) = ports(tokens)?;
            build::udp(ends, src_port, dst_port, 0)
        }
        "icmp" => icmp(ends, tokens)?,
        "proto" => build::other(ends, tokens.value("protocol number")?, 0),
        other => return Err(tokens.error(format_args!("{other} is no protocol"))),
    })
}

fn flags(tokens: &mut Tokens<'_>) -> TcpFlags {
    let names = [("syn", TcpFlags::SYN), ("ack", TcpFlags::ACK), ("fin", TcpFlags::FIN), ("rst", TcpFlags::RST)];
    let mut flags = 0;
    let known = tokens.peek().unwrap_or_default().split('+').all(|word| names.iter().any(|(name, _)| *name == word));
    if known && let Ok(word) = tokens.word("flags") {
        for (name, bit) in names {
            flags |= if word.split('+').any(|part| part == name) { bit } else { 0 };
        }
    }
    TcpFlags(flags)
}

fn icmp(ends: Ends, tokens: &mut Tokens<'_>) -> Result<IpPacket> {
    let word = tokens.word("ICMP type")?;
    let (icmp_type, code) = match (word, ends.src) {
        ("echo", IpAddr::V4(_)) => (icmp::ECHO_REQUEST, 0),
        ("echo", IpAddr::V6(_)) => (icmp::V6_ECHO_REQUEST, 0),
        ("reply", IpAddr::V4(_)) => (icmp::ECHO_REPLY, 0),
        ("reply", IpAddr::V6(_)) => (icmp::V6_ECHO_REPLY, 0),
        _ => match word.split_once('/') {
            Some((icmp_type, code)) => (tokens.parse(icmp_type, "ICMP type")?, tokens.parse(code, "ICMP code")?),
            None => (tokens.parse(word, "ICMP type")?, 0),
        },
    };
    let id = if tokens.take("id") { tokens.value("identifier")? } else { 0 };
    let mut packet = build::icmp(ends, icmp_type, code, id, 0);
    if tokens.take("about") {
        packet.related = Some(about(ends, tokens)?);
        packet.frame_bytes = build::min_frame_bytes(&packet);
    }
    Ok(packet)
}

/// The tuple of the packet that the receiver of the error had sent to its sender.
fn about(ends: Ends, tokens: &mut Tokens<'_>) -> Result<FiveTuple> {
    let (src, mut dst) = (ends.dst, ends.src);
    if tokens.take("to") {
        dst = tokens.value("address")?;
    }
    Ok(match tokens.word("protocol")? {
        word @ ("tcp" | "udp") => {
            let (src_port, dst_port) = ports(tokens)?;
            let protocol = if word == "tcp" { protocol::TCP } else { protocol::UDP };
            FiveTuple { protocol, src, dst, src_port, dst_port }
        }
        "proto" => FiveTuple { protocol: tokens.value("protocol number")?, src, dst, src_port: 0, dst_port: 0 },
        other => return Err(tokens.error(format_args!("{other} is no protocol"))),
    })
}

fn options(packet: &mut IpPacket, tokens: &mut Tokens<'_>) -> Result<()> {
    let mut extra = packet.frame_bytes - build::min_frame_bytes(packet);
    while let Some(word) = tokens.peek() {
        match word {
            "mac" | "ttl" | "frag" | "len" | "nodf" => tokens.word("option")?,
            _ => break,
        };
        match word {
            "mac" => packet.src_mac = tokens.value("MAC address")?,
            "ttl" => packet.ttl = tokens.value("TTL")?,
            // IPv6 packets are never cut.
            "nodf" => packet.dont_fragment = packet.tuple.src.is_ipv6(),
            "len" => extra = tokens.value("length")?,
            _ => fragment(packet, tokens)?,
        }
    }
    packet.frame_bytes = build::min_frame_bytes(packet) + extra;
    Ok(())
}

fn fragment(packet: &mut IpPacket, tokens: &mut Tokens<'_>) -> Result<()> {
    let word = tokens.word("offset")?;
    let offset: u32 = tokens.parse(word.trim_end_matches('+'), "offset")?;
    packet.fragment = Some(Fragment { id: 7, offset: offset & !7, more: word.ends_with('+') });
    packet.dont_fragment = packet.tuple.src.is_ipv6();
    if offset > 0 {
        packet.transport = Transport::Other;
        (packet.tuple.src_port, packet.tuple.dst_port) = (0, 0);
        (packet.related, packet.solicited) = (None, None);
    }
    Ok(())
}
