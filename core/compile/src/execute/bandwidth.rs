//! Policing by what the instances' types allow: `lib/bandwidth.h`.
//!
//! Two buckets in a row, of which packets meet the second one only: the baseline fills the credit, the credit fills the
//! tokens at peak rate. The slow path takes from the same buckets by the same functions.

use super::{FlowTable, Outcome};
use crate::flow_entry::out_port;
use gp_abi::{BUCKET_IN, Bucket, FlowValue};
use gp_trace::DropReason;

const NS_PER_US: u64 = 1_000;
const US_PER_SECOND: u64 = 1_000_000;

/// What a refill changes of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refill {
    pub refilled_ns: u64,
    pub credit: u64,
    /// Tokens to add.
    pub grant: u64,
}

/// What the time since the last refill has earned; `None` where it is too early, or the bucket is never filled again.
pub fn refill(bucket: &Bucket, now_ns: u64) -> Option<Refill> {
    let elapsed_ns = now_ns.wrapping_sub(bucket.refilled_ns);
    if elapsed_ns.cast_signed() < NS_PER_US.cast_signed() || bucket.peak_rate == 0 {
        return None;
    }
    let us = elapsed_ns / NS_PER_US;
    let missing = bucket.burst.cast_signed().saturating_sub(bucket.tokens.cast_signed());
    let room = u64::try_from(missing).unwrap_or(0);
    let credit = bucket.credit.wrapping_add(earned(us, bucket.baseline_rate));
    let grant = room.min(earned(us, bucket.peak_rate)).min(credit);
    Some(Refill {
        refilled_ns: bucket.refilled_ns + us * NS_PER_US,
        credit: (credit - grant).min(bucket.credit_max),
        grant,
    })
}

/// May a packet pass by a bucket with these tokens? However large it is: what is missing becomes a debt.
pub fn is_open(tokens: u64) -> bool {
    tokens.cast_signed() > 0
}

/// Bytes that a rate per second gives. Wrapping as in C; with rates of some terabits nothing wraps within years.
fn earned(us: u64, rate: u64) -> u64 {
    let whole = (us / US_PER_SECOND).wrapping_mul(rate);
    whole.wrapping_add((us % US_PER_SECOND).wrapping_mul(rate) / US_PER_SECOND)
}

/// Adds what the time since the last refill has earned.
pub fn refill_in_place(bucket: &mut Bucket, now_ns: u64) {
    if let Some(Refill { refilled_ns, credit, grant }) = refill(bucket, now_ns) {
        (bucket.refilled_ns, bucket.credit) = (refilled_ns, credit);
        bucket.tokens = bucket.tokens.wrapping_add(grant);
    }
}

/// Takes a packet's bytes; false where the bucket has nothing left.
pub fn take(bucket: &mut Bucket, bytes: u64, now_ns: u64) -> bool {
    refill_in_place(bucket, now_ns);
    let is_open = is_open(bucket.tokens);
    if is_open {
        bucket.tokens = bucket.tokens.wrapping_sub(bytes);
    }
    is_open
}

/// Which way does the bucket at this index count?
pub fn drop_reason_of(index: u32) -> DropReason {
    if index & BUCKET_IN == 0 { DropReason::BandwidthOutAllowance } else { DropReason::BandwidthInAllowance }
}

