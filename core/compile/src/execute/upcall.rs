//! The budget of upcalls: `lib/upcall.h`.

use super::{Arrival, FlowTable, Gso, Outcome};
use crate::upcall::Cause;
use gp_abi::EniState;
use gp_trace::DropReason;

const NS_PER_SECOND: u64 = 1_000_000_000;

pub(super) fn admit(table: &mut impl FlowTable, frame_bytes: usize, cause: Cause, arrival: &Arrival) -> Outcome {
    let Some(eni) = table.eni(arrival.port) else { return DropReason::UnknownEni.into() };
    if !take_tokens(eni, cost(frame_bytes as u64, arrival.gso), arrival.now_ns) {
        eni.upcall_drops = eni.upcall_drops.wrapping_add(1);
        return DropReason::UpcallBudget.into();
    }
    eni.upcalls = eni.upcalls.wrapping_add(1);
    Outcome::Upcall(cause)
}

/// A frame left whole for segmentation reaches user space in its segments.
fn cost(frame_bytes: u64, gso: Option<Gso>) -> u64 {
    match gso {
        None => 1,
        Some(Gso { segments, .. }) if segments > 0 => segments.into(),
        Some(Gso { size, .. }) => frame_bytes.div_ceil(u64::from(size).max(1)),
    }
}

/// A frame that costs more than the burst never passes: a guest may ask for segments of one byte.
fn take_tokens(eni: &mut EniState, cost: u64, now_ns: u64) -> bool {
    refill(eni, now_ns);
    if eni.tokens < cost {
        return false;
    }
    eni.tokens -= cost;
    true
}

/// Adds what the time since the last refill has earned. Whole tokens only: the time of a fraction is kept.
fn refill(eni: &mut EniState, now_ns: u64) {
    let Some(elapsed) = now_ns.checked_sub(eni.refilled_ns) else { return };
    if eni.upcall_rate == 0 {
        return;
    }
    // Wrapping as in C; with rates of 32 bits nothing wraps within a century.
    let whole = (elapsed / NS_PER_SECOND).wrapping_mul(eni.upcall_rate);
    let earned = whole.wrapping_add((elapsed % NS_PER_SECOND).wrapping_mul(eni.upcall_rate) / NS_PER_SECOND);
    if earned == 0 {
        return;
    }
    if earned >= eni.upcall_burst || eni.tokens.wrapping_add(earned) >= eni.upcall_burst {
        eni.tokens = eni.upcall_burst;
        eni.refilled_ns = now_ns;
        return;
    }
    eni.tokens += earned;
    eni.refilled_ns = eni.refilled_ns.wrapping_add(earned.wrapping_mul(NS_PER_SECOND) / eni.upcall_rate);
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;

    fn eni(rate: u64, burst: u64) -> EniState {
        EniState { tokens: burst, upcall_rate: rate, upcall_burst: burst, ..Zeroable::zeroed() }
    }

    /// Upcalls granted when one is asked for every `step` until `until`.
    fn granted(eni: &mut EniState, step: u64, until: u64) -> u64 {
        (0..until).step_by(step as usize).filter(|now| take_tokens(eni, 1, *now)).count() as u64
    }

    #[test]
    fn in_the_long_run_the_rate_is_granted_and_not_one_more() {
        let mut eni = eni(3_000, 10);
        assert_eq!(granted(&mut eni, 7_777, 2 * NS_PER_SECOND), 10 + 6_000 - 1);
    }

    #[test]
    fn a_rest_earns_no_more_than_the_burst() {
        let mut eni = eni(1_000, 5);
        eni.tokens = 0;
        refill(&mut eni, u64::MAX / 2);
        assert_eq!(eni.tokens, 5);
    }

    #[test]
    fn a_clock_that_went_backwards_earns_nothing() {
        let mut eni = eni(1_000, 5);
        (eni.tokens, eni.refilled_ns) = (0, 100);
        refill(&mut eni, 99);
        assert_eq!((eni.tokens, eni.refilled_ns), (0, 100));
    }

    #[test]
    fn a_frame_of_more_segments_than_the_burst_never_passes() {
        let mut eni = eni(1_000, 8);
        assert!(!take_tokens(&mut eni, 9, NS_PER_SECOND));
        assert!(take_tokens(&mut eni, 8, NS_PER_SECOND));
    }

    #[test]
    fn without_a_burst_there_are_no_upcalls() {
        assert!(!take_tokens(&mut eni(1_000, 0), 1, NS_PER_SECOND));
    }
}
