//! The segment size that a SYN announces: the executor and the kernel program lower it alike, and to what the entry says.

use bytemuck::Zeroable;
use gp_abi::{ACTION_DELIVER, FlowKey, FlowValue, TRANSLATE_ADDRESSES, TRANSLATE_MSS, TRANSLATE_PORTS};
use gp_agreement::{Pair, with_interfaces};
use gp_compile::{Outcome, key_of};
use gp_maps::UpcallBudget;
use gp_model::Mac;
use gp_wire::build::{self, Ends};
use gp_wire::{Packet, TcpFlags};

const SENDER: u32 = 7;
const RECEIVER: u32 = 9;
const UNLIMITED: UpcallBudget = UpcallBudget { per_second: 0, burst: u32::MAX };
/// The clock's tick, and what may pass between the two runs of one frame on a busy machine.
const TOLERANCE_NS: u64 = 2_000_000_000;
/// Of Ethernet, IPv4 and TCP.
const HEADERS: usize = 54;

/// A SYN with an answer's flags: one that opens a connection would go up.
fn announcing(options: &[u8]) -> (FlowKey, Vec<u8>) {
    let ends = Ends {
        src_mac: Mac([2, 0, 0, 0, 0, 1]),
        dst_mac: Mac([2, 0, 0, 0, 0, 1]),
        src: "203.0.113.9".parse().unwrap(),
        dst: "10.0.0.2".parse().unwrap(),
    };
    let packet = Packet::Ip(build::tcp(ends, 80, 5000, TcpFlags(TcpFlags::SYN | TcpFlags::ACK), 0));
    let mut frame = build::emit(&packet)[..HEADERS].to_vec();
    frame.extend(options);
    frame[46] = ((20 + options.len()) as u8 / 4) << 4;
    frame[16..18].copy_from_slice(&((40 + options.len()) as u16).to_be_bytes());
    (key_of(&packet, SENDER).unwrap(), frame)
}

#[test]
fn both_lower_the_segment_size_that_is_announced_and_mend_the_checksum() {
    with_interfaces(|| {
        let mut pair = Pair::new();
        pair.set_budget(SENDER, UNLIMITED);
        let translate = TRANSLATE_ADDRESSES | TRANSLATE_PORTS | TRANSLATE_MSS;
        let value = FlowValue {
            action: ACTION_DELIVER,
            out_ifindex: RECEIVER,
            mtu: 1514,
            translate,
            new_src: [203, 0, 113, 9],
            new_dst: [10, 0, 0, 2],
            new_src_port: 80,
            new_dst_port: 5000,
            ..Zeroable::zeroed()
        };
        for (options, wanted) in [
            (&[2, 4, 0x23, 0x05][..], &[2, 4, 0x05, 0xb4][..]),
            (&[2, 4, 0x05, 0xb4], &[2, 4, 0x05, 0xb4]),
            (&[2, 4, 0x02, 0x18], &[2, 4, 0x02, 0x18]),
            (&[1, 2, 4, 0x23, 0x05, 1, 1, 1], &[1, 2, 4, 0x05, 0xb4, 1, 1, 1]),
            (&[4, 2, 1, 1, 2, 4, 0xff, 0xff], &[4, 2, 1, 1, 2, 4, 0x05, 0xb4]),
            (&[0, 0, 0, 0, 2, 4, 0xff, 0xff], &[0, 0, 0, 0, 2, 4, 0xff, 0xff]),
            (&[8, 0, 2, 4, 0xff, 0xff, 1, 1], &[8, 0, 2, 4, 0xff, 0xff, 1, 1]),
            (&[], &[]),
        ] {
            let (key, frame) = announcing(options);
            pair.set_flow(&key, &value);
            let (outcome, bytes) = pair.run(&frame, SENDER, None);
            assert_eq!(outcome, Outcome::Deliver { port: RECEIVER });
            assert_eq!(&bytes[HEADERS..], wanted, "{options:?}");
            // The words that were summed, and the one of the checksum, still make the same sum.
            let sum = |frame: &[u8]| {
                let sum: u64 =
                    frame[34..].chunks(2).map(|word| u64::from(u16::from_be_bytes([word[0], word[1]]))).sum();
                sum % 0xffff
            };
            assert_eq!(sum(&bytes), sum(&frame), "{options:?}");
            pair.set_flow(&key, &FlowValue { translate: translate & !TRANSLATE_MSS, ..value });
            assert_eq!(pair.run(&frame, SENDER, None).1[HEADERS..], *options, "only where the entry says so");
        }
        pair.compare_ledgers(TOLERANCE_NS);
    });
}
