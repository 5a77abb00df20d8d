//! The executor on frames spelled out by hand.

use super::*;
use bytemuck::Zeroable;
use gp_abi::ACTION_DROP;
use std::collections::HashMap;

#[derive(Default)]
struct Maps {
    pairs: PairMaps,
    flows: HashMap<FlowKey, FlowValue>,
    enis: HashMap<u32, EniState>,
    buckets: HashMap<u32, Bucket>,
    drops: Vec<u16>,
}

impl FlowTable for Maps {
    fn flow(&mut self, key: &FlowKey) -> Option<&mut FlowValue> {
        self.flows.get_mut(key)
    }
    fn insert_flow(&mut self, key: &FlowKey, value: &FlowValue) -> bool {
        let is_new = !self.flows.contains_key(key);
        if is_new {
            self.flows.insert(*key, *value);
        }
        is_new
    }
    fn remove_flow(&mut self, key: &FlowKey) {
        self.flows.remove(key);
    }
    fn pairs(&mut self) -> &mut PairMaps {
        &mut self.pairs
    }
    fn eni(&mut self, port: u32) -> Option<&mut EniState> {
        self.enis.get_mut(&port)
    }
    fn bucket(&mut self, index: u32) -> Option<&mut Bucket> {
        self.buckets.get_mut(&index)
    }
    fn count_drop(&mut self, code: u16) {
        self.drops.push(code);
    }
}

const SENDER: u32 = 7;
const SYN: u8 = 2;
const FIN_ACK: u8 = 0x11;
const ACK: u8 = 0x10;

fn arrival() -> Arrival {
    Arrival { port: SENDER, now_ns: 1_000, gso: None }
}

