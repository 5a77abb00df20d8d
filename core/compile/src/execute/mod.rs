//! The fast path once more, in Rust: what `from_eni.bpf.c` does to a frame, its flow and its ENI.
//!
//! The slow path sends first packets by it, and gp-agreement compares it with the kernel's.
//! Keep in step with dataplane/bpf/lib; the files here carry the names of the headers there.

mod flow;
mod parse;
mod upcall;

use crate::upcall::Cause;
use flow::{Seen, reopens};
use gp_abi::{ACTION_DELIVER, EniState, FlowKey, FlowValue};
use gp_trace::DropReason;

const ETHERNET_ADDRESSES: usize = 12;

/// How a frame came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Interface index of the ENI's host side.
    pub ifindex: u32,
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub now_ns: u64,
    /// Of a frame that its sender left whole for segmentation.
    pub gso: Option<Gso>,
}

/// How a frame is to be segmented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gso {
    /// Payload bytes of each segment; not 0.
    pub size: u32,
    /// Number of segments; 0 where the sender didn't count.
    pub segments: u32,
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Deliver {
        out_ifindex: u32,
    },
    /// By a drop reason's code.
    Drop {
        code: u16,
    },
    Upcall(Cause),
}

impl From<DropReason> for Outcome {
    fn from(reason: DropReason) -> Self {
        Outcome::Drop { code: reason.code() }
    }
}

/// The maps that the fast path uses.
pub trait FlowTable {
    fn flow(&mut self, key: &FlowKey) -> Option<&mut FlowValue>;
    fn eni(&mut self, ifindex: u32) -> Option<&mut EniState>;
    /// One more packet was dropped for the reason with this code.
    fn count_drop(&mut self, code: u16);
}

/// Treats the frame as the kernel program would: rewrites it where it is delivered, and counts.
pub fn execute(table: &mut impl FlowTable, frame: &mut [u8], arrival: &Arrival) -> Outcome {
    let outcome = match parse::parse(frame, arrival.ifindex) {
        Some(parsed) => replay(table, frame, &parsed, arrival),
        None => Outcome::Upcall(Cause::Slow),
    };
    let outcome = match outcome {
        Outcome::Upcall(cause) => upcall::admit(table, frame.len(), cause, arrival),
        other => other,
    };
    if let Outcome::Drop { code } = outcome {
        table.count_drop(code);
    }
    outcome
}

fn replay(table: &mut impl FlowTable, frame: &mut [u8], parsed: &parse::Parsed, arrival: &Arrival) -> Outcome {
    let Some(flow) = table.flow(&parsed.key) else { return Outcome::Upcall(Cause::Miss) };
    if reopens(flow, parsed.tcp_flags) {
        return Outcome::Upcall(Cause::Reopen);
    }
    let seen = Seen::of(frame.len(), parsed, arrival.gso);
    if flow.action != ACTION_DELIVER {
        seen.count(flow, arrival.now_ns);
        return Outcome::Drop { code: flow.drop_reason };
    }
    if seen.largest_frame_bytes > u64::from(flow.mtu) {
        return DropReason::TooLarge.into();
    }
    seen.count(flow, arrival.now_ns);
    rewrite(frame, flow);
    Outcome::Deliver { out_ifindex: flow.out_ifindex }
}

/// Writes the Ethernet addresses that the receiver must see. Leaves bytes that are too few for them alone.
pub fn rewrite(frame: &mut [u8], flow: &FlowValue) {
    if let Some(addresses) = frame.first_chunk_mut::<ETHERNET_ADDRESSES>() {
        addresses[..6].copy_from_slice(&flow.dst_mac);
        addresses[6..].copy_from_slice(&flow.src_mac);
    }
}

#[cfg(test)]
mod tests;
