//! The engine at the region's edge: public addresses, NAT gateways, replies.

use crate::Fate;
use crate::testing::{Host, Seen, UPLINK, ifindex};
use gp_compile::Cause;
use gp_trace::DropReason;
use gp_wire::{FiveTuple, Packet, TcpFlags, Transport, icmp};
use std::collections::HashSet;

/// A public subnet with a web server and a NAT gateway, a private one with two clients.
const EDGE: &str = "
    vpc a 10.0.0.0/16; subnet pub a 10.0.0.0/24; subnet priv a 10.0.1.0/24
    igw i a; sg open a in all from 0.0.0.0/0
    eni w pub 10.0.0.10 sg open public 198.51.100.10
    nat g pub 10.0.0.9 eip 198.51.100.9
    eni c priv 10.0.1.5 sg open; eni d priv 10.0.1.6 sg open
    rtb r1 a for pub route 0.0.0.0/0 via i; rtb r2 a for priv route 0.0.0.0/0 via nat g
";

fn edge() -> Host {
    Host::new(EDGE)
}

fn parsed(frame: &[u8]) -> gp_wire::IpPacket {
    let Packet::Ip(packet) = gp_wire::parse(frame).unwrap() else { panic!("not IP") };
    packet
}

/// The one frame sent since the last call: where, and its tuple.
fn only_sent(host: &Host) -> (u32, FiveTuple) {
    let sent = host.sent();
    assert_eq!(sent.len(), 1, "one frame");
    (sent[0].0, parsed(&sent[0].1).tuple)
}

fn told(tuple: &FiveTuple) -> String {
    tuple.to_string()
}

#[test]
fn a_public_address_is_translated_both_ways_by_the_cache() {
    let mut host = edge();
    let to_w = Fate::Delivered(host.scenario.eni("w"));
    assert_eq!(host.send("uplink[203.0.113.7] > 198.51.100.10 tcp 5000:80 syn").fate(), to_w);
    let (port, tuple) = only_sent(&host);
    assert_eq!((port, told(&tuple)), (ifindex(host.scenario.eni("w")), "tcp 203.0.113.7:5000 > 10.0.0.10:80".into()));
    assert_eq!(host.send("w > 203.0.113.7 tcp 80:5000 syn+ack"), Seen::Hit(Fate::LeftRegion));
    let (port, tuple) = only_sent(&host);
    assert_eq!((port, told(&tuple)), (UPLINK, "tcp 198.51.100.10:80 > 203.0.113.7:5000".into()));
    assert_eq!(host.send("uplink[203.0.113.7] > 198.51.100.10 tcp 5000:80 ack"), Seen::Hit(to_w));
}

#[test]
fn a_public_address_that_goes_takes_its_flows_along() {
    let mut host = edge();
    host.send("uplink[203.0.113.7] > 198.51.100.10 tcp 5000:80 syn");
    host.change("eni w pub 10.0.0.10 sg open");
    let gone = host.send("uplink[203.0.113.7] > 198.51.100.10 tcp 5000:80 ack").fate();
    assert_eq!(gone, Fate::Dropped(DropReason::NoSuchPublicAddress));
}

#[test]
fn a_nat_gateway_opens_answers_and_counts() {
    let mut host = edge();
    assert_eq!(host.send("c > 203.0.113.7 tcp 4000:80 syn"), Seen::Upcall(Cause::Miss, Fate::LeftRegion));
    assert_eq!(told(&only_sent(&host).1), "tcp 198.51.100.9:4000 > 203.0.113.7:80");
    let to_c = Fate::Delivered(host.scenario.eni("c"));
    assert_eq!(host.send("uplink[203.0.113.7] > 198.51.100.9 tcp 80:4000 syn+ack"), Seen::Hit(to_c));
    assert_eq!(told(&only_sent(&host).1), "tcp 203.0.113.7:80 > 10.0.1.5:4000");
    assert_eq!(host.send("c > 203.0.113.7 tcp 4000:80 ack"), Seen::Hit(Fate::LeftRegion));
    assert_eq!(host.send("d > 203.0.113.7 tcp 4000:80 syn").fate(), Fate::LeftRegion);
    host.engine.expire(host.now).unwrap();
    let second = host.sent();
    let second = parsed(&second.last().unwrap().1).tuple;
    assert_eq!(second.src.to_string(), "198.51.100.9");
    assert_ne!(second.src_port, 4000, "the port is taken");
    let counters = host.engine.nat_gateways()[&host.scenario.nat_gateway("g")];
    assert_eq!((counters.connection_attempt_count, counters.connection_established_count), (2, 1));
    assert_eq!((counters.active_connection_count, counters.packets_in_from_source), (2, 3));
    assert_eq!((counters.packets_in_from_destination, counters.packets_out_to_source), (1, 1));
}

