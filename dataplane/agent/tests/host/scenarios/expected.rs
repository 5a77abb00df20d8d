//! What a path means on the wires: which frames come out where, byte by byte.

use super::site::{Arrivals, Site};
use super::wire::Received;
use gp_model::World;
use gp_trace::{Ingress, Path, ROUTER_LINK_LOCAL, Reply, Verdict};
use gp_wire::{FiveTuple, IpPacket, Packet, TcpFlags, Transport, build, icmp, protocol};
use std::net::{IpAddr, Ipv4Addr};

const ETHERNET_BYTES: usize = 14;
const IPV4_BYTES: usize = 20;
const ICMP_BYTES: usize = 8;
/// Who tells the outside, in IPv4.
const UPLINK_ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 0, 1));
const VPC_MTU: u16 = 9001;
const UPLINK_MTU: u16 = 1500;

/// Says what is wrong with what came out after `packet` had been sent from `from`; `None` if all is as `path` says.
pub fn complaint(site: &Site, from: Ingress, packet: &Packet, path: &Path, arrivals: &Arrivals) -> Option<String> {
    let at = |place: Ingress| -> Result<Vec<&Received>, String> {
        match arrivals.iter().find(|(other, _)| *other != place) {
            Some((other, received)) => Err(format!("at {other:?} came {}", text(received))),
            None => Ok(arrivals.iter().map(|(_, received)| received).collect()),
        }
    };
    let result = match (path.verdict(), packet) {
        (Verdict::Deliver { .. } | Verdict::Uplink, Packet::Ip(packet)) => {
            let place = exit(path);
            at(place).and_then(|frames| passed(site, packet, path, &frames))
        }
        (Verdict::Drop(drop), Packet::Ip(packet)) => at(from).and_then(|frames| match drop.reply {
            Some(reply) => told(site, from, packet, reply, &frames),
            None => nothing(&frames),
        }),
        (Verdict::LocalService(_), _) => at(from).and_then(|frames| match frames.as_slice() {
            [_] => Ok(()),
            _ => Err(format!("{} answers came", frames.len())),
        }),
        (_, Packet::Arp(_)) => at(from).and_then(|frames| nothing(&frames)),
    };
    result.err()
}

/// Where a packet that gets through comes out.
fn exit(path: &Path) -> Ingress {
    match path.verdict() {
        Verdict::Deliver { eni, .. } => Ingress::Eni(*eni),
        _ => Ingress::Uplink,
    }
}

fn text(received: &Received) -> String {
    format!("{:?}, tag {:?}", gp_wire::parse(&received.frame), received.vlan)
}

fn nothing(frames: &[&Received]) -> Result<(), String> {
    frames.first().map_or(Ok(()), |received| Err(format!("there came {}", text(received))))
}

/// The packet as it must come out, with its Ethernet addresses.
fn wanted(site: &Site, packet: &IpPacket, path: &Path) -> IpPacket {
    let (src_mac, dst_mac) = match path.verdict() {
        Verdict::Deliver { src_mac, dst_mac, .. } => (*src_mac, *dst_mac),
        _ => (site.inner_mac, site.outside.mac),
    };
    let tuple = path.translated();
    let transport = match packet.transport {
        Transport::Icmp { .. } => {
            let [icmp_type, code] = tuple.dst_port.to_be_bytes();
            Transport::Icmp { icmp_type, code, id: tuple.src_port }
        }
        other => other,
    };
    let related = path.related().or(packet.related);
    IpPacket { src_mac, dst_mac, tuple, transport, related, ..packet.clone() }
}

fn passed(site: &Site, packet: &IpPacket, path: &Path, frames: &[&Received]) -> Result<(), String> {
    if let Some(tagged) = frames.iter().find(|received| received.vlan.is_some()) {
        return Err(format!("there is a tag: {}", text(tagged)));
    }
    let wanted = wanted(site, packet, path);
    let own_mtu = if exit(path) == Ingress::Uplink { UPLINK_MTU } else { VPC_MTU };
    let mtu = usize::from(path.mtu().map_or(own_mtu, |mtu| mtu.min(own_mtu)));
    let frames: Vec<&[u8]> = frames.iter().map(|received| received.frame.as_slice()).collect();
    if wanted.tuple.src.is_ipv4() != packet.tuple.src.is_ipv4() {
        return of_other_family(packet, &wanted, &frames);
    }
    let whole = build::emit(&Packet::Ip(wanted.clone()));
    match frames.as_slice() {
        [] => Err("nothing came".to_owned()),
        [one] => differs(one, &whole),
        segments if whole.len() > usize::from(VPC_MTU) + ETHERNET_BYTES => segmented(&wanted, segments),
        pieces => differs(&joined(pieces, mtu)?, &uncut(whole)),
    }
}