/// 10.0.0.1:1000 to 10.0.0.2:443 with `payload` bytes.
fn tcp(flags: u8, payload: usize) -> Vec<u8> {
    let mut frame = vec![0xaa; 6];
    frame.extend([0x02; 6]);
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((40 + payload as u16).to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([3, 0xe8, 1, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
    frame.resize(54 + payload, 0);
    frame
}

fn deliver() -> FlowValue {
    FlowValue {
        action: ACTION_DELIVER,
        out_ifindex: 9,
        mtu: 1514,
        dst_mac: [0xbb; 6],
        src_mac: [0xcc; 6],
        ..Zeroable::zeroed()
    }
}

fn maps_with(value: FlowValue) -> Maps {
    let mut maps = Maps::default();
    let key = parse::parse(&tcp(SYN, 0), SENDER).unwrap().key;
    maps.flows.insert(key, value);
    let eni = EniState { tokens: 2, upcall_burst: 2, ..Zeroable::zeroed() };
    maps.enis.insert(SENDER, eni);
    maps
}

fn only_flow(maps: &Maps) -> FlowValue {
    *maps.flows.values().next().unwrap()
}

#[test]
fn a_hit_is_rewritten_and_counted() {
    let mut maps = maps_with(deliver());
    let mut frame = tcp(ACK, 100);
    assert_eq!(execute(&mut maps, &mut frame, &arrival()), Outcome::Deliver { port: 9 });
    assert_eq!(frame[..12], [0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc]);
    assert_eq!(frame[12..], tcp(ACK, 100)[12..]);
    let FlowValue { packets, bytes, last_seen_ns, tcp_flags, .. } = only_flow(&maps);
    assert_eq!((packets, bytes, last_seen_ns, tcp_flags), (1, 154, 1_000, ACK));
}

#[test]
fn a_frame_left_whole_counts_and_is_judged_as_its_segments() {
    let mut maps = maps_with(deliver());
    for segments in [0, 3] {
        let gso = Some(Gso { size: 1460, segments });
        let outcome = execute(&mut maps, &mut tcp(ACK, 4000), &Arrival { gso, ..arrival() });
        assert_eq!(outcome, Outcome::Deliver { port: 9 });
    }
    assert_eq!((only_flow(&maps).packets, only_flow(&maps).bytes), (6, 2 * (4000 + 3 * 54)));
    maps.enis.get_mut(&SENDER).unwrap().tokens = 3;
    let gso = Some(Gso { size: 1461, segments: 3 });
    let outcome = execute(&mut maps, &mut tcp(ACK, 4000), &Arrival { gso, ..arrival() });
    assert_eq!(outcome, Outcome::Upcall(Cause::TooLarge));
}

#[test]
fn a_frame_above_the_mtu_goes_up_and_is_not_counted_in_the_flow() {
    let mut maps = maps_with(deliver());
    assert_eq!(execute(&mut maps, &mut tcp(ACK, 1461), &arrival()), Outcome::Upcall(Cause::TooLarge));
    assert_eq!(only_flow(&maps).packets, 0);
}

#[test]
fn a_drop_entry_drops_and_counts() {
    let code = DropReason::SecurityGroupIngress.code();
    let mut maps = maps_with(FlowValue { action: ACTION_DROP, drop_reason: code, ..Zeroable::zeroed() });
    let mut frame = tcp(SYN, 0);
    assert_eq!(execute(&mut maps, &mut frame, &arrival()), Outcome::Drop { code });
    assert_eq!(frame, tcp(SYN, 0));
    assert_eq!((only_flow(&maps).packets, maps.drops), (1, vec![code]));
}

#[test]
fn a_syn_on_a_delivering_flow_goes_up_and_other_packets_do_not() {
    let mut maps = maps_with(deliver());
    execute(&mut maps, &mut tcp(FIN_ACK, 0), &arrival());
    assert_eq!(execute(&mut maps, &mut tcp(ACK, 0), &arrival()), Outcome::Deliver { port: 9 });
    assert_eq!(execute(&mut maps, &mut tcp(SYN, 0), &arrival()), Outcome::Upcall(Cause::Reopen));
}

#[test]
fn a_foreign_source_mac_is_another_flow() {
    let mut maps = maps_with(deliver());
    let mut frame = tcp(ACK, 0);
    frame[6] = 0x42;
    assert_eq!(execute(&mut maps, &mut frame, &arrival()), Outcome::Upcall(Cause::Miss));
}

#[test]
fn upcalls_end_with_the_budget_and_need_an_eni() {
    let mut maps = maps_with(deliver());
    let mut arp = vec![0; 60];
    for _ in 0..2 {
        assert_eq!(execute(&mut maps, &mut arp, &arrival()), Outcome::Upcall(Cause::Slow));
    }
    assert_eq!(execute(&mut maps, &mut arp, &arrival()), DropReason::UpcallBudget.into());
    assert_eq!((maps.enis[&SENDER].upcalls, maps.enis[&SENDER].upcall_drops), (2, 1));
    let stranger = Arrival { port: 8, ..arrival() };
    assert_eq!(execute(&mut maps, &mut arp, &stranger), DropReason::UnknownEni.into());
    assert_eq!(maps.drops, [DropReason::UpcallBudget.code(), DropReason::UnknownEni.code()]);
}

#[test]
fn every_prefix_of_a_frame_is_treated_without_panic() {
    let mut maps = maps_with(deliver());
    maps.enis.get_mut(&SENDER).unwrap().tokens = u64::MAX;
    let frame = tcp(ACK, 10);
    for end in 0..frame.len() {
        let outcome = execute(&mut maps, &mut frame[..end].to_vec(), &arrival());
        assert!(matches!(outcome, Outcome::Upcall(Cause::Slow) | Outcome::Drop { .. }), "{end}: {outcome:?}");
    }
}

/// RFC 1071 over the words: 0 where the bytes hold their own right checksum.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum: u32 = words.map(|w| u32::from(w[0]) << 8 | w.get(1).map_or(0, |low| u32::from(*low))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

fn pseudo_header(frame: &[u8]) -> Vec<u8> {
    [&frame[26..34], &[0, frame[23]], &((frame.len() - 34) as u16).to_be_bytes()].concat()
}

#[test]
fn a_translation_leaves_right_checksums() {
    let mut frame = tcp(ACK, 100);
    let sum = checksum(&[&frame[14..34]]).to_be_bytes();
    frame[24..26].copy_from_slice(&sum);
    let sum = checksum(&[&pseudo_header(&frame), &frame[34..]]).to_be_bytes();
    frame[50..52].copy_from_slice(&sum);
    let mut maps = maps_with(FlowValue {
        translate: gp_abi::TRANSLATE_ADDRESSES | gp_abi::TRANSLATE_PORTS,
        new_src: [198, 51, 100, 1],
        new_dst: [192, 0, 2, 7],
        new_src_port: 50_000,
        new_dst_port: 8443,
        ..deliver()
    });
    assert_eq!(execute(&mut maps, &mut frame, &arrival()), Outcome::Deliver { port: 9 });
    assert_eq!(frame[26..38], [198, 51, 100, 1, 192, 0, 2, 7, 0xc3, 0x50, 0x20, 0xfb]);
    assert_eq!(checksum(&[&frame[14..34]]), 0);
    assert_eq!(checksum(&[&pseudo_header(&frame), &frame[34..]]), 0);
}

#[test]
fn a_tagged_port_is_another_port() {
    let mut maps = maps_with(FlowValue { out_vlan: 5, ..deliver() });
    let tagged = crate::port_number(SENDER, 100).unwrap();
    let eni = maps.enis[&SENDER];
    maps.enis.insert(tagged, eni);
    let out = crate::port_number(9, 5).unwrap();
    assert_eq!(execute(&mut maps, &mut tcp(ACK, 0), &arrival()), Outcome::Deliver { port: out });
    let arrival = Arrival { port: tagged, ..arrival() };
    assert_eq!(execute(&mut maps, &mut tcp(ACK, 0), &arrival), Outcome::Upcall(Cause::Miss));
    assert_eq!(crate::port_number(1 << 20, 0), None);
    assert_eq!(crate::port_number(1, 4096), None);
}

#[test]
fn without_bandwidth_a_frame_is_dropped_as_it_is_and_counted_for_the_eni_that_has_none() {
    let (out, into) = (4, 9);
    for (empty, reason) in [(out, DropReason::BandwidthOutAllowance), (into, DropReason::BandwidthInAllowance)] {
        let mut maps = maps_with(FlowValue { buckets: [out, into], ..deliver() });
        maps.enis.insert(9, EniState::zeroed());
        for index in [out, into] {
            let tokens = if index == empty { 0 } else { 5_000 };
            maps.buckets.insert(index, Bucket { tokens, ..Zeroable::zeroed() });
        }
        let mut frame = tcp(ACK, 4_000);
        let gso = Some(Gso { size: 1460, segments: 0 });
        assert_eq!(execute(&mut maps, &mut frame, &Arrival { gso, ..arrival() }), reason.into());
        assert_eq!((frame, only_flow(&maps).packets), (tcp(ACK, 4_000), 0));
        let (sender, receiver) = (maps.enis[&SENDER], maps.enis[&9]);
        let expected = if empty == out { (3, 0) } else { (0, 3) };
        assert_eq!((sender.bandwidth_out_drops, receiver.bandwidth_in_drops), expected, "its three segments");
        let left = if empty == out { 0 } else { 5_000 - (4_000 + 3 * 40) };
        assert_eq!(maps.buckets[&out].tokens, left, "what was sent is paid for");
    }
}