#[test]
fn nobody_outside_opens_a_connection_by_a_nat_gateway() {
    let mut host = edge();
    let seen = host.send("uplink[203.0.113.7] > 198.51.100.9 tcp 80:4000 syn").fate();
    assert_eq!(seen, Fate::Dropped(DropReason::NatNoConnection));
    host.send("c > 203.0.113.7 tcp 4000:80 syn");
    let seen = host.send("uplink[203.0.113.7] > 198.51.100.9 tcp 80:4000 syn+ack").fate();
    assert_eq!(seen, Fate::Delivered(host.scenario.eni("c")), "what was dropped before is an answer now");
}

#[test]
fn an_idle_connection_of_a_nat_gateway_ends_and_its_sender_is_told() {
    let mut host = edge();
    host.send("c > 203.0.113.7 tcp 4000:80 syn");
    host.send("uplink[203.0.113.7] > 198.51.100.9 tcp 80:4000 syn+ack");
    host.send("c > 203.0.113.7 tcp 4000:80 ack");
    host.wait(349);
    host.engine.expire(host.now).unwrap();
    assert_eq!(host.send("c > 203.0.113.7 tcp 4000:80 ack").fate(), Fate::LeftRegion);
    host.wait(351);
    host.engine.expire(host.now).unwrap();
    host.sent();
    assert_eq!(host.send("c > 203.0.113.7 tcp 4000:80 ack").fate(), Fate::Dropped(DropReason::NatIdleTimeout));
    let sent = host.sent();
    assert_eq!(sent[0].0, ifindex(host.scenario.eni("c")));
    let reset = parsed(&sent[0].1);
    assert_eq!(told(&reset.tuple), "tcp 203.0.113.7:80 > 10.0.1.5:4000");
    assert!(matches!(reset.transport, Transport::Tcp { flags } if flags.0 & TcpFlags::RST != 0));
    assert_eq!(host.engine.nat_gateways()[&host.scenario.nat_gateway("g")].idle_timeout_count, 1);
    assert_eq!(host.send("c > 203.0.113.7 tcp 4000:80 syn").fate(), Fate::LeftRegion);
}

/// A gateway with two addresses of which the second drains, or has drained.
const DRAINING: &str = "nat g pub 10.0.0.9,10.0.0.8 eip 198.51.100.9,198.51.100.8 drains 10.0.0.8 ports 1";

#[test]
fn connections_by_an_address_that_drains_go_on_until_it_goes() {
    let mut host = edge();
    host.change("nat g pub 10.0.0.9,10.0.0.8 eip 198.51.100.9,198.51.100.8 ports 1");
    let gateway = host.scenario.nat_gateway("g");
    let (first, second) = ("10.0.0.9".parse().unwrap(), "10.0.0.8".parse().unwrap());
    for (port, public) in [(4000, "198.51.100.9"), (4001, "198.51.100.8")] {
        host.send(&format!("c > 203.0.113.7 tcp {port}:80 syn"));
        assert_eq!(only_sent(&host).1.src.to_string(), public);
        host.send(&format!("uplink[203.0.113.7] > {public} tcp 80:{port} syn+ack"));
        host.sent();
    }
    host.change(DRAINING);
    assert_eq!(host.send("c > 203.0.113.7 tcp 4001:80 ack"), Seen::Hit(Fate::LeftRegion));
    assert_eq!(told(&only_sent(&host).1), "tcp 198.51.100.8:4001 > 203.0.113.7:80");
    let refused = Fate::Dropped(DropReason::NatPortExhausted);
    assert_eq!(host.send("c > 203.0.113.7 tcp 4002:80 syn").fate(), refused, "it takes nothing new");
    assert!(host.engine.is_nat_address_used(gateway, first) && host.engine.is_nat_address_used(gateway, second));
    host.change("nat g pub 10.0.0.9 eip 198.51.100.9 ports 1");
    assert!(host.engine.is_nat_address_used(gateway, first) && !host.engine.is_nat_address_used(gateway, second));
    assert_eq!(host.send("c > 203.0.113.7 tcp 4001:80 ack").fate(), Fate::Dropped(DropReason::NatIdleTimeout));
    assert_eq!(host.send("c > 203.0.113.7 tcp 4000:80 ack"), Seen::Hit(Fate::LeftRegion));
}