/// Checksums that the sender left to the interface are its affair.
fn differs(found: &[u8], wanted: &[u8]) -> Result<(), String> {
    let is_large = found.len() > usize::from(VPC_MTU) + ETHERNET_BYTES;
    let field = ETHERNET_BYTES + IPV4_BYTES + 16;
    let same = if is_large {
        found.len() == wanted.len() && found[..field] == wanted[..field] && found[field + 2..] == wanted[field + 2..]
    } else {
        found == wanted
    };
    if same {
        return Ok(());
    }
    let place = found.iter().zip(wanted).position(|(a, b)| a != b);
    let (parsed, expected) = (gp_wire::parse(found), gp_wire::parse(wanted));
    Err(format!("there came {parsed:?}\n      instead of {expected:?}, from byte {place:?}: {found:02x?}"))
}

/// What its sender left whole has been cut into segments: each fits, and together they carry all of it.
fn segmented(wanted: &IpPacket, segments: &[&[u8]]) -> Result<(), String> {
    let headers = build::min_frame_bytes(wanted);
    let mut payload_bytes = 0;
    for segment in segments {
        let Ok(Packet::Ip(found)) = gp_wire::parse(segment) else { return Err(format!("no IP: {segment:02x?}")) };
        if found != (IpPacket { frame_bytes: found.frame_bytes, ..wanted.clone() })
            || segment.len() > usize::from(VPC_MTU) + ETHERNET_BYTES
        {
            return Err(format!("there came {found:?}\n      instead of a segment of {wanted:?}"));
        }
        check_sums(segment, &found)?;
        payload_bytes += found.frame_bytes - headers;
    }
    match wanted.frame_bytes - headers {
        all if all == payload_bytes => Ok(()),
        all => Err(format!("{payload_bytes} bytes came instead of {all}")),
    }
}

/// The packet that fragments are of, each of which fits.
fn joined(pieces: &[&[u8]], mtu: usize) -> Result<Vec<u8>, String> {
    let place = |piece: &[u8]| u16::from_be_bytes([piece[20], piece[21]]);
    let offset = |piece: &[u8]| usize::from(place(piece) & 0x1fff) * 8;
    let mut pieces = pieces.to_vec();
    pieces.sort_by_key(|piece| offset(piece));
    let mut whole = pieces[0][..ETHERNET_BYTES + IPV4_BYTES].to_vec();
    for (number, piece) in pieces.iter().enumerate() {
        let more = place(piece) & 0x2000 != 0;
        let fits = piece.len() <= mtu + ETHERNET_BYTES;
        let follows = offset(piece) == whole.len() - ETHERNET_BYTES - IPV4_BYTES;
        let same_packet = piece[18..20] == pieces[0][18..20] && piece[26..34] == pieces[0][26..34];
        if !fits || !follows || !same_packet || more != (number + 1 < pieces.len()) {
            return Err(format!("piece {number} of {} is wrong: {:02x?}", pieces.len(), &piece[..34]));
        }
        whole.extend(&piece[ETHERNET_BYTES + IPV4_BYTES..]);
    }
    let bytes = ((whole.len() - ETHERNET_BYTES) as u16).to_be_bytes();
    whole[16..18].copy_from_slice(&bytes);
    Ok(uncut(whole))
}

/// Without what cutting changes in the header.
fn uncut(mut frame: Vec<u8>) -> Vec<u8> {
    frame[18..22].fill(0);
    frame[24..26].fill(0);
    frame
}

/// NAT64 may choose a few fields by itself (RFC 7915): the rest is compared by meaning.
fn of_other_family(sent: &IpPacket, wanted: &IpPacket, frames: &[&[u8]]) -> Result<(), String> {
    let [frame] = frames else { return Err(format!("{} frames came", frames.len())) };
    let Ok(Packet::Ip(found)) = gp_wire::parse(frame) else { return Err(format!("no IP: {frame:02x?}")) };
    let per_header = if wanted.tuple.src.is_ipv4() { -20 } else { 20 };
    let headers = if wanted.related.is_some() { 2 } else { 1 };
    let frame_bytes = sent.frame_bytes.saturating_add_signed(per_header * headers);
    let dont_fragment = found.dont_fragment;
    let wanted = IpPacket { frame_bytes, dont_fragment, ..wanted.clone() };
    if found != wanted {
        return Err(format!("there came {found:?}\n      instead of {wanted:?}"));
    }
    check_sums(frame, &found)
}

