//! Flows and pairs ↔ what the kernel's tables hold of them: a flow's own part, and the adjacency that it shares with others.
//!
//! Packing and unpacking lose nothing; where what is shared lies is the caller's business.

use crate::key::{mapped, unmapped};
use bytemuck::Zeroable;
use gp_abi::{Adjacency, FlowKey, FlowKey4, FlowValue, PackedFlow, PackedPair, PairValue};
use std::net::IpAddr;

const IPV4: u8 = 4;

/// A flow's key in the table of IPv4 flows; `None` for one of IPv6, whose table has the key as it is.
pub fn pack_key(key: &FlowKey) -> Option<FlowKey4> {
    let FlowKey { port, src_mac, src_port, dst_port, protocol, family, .. } = *key;
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (unmapped(key.src, family), unmapped(key.dst, family)) else {
        return None;
    };
    Some(FlowKey4 { src: src.octets(), dst: dst.octets(), port, src_mac, src_port, dst_port, protocol, family })
}

pub fn unpack_key(key: &FlowKey4) -> FlowKey {
    let FlowKey4 { src, dst, port, src_mac, src_port, dst_port, protocol, .. } = *key;
    let [src, dst] = [src, dst].map(|address| mapped(IpAddr::from(address)));
    FlowKey { src, dst, port, src_mac, src_port, dst_port, protocol, family: IPV4 }
}

/// What a flow may share with others.
pub fn adjacency_of(value: &FlowValue) -> Adjacency {
    let FlowValue { out_ifindex, drop_reason, action, output, dst_mac, src_mac, mtu, out_vlan, translate, .. } = *value;
    let reserved = Zeroable::zeroed();
    Adjacency { out_ifindex, drop_reason, action, output, dst_mac, src_mac, mtu, out_vlan, translate, reserved }
}

/// The rest, with the number of what it shares. `None` where it takes from a bucket that an entry can't name.
pub fn pack_flow(value: &FlowValue, adjacency: u32) -> Option<PackedFlow> {
    let FlowValue { packets, bytes, last_seen_ns, new_src, new_dst, new_src_port, new_dst_port, .. } = *value;
    let FlowValue { buckets: [first, second], tcp_flags, opens, .. } = *value;
    Some(PackedFlow {
        packets,
        bytes,
        last_seen_ns,
        new_src,
        new_dst,
        adjacency,
        new_src_port,
        new_dst_port,
        buckets: [u16::try_from(first).ok()?, u16::try_from(second).ok()?],
        tcp_flags,
        opens,
        reserved: Zeroable::zeroed(),
    })
}

/// The whole, from both parts.
pub fn unpack_flow(flow: &PackedFlow, adjacency: &Adjacency) -> FlowValue {
    let PackedFlow { packets, bytes, last_seen_ns, new_src, new_dst, new_src_port, new_dst_port, .. } = *flow;
    let PackedFlow { buckets, tcp_flags, opens, .. } = *flow;
    let Adjacency { out_ifindex, drop_reason, action, output, dst_mac, src_mac, mtu, out_vlan, translate, .. } =
        *adjacency;
    FlowValue {
        packets,
        bytes,
        last_seen_ns,
        out_ifindex,
        drop_reason,
        action,
        tcp_flags,
        dst_mac,
        src_mac,
        mtu,
        out_vlan,
        output,
        translate,
        new_src_port,
        new_dst_port,
        opens,
        new_src,
        new_dst,
        buckets: buckets.map(u32::from),
    }
}