#[test]
fn an_address_that_drains_is_unused_once_its_connections_have_ended() {
    let mut host = edge();
    host.change("nat g pub 10.0.0.9,10.0.0.8 eip 198.51.100.9,198.51.100.8 ports 1");
    host.send("c > 203.0.113.7 tcp 4000:80 syn");
    host.send("c > 203.0.113.7 tcp 4001:80 syn");
    host.change(DRAINING);
    let (gateway, second) = (host.scenario.nat_gateway("g"), "10.0.0.8".parse().unwrap());
    host.send("c > 203.0.113.7 tcp 4001:80 rst");
    host.engine.expire(host.now).unwrap();
    assert!(host.engine.is_nat_address_used(gateway, second), "a late packet may come");
    host.wait(11);
    host.engine.expire(host.now).unwrap();
    assert!(!host.engine.is_nat_address_used(gateway, second));
}

#[test]
fn at_the_port_limit_new_flows_are_refused_and_old_ones_live_on() {
    let mut host = edge();
    host.change("nat g pub 10.0.0.9 eip 198.51.100.9 ports 3");
    for port in 4000..4003 {
        assert_eq!(host.send(&format!("c > 203.0.113.7 tcp {port}:80 syn")).fate(), Fate::LeftRegion);
    }
    let refused = Fate::Dropped(DropReason::NatPortExhausted);
    assert_eq!(host.send("c > 203.0.113.7 tcp 4003:80 syn").fate(), refused);
    assert_eq!(host.send("c > 203.0.113.7 tcp 4003:80 syn").fate(), refused);
    assert_eq!(host.send("c > 203.0.113.8 tcp 4003:80 syn").fate(), Fate::LeftRegion, "another destination");
    assert_eq!(host.send("c > 203.0.113.7 tcp 4000:80 ack"), Seen::Hit(Fate::LeftRegion));
    assert_eq!(host.engine.nat_gateways()[&host.scenario.nat_gateway("g")].error_port_allocation, 2);
    host.send("c > 203.0.113.7 tcp 4001:80 rst");
    host.engine.expire(host.now).unwrap();
    host.wait(11);
    host.engine.expire(host.now).unwrap();
    assert_eq!(host.send("c > 203.0.113.7 tcp 4003:80 syn").fate(), Fate::LeftRegion, "one has ended");
}

#[test]
fn an_address_has_55_000_connections_to_one_destination_and_not_one_more() {
    let mut host = edge();
    let mut seen = HashSet::new();
    let open =
        |host: &mut Host, client: &str, port: u16| host.send(&format!("{client} > 203.0.113.7 tcp {port}:80 syn"));
    for port in (1024..).take(27_500) {
        for name in ["c", "d"] {
            assert_eq!(open(&mut host, name, port).fate(), Fate::LeftRegion, "{name} {port}");
            let tuple = only_sent(&host).1;
            assert!(tuple.src_port >= 1024 && seen.insert(tuple), "{tuple} is given twice");
        }
    }
    assert_eq!(seen.len(), 55_000);
    let refused = Fate::Dropped(DropReason::NatPortExhausted);
    assert_eq!(open(&mut host, "c", 40_000).fate(), refused);
    assert_eq!(open(&mut host, "d", 40_000).fate(), refused);
    assert_eq!(host.engine.nat_gateways()[&host.scenario.nat_gateway("g")].error_port_allocation, 2);
    assert_eq!(host.send("c > 203.0.113.7 udp 40000:80").fate(), Fate::LeftRegion, "another protocol");
    assert_eq!(host.send("c > 203.0.113.7 tcp 40000:81 syn").fate(), Fate::LeftRegion, "another port");
    assert_eq!(host.send("c > 203.0.113.7 tcp 1024:80 ack").fate(), Fate::LeftRegion, "an old one");
}

#[test]
fn a_restart_keeps_translations() {
    let mut host = edge();
    host.send("c > 203.0.113.7 tcp 4000:80 syn");
    host.send("d > 203.0.113.7 tcp 4000:80 syn");
    let before = host.kernel.tables().flows.clone();
    host.restart();
    assert_eq!(host.kernel.tables().flows, before);
    host.kernel.tables().flows.clear();
    host.restart();
    assert_eq!(
        host.send("uplink[203.0.113.7] > 198.51.100.9 tcp 80:4000 syn+ack").fate(),
        Fate::Delivered(host.scenario.eni("c"))
    );
    host.sent();
    host.send("d > 203.0.113.7 tcp 4000:80 ack");
    let tuple = only_sent(&host).1;
    assert_eq!(tuple.src.to_string(), "198.51.100.9");
    assert_ne!(tuple.src_port, 4000);
}

