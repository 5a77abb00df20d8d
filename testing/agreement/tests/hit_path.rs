//! What a hit costs: printed, not asserted, since machines differ and are busy.
//!
//! `cargo test -p gp-agreement --test hit_path -- --nocapture`

use bytemuck::Zeroable;
use gp_abi::{ACTION_DELIVER, ACTION_DROP, Bucket, FlowValue, TRANSLATE_ADDRESSES, TRANSLATE_PORTS};
use gp_agreement::{Kernel, now_ns, with_interfaces};
use gp_compile::{Arrival, key_of};
use gp_maps::UpcallBudget;
use gp_model::Mac;
use gp_wire::build::{self, Ends};
use gp_wire::{Packet, TcpFlags};

const SENDER: u32 = 7;
const RUNS: u32 = 1_000_000;
const ROUNDS: usize = 5;
const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn packet(src: &str, dst: &str) -> Packet {
    // Each run but the first meets what the one before rewrote, so the entry must keep the source MAC.
    let ends = Ends { src_mac: MAC, dst_mac: MAC, src: src.parse().unwrap(), dst: dst.parse().unwrap() };
    Packet::Ip(build::tcp(ends, 4000, 80, TcpFlags(TcpFlags::ACK), 0))
}

fn report(name: &str, kernel: &Kernel, packet: &Packet) {
    let arrival = Arrival { port: SENDER, now_ns: now_ns(), gso: None };
    let frame = build::emit(packet);
    let mut rounds: Vec<u32> =
        (0..ROUNDS).filter_map(|_| kernel.run_repeatedly(&frame, &arrival, RUNS)).map(|run| run.ns_per_run).collect();
    rounds.sort_unstable();
    println!("{name}: {} ns/run (median of {rounds:?})", rounds[rounds.len() / 2]);
}

#[test]
fn a_hit_is_measured() {
    with_interfaces(|| {
        let kernel = Kernel::load();
        kernel.set_budget(SENDER, UpcallBudget { per_second: 0, burst: 1 });
        let deliver =
            FlowValue { action: ACTION_DELIVER, mtu: 1514, dst_mac: MAC.0, src_mac: MAC.0, ..Zeroable::zeroed() };
        let drop = FlowValue { action: ACTION_DROP, drop_reason: 8, ..Zeroable::zeroed() };
        let (four, six) = (packet("10.0.0.1", "10.0.0.2"), packet("2001:db8::1", "2001:db8::2"));
        report("miss without budget", &kernel, &four);
        for packet in [&four, &six] {
            kernel.set_flow(&key_of(packet, SENDER).unwrap(), &deliver);
        }
        report("IPv4 hit, deliver", &kernel, &four);
        report("IPv6 hit, deliver", &kernel, &six);
        // Ends of two instances, with bandwidth that is never used up.
        let rate = 1 << 36;
        let plenty = Bucket { tokens: rate, peak_rate: rate, burst: rate, baseline_rate: rate, ..Zeroable::zeroed() };
        [4, 5].iter().for_each(|index| kernel.set_bucket(*index, &plenty));
        let policed = FlowValue { buckets: [4, 5], ..deliver };
        kernel.set_flow(&key_of(&four, SENDER).unwrap(), &policed);
        report("IPv4 hit, deliver within two allowances", &kernel, &four);
        // Each run meets what the one before translated, so the entry must keep the tuple: the work is the same.
        let translate = FlowValue {
            translate: TRANSLATE_ADDRESSES | TRANSLATE_PORTS,
            new_src: [10, 0, 0, 1],
            new_dst: [10, 0, 0, 2],
            new_src_port: 4000,
            new_dst_port: 80,
            ..deliver
        };
        kernel.set_flow(&key_of(&four, SENDER).unwrap(), &translate);
        report("IPv4 hit, translate", &kernel, &four);
        kernel.set_flow(&key_of(&four, SENDER).unwrap(), &drop);
        report("IPv4 hit, drop", &kernel, &four);
    });
}
