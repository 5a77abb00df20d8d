//! Distributions of times.

use serde::Serialize;

/// Of some times, in microseconds.
#[derive(Debug, Serialize, PartialEq)]
pub struct Spread {
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
}

impl Spread {
    /// Of times in nanoseconds; `None` of none.
    pub fn of(mut times_ns: Vec<u64>) -> Option<Self> {
        times_ns.sort_unstable();
        let last = times_ns.len().checked_sub(1)?;
        // The smallest time that so many percent don't exceed.
        let at = |percent: usize| {
            times_ns[(times_ns.len() * percent).div_ceil(100).saturating_sub(1).min(last)] as f64 / 1e3
        };
        Some(Self { p50_us: at(50), p90_us: at(90), p99_us: at(99), max_us: at(100) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let spread = Spread::of((1..=100).rev().map(|n| n * 1000).collect()).unwrap();
        assert_eq!(spread, Spread { p50_us: 50.0, p90_us: 90.0, p99_us: 99.0, max_us: 100.0 });
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(Spread::of(vec![7000]).unwrap().p99_us, 7.0);
    }
}