fn check_sums(frame: &[u8], packet: &IpPacket) -> Result<(), String> {
    let header_bytes = if packet.tuple.src.is_ipv4() { IPV4_BYTES } else { 40 };
    let (header, body) = frame[ETHERNET_BYTES..].split_at(header_bytes);
    if packet.tuple.src.is_ipv4() && sum(header, 0) != 0xffff {
        return Err(format!("the header's checksum is wrong: {frame:02x?}"));
    }
    let pseudo = match (packet.tuple.protocol, packet.tuple.src) {
        (protocol::ICMP, _) => 0,
        (number, IpAddr::V4(_)) => sum(&header[12..20], u32::from(number) + body.len() as u32),
        (number, IpAddr::V6(_)) => sum(&header[8..40], u32::from(number) + body.len() as u32),
    };
    match sum(body, pseudo.into()) {
        0xffff => Ok(()),
        _ => Err(format!("the checksum is wrong: {frame:02x?}")),
    }
}

fn sum(bytes: &[u8], start: u32) -> u16 {
    let word = |word: &[u8]| u32::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]));
    let mut sum = start + bytes.chunks(2).map(word).sum::<u32>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// What the sender of a packet that dies is told.
fn told(site: &Site, from: Ingress, sent: &IpPacket, reply: Reply, frames: &[&Received]) -> Result<(), String> {
    let [received] = frames else { return Err(format!("{} frames came instead of {reply:?}", frames.len())) };
    let frame = received.frame.as_slice();
    let Ok(Packet::Ip(found)) = gp_wire::parse(frame) else { return Err(format!("no IP: {frame:02x?}")) };
    let router = router_of(&site.place.scenario.world, from, sent);
    let error = |icmp_type, code| FiveTuple::icmp(sent_icmp(sent), router, sent.tuple.src, icmp_type, code, 0);
    let is_ipv4 = sent.tuple.src.is_ipv4();
    let tuple = match (reply, is_ipv4) {
        (Reply::TcpReset, _) => sent.tuple.reversed(),
        (Reply::PacketTooBig { .. }, true) => error(icmp::DESTINATION_UNREACHABLE, 4),
        (Reply::PacketTooBig { .. }, false) => error(icmp::V6_PACKET_TOO_BIG, 0),
        (Reply::TimeExceeded, true) => error(icmp::TIME_EXCEEDED, 0),
        (Reply::TimeExceeded, false) => error(icmp::V6_TIME_EXCEEDED, 0),
    };
    let macs = (found.src_mac, found.dst_mac) == (sent.dst_mac, sent.src_mac);
    if found.tuple != tuple || !macs {
        return Err(format!("there came {found:?}\n      instead of {tuple} for {reply:?}"));
    }
    check_sums(frame, &found)?;
    match (reply, found.transport) {
        (Reply::TcpReset, Transport::Tcp { flags }) if flags.0 & TcpFlags::RST != 0 => Ok(()),
        (Reply::TcpReset, _) => Err(format!("no reset: {found:?}")),
        (Reply::PacketTooBig { mtu }, _) => quotes(frame, sent, Some(mtu)),
        (Reply::TimeExceeded, _) => quotes(frame, sent, None),
    }
}

fn sent_icmp(sent: &IpPacket) -> u8 {
    if sent.tuple.src.is_ipv4() { protocol::ICMP } else { protocol::ICMPV6 }
}

/// The beginning of the packet as it was sent, and the MTU.
fn quotes(frame: &[u8], sent: &IpPacket, mtu: Option<u16>) -> Result<(), String> {
    let icmp = ETHERNET_BYTES + if sent.tuple.src.is_ipv4() { IPV4_BYTES } else { 40 };
    let quoted = &frame[icmp + ICMP_BYTES..];
    let original = build::emit(&Packet::Ip(sent.clone()));
    if quoted.len() < IPV4_BYTES + 8 || !original[ETHERNET_BYTES..].starts_with(quoted) {
        return Err(format!("it quotes {quoted:02x?}"));
    }
    let told = u16::from_be_bytes([frame[icmp + 6], frame[icmp + 7]]);
    if told == mtu.unwrap_or(0) { Ok(()) } else { Err(format!("it tells of {told} bytes")) }
}

fn router_of(world: &World, from: Ingress, sent: &IpPacket) -> IpAddr {
    match (from, sent.tuple.src) {
        (_, IpAddr::V6(_)) => ROUTER_LINK_LOCAL.into(),
        (Ingress::Uplink, _) => UPLINK_ROUTER,
        (Ingress::Eni(eni), _) => {
            let subnet = world.subnet(world.eni(eni).unwrap().subnet).unwrap();
            gp_trace::router_ipv4(subnet).unwrap().into()
        }
    }
}
