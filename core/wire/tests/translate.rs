//! Translated frames say what they should, and their checksums are those of a frame made anew.

use gp_model::Mac;
use gp_wire::build::{self, Ends, emit};
use gp_wire::{
    FiveTuple, IpPacket, Packet, TcpFlags, TranslateError, Transport, fragment, packet_too_big, parse, tcp_reset,
    time_exceeded, translate,
};

fn ends(src: &str, dst: &str) -> Ends {
    Ends { src_mac: Mac([2; 6]), dst_mac: Mac([4; 6]), src: src.parse().unwrap(), dst: dst.parse().unwrap() }
}

fn ip(frame: &[u8]) -> IpPacket {
    match parse(frame).unwrap() {
        Packet::Ip(packet) => packet,
        Packet::Arp(_) => panic!("ARP"),
    }
}

/// Packets of every protocol between two addresses, ports and ids included.
fn packets(src: &str, dst: &str, src_port: u16, dst_port: u16) -> Vec<IpPacket> {
    let ends = ends(src, dst);
    vec![
        build::tcp(ends, src_port, dst_port, TcpFlags(TcpFlags::SYN), 0),
        build::tcp(ends, src_port, dst_port, TcpFlags(TcpFlags::ACK), 1001),
        build::udp(ends, src_port, dst_port, 33),
        build::icmp_echo(ends, src_port, 56),
        build::other(ends, 50, 64),
    ]
}

const FAMILIES: [([&str; 2], [&str; 2]); 2] = [
    (["10.0.1.20", "203.0.113.9"], ["198.51.100.7", "203.0.113.77"]),
    (["2001:db8:a::20", "2001:db8:ffff::9"], ["2001:db8:b::7", "2001:db8:eeee::77"]),
];

#[test]
fn a_translated_frame_is_the_frame_that_would_have_been_made() {
    for ([src, dst], [new_src, new_dst]) in FAMILIES {
        let (before, after) = (packets(src, dst, 40_000, 443), packets(new_src, new_dst, 50_001, 8443));
        for (before, after) in before.into_iter().zip(after) {
            let mut frame = emit(&Packet::Ip(before));
            translate(&mut frame, &after.tuple, None).unwrap();
            assert_eq!(frame, emit(&Packet::Ip(after.clone())), "{:?}", after.tuple);
        }
    }
}

#[test]
fn a_quoted_packet_is_translated_with_its_error() {
    for ([src, dst], [new_src, new_dst]) in FAMILIES {
        let error = |from: &str, to: &str, port: u16| {
            let mut packet = build::icmp(ends(from, to), if from.contains(':') { 1 } else { 3 }, 3, 0, 0);
            let quoted = FiveTuple {
                protocol: 17,
                src: to.parse().unwrap(),
                dst: from.parse().unwrap(),
                src_port: port,
                dst_port: 53,
            };
            packet.related = Some(quoted);
            packet.frame_bytes = build::min_frame_bytes(&packet);
            packet
        };
        let (before, after) = (error(dst, src, 40_000), error(new_dst, new_src, 50_001));
        let mut frame = emit(&Packet::Ip(before));
        translate(&mut frame, &after.tuple, after.related.as_ref()).unwrap();
        let expected = emit(&Packet::Ip(after.clone()));
        // The quote has its own UDP checksum, which the builder leaves out; all else is the same.
        assert_eq!(ip(&frame).related, after.related);
        assert_eq!(frame, expected);
    }
}

#[test]
fn an_absent_udp_checksum_stays_absent() {
    let mut frame = emit(&Packet::Ip(build::udp(ends("10.0.1.20", "10.0.2.10"), 1, 2, 4)));
    frame[40..42].fill(0);
    let to = build::udp(ends("10.9.9.9", "10.0.2.10"), 7, 2, 4).tuple;
    translate(&mut frame, &to, None).unwrap();
    assert_eq!((ip(&frame).tuple, &frame[40..42]), (to, &[0, 0][..]));
}

#[test]
fn later_fragments_get_addresses_alone() {
    let mut packet = build::udp(ends("10.0.1.20", "10.0.2.10"), 1, 2, 100);
    packet.fragment = Some(gp_wire::Fragment { id: 7, offset: 1480, more: false });
    (packet.transport, packet.dont_fragment) = (Transport::Other, false);
    (packet.tuple.src_port, packet.tuple.dst_port) = (0, 0);
    let mut frame = emit(&Packet::Ip(packet));
    let payload = frame[34..].to_vec();
    let to = FiveTuple { src_port: 9, dst_port: 9, ..build::udp(ends("10.9.9.9", "10.8.8.8"), 9, 9, 0).tuple };
    translate(&mut frame, &to, None).unwrap();
    assert_eq!(&frame[34..], payload);
    assert_eq!((ip(&frame).tuple.src, ip(&frame).tuple.dst), (to.src, to.dst));
}

#[test]
fn another_family_or_protocol_is_refused_and_nothing_written() {
    let frame = emit(&Packet::Ip(build::udp(ends("10.0.1.20", "10.0.2.10"), 1, 2, 4)));
    for to in [
        build::udp(ends("2001:db8::1", "2001:db8::2"), 1, 2, 4).tuple,
        build::tcp(ends("10.0.1.20", "10.0.2.10"), 1, 2, TcpFlags(0), 4).tuple,
    ] {
        let mut tried = frame.clone();
        assert_eq!(translate(&mut tried, &to, None), Err(TranslateError::Mismatch));
        assert_eq!(tried, frame);
    }
    let mut short = frame[..20].to_vec();
    assert_eq!(translate(&mut short, &ip(&frame).tuple, None), Err(TranslateError::Malformed));
}