/// A pair, with the numbers of what its flows share: the forward one's and the answer's. `None` as for [`pack_flow`].
pub fn pack_pair(pair: &PairValue, [forward, answer]: [u32; 2]) -> Option<PackedPair> {
    let PairValue { number, answer_port, grants, src_port_from, src_port_to, answer_mac, .. } = *pair;
    Some(PackedPair {
        forward: pack_flow(&pair.forward, forward)?,
        answer: pack_flow(&pair.answer, answer)?,
        number,
        answer_port,
        grants,
        src_port_from,
        src_port_to,
        answer_mac,
        reserved: Zeroable::zeroed(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_worlds::Rng;

    const CASES: u64 = 1000;

    fn array<const N: usize>(rng: &mut Rng) -> [u8; N] {
        std::array::from_fn(|_| rng.next_u64() as u8)
    }

    fn random_value(rng: &mut Rng) -> FlowValue {
        FlowValue {
            packets: rng.next_u64(),
            bytes: rng.next_u64(),
            last_seen_ns: rng.next_u64(),
            out_ifindex: rng.next_u64() as u32,
            drop_reason: rng.next_u64() as u16,
            action: rng.next_u64() as u8,
            tcp_flags: rng.next_u64() as u8,
            dst_mac: array(rng),
            src_mac: array(rng),
            mtu: rng.next_u64() as u16,
            out_vlan: rng.next_u64() as u16,
            output: rng.next_u64() as u8,
            translate: rng.next_u64() as u8,
            new_src_port: rng.next_u64() as u16,
            new_dst_port: rng.next_u64() as u16,
            opens: rng.next_u64() as u8,
            new_src: array(rng),
            new_dst: array(rng),
            buckets: [0, 1].map(|_| u32::from(rng.next_u64() as u16)),
        }
    }

    fn random_key(rng: &mut Rng) -> FlowKey {
        let is_ipv4 = rng.chance(50);
        let mut address = || {
            let octets: [u8; 16] = array(rng);
            if is_ipv4 { mapped(IpAddr::from([octets[0], octets[1], octets[2], octets[3]])) } else { octets }
        };
        let (src, dst) = (address(), address());
        FlowKey {
            src,
            dst,
            port: rng.next_u64() as u32,
            src_mac: array(rng),
            src_port: rng.next_u64() as u16,
            dst_port: rng.next_u64() as u16,
            protocol: rng.next_u64() as u8,
            family: if is_ipv4 { 4 } else { 6 },
        }
    }

    #[test]
    fn a_flow_survives_the_way_through_the_table() {
        for seed in 0..CASES {
            let rng = &mut Rng::new(seed);
            let (value, number) = (random_value(rng), rng.next_u64() as u32);
            let packed = pack_flow(&value, number).expect("indices of 16 bits");
            assert_eq!(packed.adjacency, number, "seed {seed}");
            assert_eq!(unpack_flow(&packed, &adjacency_of(&value)), value, "seed {seed}");
        }
    }

    #[test]
    fn a_pair_holds_both_flows_as_they_are_put_into_the_table() {
        for seed in 0..CASES {
            let rng = &mut Rng::new(seed);
            let pair = PairValue {
                forward: random_value(rng),
                answer: random_value(rng),
                number: rng.next_u64(),
                ..Zeroable::zeroed()
            };
            let packed = pack_pair(&pair, [7, 9]).expect("indices of 16 bits");
            assert_eq!(Some(packed.forward), pack_flow(&pair.forward, 7), "seed {seed}");
            assert_eq!(Some(packed.answer), pack_flow(&pair.answer, 9), "seed {seed}");
            assert_eq!(packed.number, pair.number, "seed {seed}");
        }
    }

    #[test]
    fn a_key_survives_where_its_family_has_a_shorter_one() {
        for seed in 0..CASES {
            let key = random_key(&mut Rng::new(seed));
            let packed = pack_key(&key);
            assert_eq!(packed.is_some(), key.family == 4, "seed {seed}");
            if let Some(packed) = packed {
                assert_eq!(unpack_key(&packed), key, "seed {seed}");
            }
        }
    }

    #[test]
    fn the_shorter_key_is_a_part_of_the_longer_one_and_the_senders_address() {
        let key = random_key(&mut (0..).map(Rng::new).find(|rng| rng.clone().chance(50)).expect("one of two"));
        let packed = pack_key(&key).expect("of IPv4");
        let (long, short): ([u8; 48], [u8; 24]) = (bytemuck::cast(key), bytemuck::cast(packed));
        assert_eq!((&short[..4], &short[4..]), (&long[12..16], &long[28..]), "the program copies them so");
    }

    #[test]
    fn a_bucket_that_an_entry_cannot_name_is_no_entry() {
        let value = FlowValue { buckets: [1, 1 << 16], ..Zeroable::zeroed() };
        assert_eq!(pack_flow(&value, 1), None);
    }
}