#[test]
fn connections_go_with_their_gateway_and_with_its_address() {
    let mut host = edge();
    host.send("c > 203.0.113.7 tcp 4000:80 syn");
    let connections = host.connections();
    host.change("nat g pub 10.0.0.8 eip 198.51.100.9");
    assert_eq!(host.connections(), connections - 1);
    assert_eq!(host.send("c > 203.0.113.7 tcp 4000:80 ack").fate(), Fate::Dropped(DropReason::NatIdleTimeout));
    host.send("c > 203.0.113.7 tcp 4001:80 syn");
    assert_eq!(host.connections(), connections + 1);
    host.change("nat g pub 10.0.0.8 eip 198.51.100.9 deleting");
    assert_eq!(host.connections(), connections);
    assert_eq!(host.send("c > 203.0.113.7 tcp 4001:80 ack").fate(), Fate::Dropped(DropReason::Blackhole));
}

#[test]
fn two_public_addresses_of_one_vpc_talk_by_the_gateway() {
    let mut host = edge();
    host.change("eni v pub 10.0.0.11 sg open public 198.51.100.11");
    assert_eq!(host.send("v > 198.51.100.10 tcp 4000:80 syn").fate(), Fate::Delivered(host.scenario.eni("w")));
    assert_eq!(told(&only_sent(&host).1), "tcp 198.51.100.11:4000 > 10.0.0.10:80");
    let back = host.send("w > 198.51.100.11 tcp 80:4000 syn+ack");
    assert_eq!(back, Seen::Hit(Fate::Delivered(host.scenario.eni("v"))));
    assert_eq!(told(&only_sent(&host).1), "tcp 198.51.100.10:80 > 10.0.0.11:4000");
}

#[test]
fn an_error_from_outside_quotes_what_the_guest_has_sent() {
    let mut host = edge();
    host.send("c > 203.0.113.7 udp 4000:53");
    host.sent();
    let seen = host.send("uplink[203.0.113.1] > 198.51.100.9 icmp 3/1 about udp 4000:53");
    // The text's error is about a packet to its own sender: that is no flow of ours.
    assert_eq!(seen.fate(), Fate::Dropped(DropReason::NatNoConnection));
    let seen = host.send("uplink[203.0.113.7] > 198.51.100.9 icmp 3/3 about udp 4000:53");
    assert_eq!(seen.fate(), Fate::Delivered(host.scenario.eni("c")));
    let sent = host.sent();
    let error = parsed(&sent.last().unwrap().1);
    assert_eq!(error.tuple.dst.to_string(), "10.0.1.5");
    assert_eq!(told(&error.related.unwrap()), "udp 10.0.1.5:4000 > 203.0.113.7:53");
}

#[test]
fn what_is_too_large_is_answered_or_cut() {
    let mut host = edge();
    let refused = host.send("w > 203.0.113.7 udp 4000:53 len 2000");
    assert_eq!(refused.fate(), Fate::Dropped(DropReason::TooLarge));
    let (port, tuple) = only_sent(&host);
    assert_eq!((port, tuple.icmp_type()), (ifindex(host.scenario.eni("w")), Some(icmp::DESTINATION_UNREACHABLE)));
    assert_eq!(tuple.src.to_string(), "10.0.0.1", "the router of its subnet says so");
    assert_eq!(host.send("w > 203.0.113.7 udp 4000:53 len 2000 nodf").fate(), Fate::LeftRegion);
    let pieces: Vec<_> = host.sent().iter().map(|(to, frame)| (*to, parsed(frame))).collect();
    assert_eq!(pieces.len(), 2);
    for (to, piece) in &pieces {
        assert_eq!((*to, piece.tuple.src.to_string()), (UPLINK, "198.51.100.10".into()));
        assert!(piece.frame_bytes <= 1514 && piece.fragment.is_some());
    }
}

