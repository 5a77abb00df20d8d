//! Frames and packets against a stranger's reading (etherparse's own builder and checks), and against garbage.

use etherparse::{PacketBuilder, SlicedPacket};
use gp_model::Mac;
use gp_wire::build::{self, Ends};
use gp_wire::{FiveTuple, Fragment, IpPacket, Packet, ParseError, TcpFlags, Transport, fuzz_parse, parse, protocol};
use gp_worlds::Rng;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
const B: Mac = Mac([2, 0, 0, 0, 0, 2]);
const V4: [[u8; 4]; 2] = [[10, 0, 1, 20], [10, 0, 2, 10]];
const V6: [[u8; 16]; 2] = [
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1],
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2],
];

fn ends(ipv6: bool) -> Ends {
    let address = |i: usize| if ipv6 { IpAddr::from(V6[i]) } else { IpAddr::from(V4[i]) };
    Ends { src_mac: A, dst_mac: B, src: address(0), dst: address(1) }
}

fn ip(frame: &[u8]) -> IpPacket {
    match parse(frame).unwrap() {
        Packet::Ip(packet) => packet,
        Packet::Arp(arp) => panic!("{arp:?}"),
    }
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = Vec::new();
    write(&mut frame);
    frame
}

#[test]
fn frames_of_another_builder_parse_to_what_they_mean() {
    let syn = written(|f| {
        let builder = PacketBuilder::ethernet2(A.0, B.0).ipv4(V4[0], V4[1], 61).tcp(4000, 80, 7, 512).syn();
        builder.write(f, &[1, 2, 3]).unwrap();
    });
    let mut expected = build::tcp(ends(false), 4000, 80, TcpFlags(TcpFlags::SYN), 3);
    expected.ttl = 61;
    assert_eq!(ip(&syn), expected);

    let datagram = written(|f| {
        let builder = PacketBuilder::ethernet2(A.0, B.0).ipv6(V6[0], V6[1], 64).udp(53, 5353);
        builder.write(f, &[0; 9]).unwrap();
    });
    assert_eq!(ip(&datagram), build::udp(ends(true), 53, 5353, 9));

    let echo = written(|f| {
        PacketBuilder::ethernet2(A.0, B.0).ipv4(V4[0], V4[1], 64).icmpv4_echo_request(77, 1).write(f, &[0; 8]).unwrap();
    });
    assert_eq!(ip(&echo), build::icmp_echo(ends(false), 77, 8));
    assert_eq!(ip(&echo).tuple, FiveTuple::icmp(1, V4[0].into(), V4[1].into(), 8, 0, 77));

    let echo = written(|f| {
        PacketBuilder::ethernet2(A.0, B.0).ipv6(V6[0], V6[1], 64).icmpv6_echo_request(77, 1).write(f, &[0; 8]).unwrap();
    });
    assert_eq!(ip(&echo), build::icmp_echo(ends(true), 77, 8));
}

/// The stranger computes every checksum itself.
#[test]
fn emitted_frames_have_right_lengths_and_checksums() {
    for ipv6 in [false, true] {
        for packet in [
            build::tcp(ends(ipv6), 4000, 80, TcpFlags(TcpFlags::SYN), 0),
            build::tcp(ends(ipv6), 4000, 80, TcpFlags(TcpFlags::ACK), 101),
            build::udp(ends(ipv6), 4000, 53, 7),
            build::icmp_echo(ends(ipv6), 9, 56),
        ] {
            check_with_etherparse(&packet);
            assert_eq!(ip(&build::emit(&Packet::Ip(packet.clone()))), packet);
        }
    }
}