/// Takes a frame from its flow's buckets; the drop where one has nothing left, counted for the ENI whose instance has it.
pub(super) fn police(
    table: &mut impl FlowTable,
    flow: &FlowValue,
    sender: u32,
    (packets, ip_bytes): (u64, u64),
    now_ns: u64,
) -> Option<Outcome> {
    let indices = flow.buckets.into_iter().filter(|index| *index != 0);
    let empty = indices.into_iter().find(|index| !table.bucket(*index).is_none_or(|b| take(b, ip_bytes, now_ns)))?;
    let reason = drop_reason_of(empty);
    let is_in = reason == DropReason::BandwidthInAllowance;
    if let Some(eni) = table.eni(if is_in { out_port(flow) } else { sender }) {
        let count = if is_in { &mut eni.bandwidth_in_drops } else { &mut eni.bandwidth_out_drops };
        *count = count.wrapping_add(packets);
    }
    Some(reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytemuck::Zeroable;

    const SECOND: u64 = 1_000_000_000;

    /// A megabyte a second, ten for a while.
    fn bursting() -> Bucket {
        Bucket {
            tokens: 100_000,
            credit: 20_000_000,
            peak_rate: 10_000_000,
            burst: 100_000,
            baseline_rate: 1_000_000,
            credit_max: 20_000_000,
            ..Zeroable::zeroed()
        }
    }

    /// Bytes that pass when a packet is offered every `step_ns` from `from_ns` until `until_ns`.
    fn passed(bucket: &mut Bucket, packet: u64, step_ns: u64, from_ns: u64, until_ns: u64) -> u64 {
        (from_ns..until_ns).step_by(step_ns as usize).filter(|now| take(bucket, packet, *now)).count() as u64 * packet
    }

    fn assert_about(bytes: u64, expected: u64) {
        assert!(bytes.abs_diff(expected) <= expected / 50, "{bytes} bytes, and not about {expected}");
    }

    #[test]
    fn the_peak_passes_while_there_is_credit_and_then_the_baseline() {
        let mut bucket = bursting();
        // The credit empties at nine megabytes a second: 20 million bytes last 2.2 seconds.
        assert_about(passed(&mut bucket, 1_000, 50_000, 0, 2 * SECOND), 20_000_000);
        passed(&mut bucket, 1_000, 50_000, 2 * SECOND, 3 * SECOND);
        assert_about(passed(&mut bucket, 1_000, 50_000, 3 * SECOND, 13 * SECOND), 10_000_000);
    }

    #[test]
    fn what_is_not_used_of_the_baseline_becomes_credit_again_up_to_its_most() {
        let mut bucket = Bucket { credit: 0, ..bursting() };
        assert_about(passed(&mut bucket, 1_000, 2_000_000, 0, 10 * SECOND), 5_000_000);
        assert_about(bucket.credit, 5_000_000);
        take(&mut bucket, 0, 1_000 * SECOND);
        assert_eq!((bucket.tokens, bucket.credit), (bucket.burst, bucket.credit_max));
    }

    #[test]
    fn without_credits_the_rate_is_the_peak_and_nothing_is_saved() {
        let rate = 1_000_000;
        let mut bucket = Bucket { peak_rate: rate, baseline_rate: rate, credit: 0, credit_max: 0, ..bursting() };
        assert_about(passed(&mut bucket, 1_000, 100_000, 0, 10 * SECOND), 10_000_000 + 100_000);
        take(&mut bucket, 0, 20 * SECOND);
        assert_eq!((bucket.tokens, bucket.credit), (100_000, 0));
    }

    #[test]
    fn a_packet_larger_than_the_bucket_passes_and_its_debt_is_paid_back() {
        let mut bucket = Bucket { tokens: 1, burst: 10, ..bursting() };
        assert!(take(&mut bucket, 60_000, 0));
        assert!(!take(&mut bucket, 1, 5_000_000), "five milliseconds at peak are 50,000 bytes");
        assert!(take(&mut bucket, 1, 6_001_000));
    }

    #[test]
    fn a_clock_that_went_backwards_earns_nothing() {
        let mut bucket = Bucket { tokens: 0, refilled_ns: 10_000, ..bursting() };
        assert!(!take(&mut bucket, 1, 0));
        assert_eq!(bucket, Bucket { tokens: 0, refilled_ns: 10_000, ..bursting() });
    }

    /// Whatever comes when: neither promise of the bucket is ever broken.
    #[test]
    fn no_more_passes_than_peak_and_credit_allow() {
        for seed in 0..200 {
            let mut rng = gp_worlds::Rng::new(seed);
            let baseline_rate = rng.between(1, 50_000_000) as u64;
            let peak_rate = baseline_rate + rng.between(0, 100_000_000) as u64;
            let (burst, credit_max) = (rng.between(1, 2_000_000) as u64, rng.between(0, 50_000_000) as u64);
            let start = Bucket {
                tokens: burst,
                credit: credit_max,
                peak_rate,
                burst,
                baseline_rate,
                credit_max,
                ..Zeroable::zeroed()
            };
            let (mut bucket, mut now, mut bytes) = (start, 0, 0);
            for _ in 0..2_000 {
                let longest = *rng.pick(&[10, 10_000, 10_000_000]);
                now += rng.between(0, longest) as u64;
                let packet = rng.between(20, 65_000) as u64;
                bytes += if take(&mut bucket, packet, now) { packet } else { 0 };
                let of = |rate: u64| (u128::from(rate) * u128::from(now) / u128::from(SECOND)) as u64;
                // The last packet may leave a debt.
                assert!(bytes <= burst + of(peak_rate) + 65_000, "seed {seed}");
                assert!(bytes <= burst + credit_max + of(baseline_rate) + 65_000, "seed {seed}");
            }
        }
    }
}