#[test]
fn a_large_packet_of_a_cached_flow_is_answered_too() {
    let mut host = edge();
    host.send("w > 203.0.113.7 udp 4000:53");
    assert_eq!(host.send("w > 203.0.113.7 udp 4000:53"), Seen::Hit(Fate::LeftRegion));
    host.sent();
    let refused = host.send("w > 203.0.113.7 udp 4000:53 len 2000");
    assert_eq!(refused, Seen::Upcall(Cause::TooLarge, Fate::Dropped(DropReason::TooLarge)));
    assert_eq!(only_sent(&host).1.icmp_type(), Some(icmp::DESTINATION_UNREACHABLE));
    assert_eq!(host.send("w > 203.0.113.7 udp 4000:53"), Seen::Hit(Fate::LeftRegion), "it stays cached");
}

#[test]
fn without_an_uplink_nothing_leaves_or_comes() {
    let mut host = edge();
    host.send("c > 203.0.113.7 tcp 4000:80 syn");
    let region = host.scenario.world.region.clone();
    assert!(host.engine.remove_uplink(&region, host.now));
    assert!(!host.engine.remove_uplink(&region, host.now));
    assert_eq!(host.flows(), 0);
    assert_eq!(host.send("c > 203.0.113.7 tcp 4000:80 ack").fate(), Fate::Dropped(DropReason::EniNotAttached));
}

#[test]
fn the_outside_learns_where_a_public_address_is() {
    let mut host = edge();
    for (target, is_known) in [([198, 51, 100, 10], true), ([198, 51, 100, 77], false)] {
        let mut request =
            gp_wire::build::arp_request(gp_model::Mac([0x12, 0, 0, 0, 0, 1]), [198, 51, 100, 1].into(), target.into());
        let seen = host.send_frame_at(UPLINK, &mut request).fate();
        assert_eq!(seen == Fate::Answered(gp_trace::LocalService::Arp), is_known, "{target:?}");
        assert_eq!(host.sent().len(), usize::from(is_known));
    }
}

#[test]
fn a_cached_drop_does_not_keep_the_senders_of_large_packets_in_the_dark() {
    let mut host = Host::new(
        "vpc a 10.0.0.0/16; subnet pub a 10.0.0.0/24; igw i a; sg open a in all from 0.0.0.0/0; sg shut a
         eni w pub 10.0.0.10 sg open public 198.51.100.10; eni v pub 10.0.0.11 sg shut public 198.51.100.11
         rtb r1 a for pub route 0.0.0.0/0 via i",
    );
    let shut = Fate::Dropped(DropReason::SecurityGroupIngress);
    assert_eq!(host.send("w > 198.51.100.11 udp 1:2").fate(), shut);
    assert_eq!(host.send("w > 198.51.100.11 udp 1:2"), Seen::Hit(shut));
    host.sent();
    for _ in 0..3 {
        let seen = host.send("w > 198.51.100.11 udp 1:2 len 3000");
        assert_eq!(seen, Seen::Upcall(Cause::TooLarge, Fate::Dropped(DropReason::TooLarge)));
        let (port, tuple) = only_sent(&host);
        assert_eq!((port, tuple.icmp_type()), (ifindex(host.scenario.eni("w")), Some(icmp::DESTINATION_UNREACHABLE)));
    }
    assert_eq!(host.send("w > 198.51.100.11 udp 1:2 len 3000 nodf").fate(), shut, "it may be cut");
    assert_eq!(host.send("w > 198.51.100.11 udp 1:2"), Seen::Hit(shut), "small ones meet the cache as before");
}

#[test]
fn a_packet_that_dies_behind_a_nat_gateway_takes_no_port() {
    let mut host = Host::new(&(EDGE.to_owned() + "nat g pub 10.0.0.9 eip 198.51.100.9 ports 1"));
    let refused = Fate::Dropped(DropReason::PrivateDestination);
    assert_eq!(host.send("c > 192.168.1.1 tcp 4000:80 syn").fate(), refused);
    assert_eq!(host.send("d > 192.168.1.1 tcp 4001:80 syn").fate(), refused, "the one port is still free");
    assert!(
        host.engine.nat_gateways().get(&host.scenario.nat_gateway("g")).is_none_or(|g| g.connection_attempt_count == 0)
    );
    // What was refused passes as soon as there is a way.
    host.change(
        "eip e 198.51.100.77 w 10.0.0.10; rtb r1 a for pub route 0.0.0.0/0 via i route 192.168.1.0/24 via eni w",
    );
    host.change("eni w pub 10.0.0.10 sg open unchecked");
    assert_eq!(host.send("c > 192.168.1.1 tcp 4000:80 syn").fate(), Fate::Delivered(host.scenario.eni("w")));
    assert_eq!(host.send("d > 192.168.1.1 tcp 4001:80 syn").fate(), Fate::Dropped(DropReason::NatPortExhausted));
}
