//! The fast path once more, in Rust: what `from_eni.bpf.c` does to a frame, its flow and its ENI.
//!
//! gp-agreement compares it with the kernel's.
//! Keep in step with dataplane/bpf/lib; the files here carry the names of the headers there.

mod bandwidth;
mod flow;
mod open;
mod parse;
mod rewrite;
mod upcall;

use crate::flow_entry::out_port;
use crate::upcall::Cause;
pub use bandwidth::{Refill, drop_reason_of, is_open, refill, refill_in_place, take};
use flow::{Seen, reopens};
use gp_abi::{ACTION_DELIVER, Bucket, EniState, FlowKey, FlowValue};
use gp_trace::DropReason;
pub use open::PairMaps;
pub use rewrite::rewrite;

/// How a frame came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Number of the port: interface and tag.
    pub port: u32,
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
    /// To the port with this number.
    Deliver {
        port: u32,
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
    /// Puts in an entry that is not there yet; false where one is, or where there is no room.
    fn insert_flow(&mut self, key: &FlowKey, value: &FlowValue) -> bool;
    fn remove_flow(&mut self, key: &FlowKey);
    fn pairs(&mut self) -> &mut PairMaps;
    fn eni(&mut self, port: u32) -> Option<&mut EniState>;
    /// By its index, which is not 0.
    fn bucket(&mut self, index: u32) -> Option<&mut Bucket>;
    /// One more packet was dropped for the reason with this code.
    fn count_drop(&mut self, code: u16);
}

/// Treats the frame as the kernel program would: rewrites it where it is delivered, and counts.
pub fn execute(table: &mut impl FlowTable, frame: &mut [u8], arrival: &Arrival) -> Outcome {
    let outcome = match parse::parse(frame, arrival.port) {
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

fn replay<T: FlowTable>(table: &mut T, frame: &mut [u8], parsed: &parse::Parsed, arrival: &Arrival) -> Outcome {
    let mut found = table.flow(&parsed.key).copied();
    match found {
        Some(flow) if reopens(&flow, parsed.tcp_flags) => return Outcome::Upcall(Cause::Reopen),
        None if open::open(table, parsed, frame.len(), arrival) => found = table.flow(&parsed.key).copied(),
        _ => {}
    }
    let Some(flow) = found else { return Outcome::Upcall(Cause::Miss) };
    let seen = Seen::of(frame.len(), parsed, arrival.gso);
    let count = |table: &mut T| {
        if let Some(flow) = table.flow(&parsed.key) {
            seen.count(flow, arrival.now_ns);
        }
    };
    if seen.is_too_large(&flow) {
        return Outcome::Upcall(Cause::TooLarge);
    }
    if flow.action != ACTION_DELIVER {
        count(table);
        return Outcome::Drop { code: flow.drop_reason };
    }
    let wire = (seen.packets, seen.ip_bytes);
    if let Some(drop) = bandwidth::police(table, &flow, arrival.port, wire, arrival.now_ns) {
        return drop;
    }
    count(table);
    rewrite::translate(frame, &flow, parsed);
    rewrite(frame, &flow);
    Outcome::Deliver { port: out_port(&flow) }
}

#[cfg(test)]
mod tests;