fn check_with_etherparse(packet: &IpPacket) {
    let frame = build::emit(&Packet::Ip(packet.clone()));
    let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
    let transport = sliced.transport.unwrap();
    match sliced.net.unwrap() {
        etherparse::NetSlice::Ipv4(net) => {
            let header = net.header().to_header();
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            match transport {
                etherparse::TransportSlice::Tcp(tcp) => {
                    let sum = tcp.to_header().calc_checksum_ipv4(&header, tcp.payload()).unwrap();
                    assert_eq!(sum, tcp.checksum());
                }
                etherparse::TransportSlice::Udp(udp) => {
                    let sum = udp.to_header().calc_checksum_ipv4(&header, udp.payload()).unwrap();
                    assert_eq!(sum, udp.checksum());
                }
                etherparse::TransportSlice::Icmpv4(icmp) => {
                    assert_eq!(icmp.header().icmp_type.calc_checksum(icmp.payload()), icmp.checksum());
                }
                other => panic!("{other:?}"),
            }
        }
        etherparse::NetSlice::Ipv6(net) => {
            let header = net.header().to_header();
            match transport {
                etherparse::TransportSlice::Tcp(tcp) => {
                    let sum = tcp.to_header().calc_checksum_ipv6(&header, tcp.payload()).unwrap();
                    assert_eq!(sum, tcp.checksum());
                }
                etherparse::TransportSlice::Udp(udp) => {
                    let sum = udp.to_header().calc_checksum_ipv6(&header, udp.payload()).unwrap();
                    assert_eq!(sum, udp.checksum());
                }
                etherparse::TransportSlice::Icmpv6(icmp) => {
                    assert!(icmp.is_checksum_valid(header.source, header.destination));
                }
                other => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn arp_round_trips() {
    let (a, b) = (Ipv4Addr::from(V4[0]), Ipv4Addr::from(V4[1]));
    let Ok(Packet::Arp(request)) = parse(&build::arp_request(A, a, b)) else { panic!() };
    assert_eq!((request.is_request, request.sender, request.target, request.dst_mac), (true, a, b, Mac::BROADCAST));
    let Ok(Packet::Arp(reply)) = parse(&build::arp_reply(B, b, A, a)) else { panic!() };
    assert_eq!((reply.is_request, reply.sender, reply.sender_mac, reply.dst_mac), (false, b, B, A));
    assert_eq!(Packet::Arp(reply), parse(&build::emit(&Packet::Arp(reply))).unwrap());
}

/// A frame whose IPv4 payload is changed by `change`, its lengths kept right.
fn with_payload(mut frame: Vec<u8>, start: usize, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut payload = frame.split_off(start);
    change(&mut payload);
    frame.extend(payload);
    if frame[12..14] == [8, 0] {
        let total = (frame.len() - 14) as u16;
        frame[16..18].copy_from_slice(&total.to_be_bytes());
    } else {
        let total = (frame.len() - 54) as u16;
        frame[18..20].copy_from_slice(&total.to_be_bytes());
    }
    frame
}

fn tcp_frame(ipv6: bool) -> Vec<u8> {
    build::emit(&Packet::Ip(build::tcp(ends(ipv6), 4000, 80, TcpFlags(TcpFlags::SYN), 0)))
}

#[test]
fn ipv4_options_are_skipped() {
    let mut frame = with_payload(tcp_frame(false), 34, |p| drop(p.splice(0..0, [7, 7, 4, 0, 0, 0, 0, 0])));
    frame[14] = 0x47;
    assert_eq!(ip(&frame).tuple, ip(&tcp_frame(false)).tuple);
}

#[test]
fn ipv6_extension_headers_are_followed_but_not_for_ever() {
    let with_headers = |kinds: &[u8]| {
        let mut frame = with_payload(tcp_frame(true), 54, |payload| {
            let mut chain = Vec::new();
            for (index, _) in kinds.iter().enumerate() {
                let next = kinds.get(index + 1).copied().unwrap_or(protocol::TCP);
                chain.extend([next, 0, 1, 4, 0, 0, 0, 0]);
            }
            payload.splice(0..0, chain);
        });
        if let Some(first) = kinds.first() {
            frame[20] = *first;
        }
        parse(&frame)
    };
    let Ok(Packet::Ip(packet)) = with_headers(&[0, 43, 60]) else { panic!() };
    assert_eq!(packet.tuple, ip(&tcp_frame(true)).tuple);
    assert!(with_headers(&[0, 60, 43, 60, 60, 60]).is_ok());
    assert_eq!(with_headers(&[0, 60, 43, 60, 60, 60, 60]), Err(ParseError::Malformed("IPv6 extension")));
    let Ok(Packet::Ip(packet)) = with_headers(&[0, 60, 51]) else { panic!() };
    assert_eq!(
        (packet.tuple.protocol, packet.transport),
        (51, Transport::Other),
        "authentication is no extension here"
    );
}

#[test]
fn only_the_first_fragment_has_ports() {
    for ipv6 in [false, true] {
        let mut first = build::udp(ends(ipv6), 7, 8, 0);
        first.fragment = Some(Fragment { id: 9, offset: 0, more: true });
        first.frame_bytes = build::min_frame_bytes(&first) + 16;
        assert_eq!(ip(&build::emit(&Packet::Ip(first.clone()))), first);

        let mut later = build::other(ends(ipv6), protocol::UDP, 0);
        later.fragment = Some(Fragment { id: 9, offset: 24, more: false });
        later.frame_bytes = build::min_frame_bytes(&later) + 5;
        let parsed = ip(&build::emit(&Packet::Ip(later.clone())));
        assert_eq!(parsed, later);
        assert!(parsed.is_later_fragment());
        assert_eq!((parsed.tuple.src_port, parsed.tuple.dst_port), (0, 0));
    }
}

#[test]
fn fragments_that_no_sender_makes_are_malformed() {
    let fragment = |offset, more, payload: u32| {
        let mut packet = build::other(ends(false), protocol::UDP, 0);
        packet.fragment = Some(Fragment { id: 9, offset, more });
        packet.frame_bytes = 34 + payload;
        parse(&build::emit(&Packet::Ip(packet)))
    };
    assert!(fragment(1480, true, 16).is_ok());
    assert_eq!(fragment(1480, true, 15), Err(ParseError::Malformed("fragment")), "not a multiple of 8");
    assert_eq!(fragment(65528, false, 16), Err(ParseError::Malformed("fragment")), "beyond 64 KiB");
    // A first fragment too short for its transport header (RFC 1858).
    let mut tiny = tcp_frame(false);
    tiny.truncate(34 + 8);
    tiny[16..18].copy_from_slice(&28u16.to_be_bytes());
    tiny[20] = 0x20;
    assert_eq!(parse(&tiny), Err(ParseError::Truncated("TCP")));
}

#[test]
fn an_icmp_error_tells_which_flow_it_is_about() {
    for ipv6 in [false, true] {
        let Ends { src, dst, .. } = ends(ipv6);
        let related = FiveTuple { protocol: protocol::UDP, src: dst, dst: src, src_port: 53, dst_port: 4000 };
        let (icmp_type, code) = if ipv6 { (1, 4) } else { (3, 3) };
        let mut packet = build::icmp(ends(ipv6), icmp_type, code, 0, 0);
        packet.related = Some(related);
        packet.frame_bytes = build::min_frame_bytes(&packet);
        let frame = build::emit(&Packet::Ip(packet.clone()));
        assert_eq!(ip(&frame), packet);
        // What is cut off in the quoted header is no error of the error.
        for length in (if ipv6 { 62 } else { 42 })..frame.len() {
            let cut = with_payload(frame[..length].to_vec(), length, |_| ());
            let _ = parse(&cut).map(|p| assert!(matches!(p, Packet::Ip(p) if p.related.is_none_or(|r| r == related))));
        }
    }
}

#[test]
fn what_is_not_a_packet_is_refused_by_name() {
    let frame = tcp_frame(false);
    let tagged = |t: [u8; 2]| [&frame[..12], &t, &[0, 5], &frame[12..]].concat();
    assert_eq!(parse(&tagged([0x81, 0])), Err(ParseError::UnsupportedEtherType(0x8100)));
    assert_eq!(parse(&tagged([0x88, 0xa8])), Err(ParseError::UnsupportedEtherType(0x88a8)));
    assert_eq!(parse(&frame[..13]), Err(ParseError::Truncated("Ethernet")));
    assert_eq!(parse(&frame[..20]), Err(ParseError::Truncated("IPv4")));
    assert_eq!(parse(&frame[..40]), Err(ParseError::Malformed("IPv4")), "total length beyond the frame");
    let changed = |index: usize, value: u8| {
        let mut frame = frame.clone();
        frame[index] = value;
        parse(&frame)
    };
    assert_eq!(changed(14, 0x44), Err(ParseError::Malformed("IPv4")), "header of 16 bytes");
    assert_eq!(changed(14, 0x65), Err(ParseError::Malformed("IPv4")), "version 6");
    assert_eq!(changed(46, 0xf0), Err(ParseError::Truncated("TCP")), "data offset beyond the segment");
    assert_eq!(changed(46, 0x40), Err(ParseError::Malformed("TCP")), "data offset of 16 bytes");
    assert_eq!(changed(24, 99), parse(&frame), "nobody looks at the header's checksum");
    let padded = [&frame[..], &[0; 6]].concat();
    assert_eq!(ip(&padded).tuple, ip(&frame).tuple, "Ethernet pads short frames");
    let mut short_udp = build::emit(&Packet::Ip(build::udp(ends(false), 1, 2, 0)));
    short_udp[39] = 7;
    assert_eq!(parse(&short_udp), Err(ParseError::Malformed("UDP")));
}

#[test]
fn solicitations_count_only_if_no_router_forwarded_them() {
    let target: Ipv6Addr = "2001:db8::9".parse().unwrap();
    let mut packet = build::icmp(ends(true), 135, 0, 0, 0);
    (packet.ttl, packet.solicited) = (255, Some(target));
    packet.frame_bytes = build::min_frame_bytes(&packet);
    let mut frame = build::emit(&Packet::Ip(packet.clone()));
    assert_eq!(ip(&frame), packet);
    frame[21] = 254;
    assert_eq!(ip(&frame).solicited, None);
}

#[test]
fn no_bytes_make_it_panic() {
    let mut rng = Rng::new(1);
    let frames: Vec<_> = (0..200)
        .flat_map(|seed| {
            let world = gp_worlds::random::RandomWorld::new(seed);
            let scenario = world.scenario();
            let texts = world.packets(&mut Rng::new(seed), 10);
            texts.into_iter().map(move |text| build_frame(&scenario, &text)).collect::<Vec<_>>()
        })
        .collect();
    for _ in 0..200_000 {
        let mut frame = rng.pick(&frames).clone();
        for _ in 0..rng.below(6) {
            let index = rng.below(frame.len());
            frame[index] = rng.next_u64() as u8;
        }
        frame.truncate(rng.below(frame.len() + 1));
        fuzz_parse(&frame);
        let count = rng.below(120);
        fuzz_parse(&rng.bytes(count));
    }
}

fn build_frame(scenario: &gp_worlds::Scenario, text: &str) -> Vec<u8> {
    build::emit(&scenario.packet(text).unwrap().packet)
}