#[test]
fn pieces_have_the_right_places_and_make_the_whole() {
    let mut packet = build::udp(ends("10.0.1.20", "203.0.113.9"), 1, 2, 4000);
    packet.dont_fragment = false;
    let mut frame = emit(&Packet::Ip(packet.clone()));
    let bytes = frame.len();
    for (index, byte) in frame[42..].iter_mut().enumerate() {
        *byte = index as u8;
    }
    let pieces = fragment(&frame, 1500);
    assert_eq!(pieces.len(), 3);
    let mut whole: Vec<u8> = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        assert!(piece.len() <= 1514);
        let found = ip(piece).fragment.unwrap();
        assert_eq!((found.offset as usize, found.more), (index * 1480, index < 2));
        whole.extend(&piece[34..]);
    }
    assert_eq!(whole, frame[34..bytes]);
    packet.dont_fragment = true;
    assert_eq!(fragment(&emit(&Packet::Ip(packet)), 1500).len(), 1, "a packet that must not be cut stays whole");
}

#[test]
fn resets_answer_segments_but_not_resets() {
    let segment =
        |flags| emit(&Packet::Ip(build::tcp(ends("10.0.1.20", "203.0.113.9"), 4000, 80, TcpFlags(flags), 10)));
    let reset = tcp_reset(&segment(TcpFlags::ACK)).unwrap();
    let packet = ip(&reset);
    assert_eq!(packet.tuple, ip(&segment(TcpFlags::ACK)).tuple.reversed());
    assert_eq!(packet.transport, Transport::Tcp { flags: TcpFlags(TcpFlags::RST) });
    assert_eq!((packet.src_mac, packet.dst_mac), (Mac([4; 6]), Mac([2; 6])));
    let reset = tcp_reset(&segment(TcpFlags::FIN)).unwrap();
    assert_eq!(ip(&reset).transport, Transport::Tcp { flags: TcpFlags(TcpFlags::RST | TcpFlags::ACK) });
    // 10 bytes and a FIN.
    assert_eq!(reset[42..46], 11u32.to_be_bytes());
    assert_eq!(tcp_reset(&segment(TcpFlags::RST)), None);
}

#[test]
fn errors_quote_what_they_are_about_and_never_answer_errors() {
    for [src, dst, router] in
        [["10.0.1.20", "203.0.113.9", "10.0.1.1"], ["2001:db8:a::20", "2001:db8:ffff::9", "2001:db8:a::1"]]
    {
        let about = build::udp(ends(src, dst), 40_000, 53, 3000);
        let frame = emit(&Packet::Ip(about.clone()));
        let router = router.parse().unwrap();
        for error in [packet_too_big(&frame, router, 1500).unwrap(), time_exceeded(&frame, router).unwrap()] {
            let packet = ip(&error);
            assert_eq!((packet.tuple.src, packet.tuple.dst), (router, about.tuple.src));
            assert_eq!(packet.related, Some(about.tuple));
            assert!(error.len() <= 14 + if router.is_ipv4() { 576 } else { 1280 });
            assert_eq!(packet_too_big(&error, router, 1500), None);
        }
        assert_eq!(
            packet_too_big(&frame, router, 1500).unwrap()[14 + if router.is_ipv4() { 26 } else { 46 }..][..2],
            1500u16.to_be_bytes()
        );
    }
}

#[test]
fn nat64_makes_the_frame_of_the_other_family_and_back() {
    let (six, four) = (["2001:db8:a::20", "64:ff9b::203.0.113.9"], ["198.51.100.9", "203.0.113.9"]);
    let (before, after) = (packets(six[0], six[1], 4000, 443), packets(four[0], four[1], 5000, 443));
    for (before, mut after) in before.into_iter().zip(after).take(4) {
        // What was short enough for every IPv6 link may be cut in IPv4.
        after.dont_fragment = false;
        let (tuple, frame) = (before.tuple, emit(&Packet::Ip(before)));
        let there = gp_wire::nat64::translate(&frame, &after.tuple, None).unwrap();
        assert_eq!(there, emit(&Packet::Ip(after)), "{tuple}");
        assert_eq!(gp_wire::nat64::translate(&there, &tuple, None).unwrap(), frame, "{tuple}");
    }
    let esp = packets(six[0], six[1], 1, 2).pop().unwrap();
    assert_eq!(gp_wire::nat64::translate(&emit(&Packet::Ip(esp.clone())), &esp.tuple, None), None);
}

#[test]
fn nat64_translates_what_errors_quote() {
    let sent = build::udp(ends("198.51.100.9", "203.0.113.9"), 5000, 53, 2000);
    let error = packet_too_big(&emit(&Packet::Ip(sent)), "192.0.2.1".parse().unwrap(), 1400).unwrap();
    let quoted = build::udp(ends("2001:db8:a::20", "64:ff9b::203.0.113.9"), 4000, 53, 0).tuple;
    let (src, dst) = ("64:ff9b::192.0.2.1".parse().unwrap(), quoted.src);
    let to = FiveTuple::icmp(gp_wire::protocol::ICMPV6, src, dst, 2, 0, 0);
    let frame = gp_wire::nat64::translate(&error, &to, Some(&quoted)).unwrap();
    let packet = ip(&frame);
    assert_eq!((packet.tuple, packet.related), (to, Some(quoted)));
    assert_eq!(frame[58..62], 1420u32.to_be_bytes());
}
