//! So many packets a second.

use std::time::{Duration, Instant};

/// Says how many are due. Looked at often, since what was missed is caught up with at once.
#[derive(Debug)]
pub struct Pace {
    started: Instant,
    per_second: u32,
    given: u64,
}

impl Pace {
    pub fn new(per_second: u32, started: Instant) -> Self {
        Self { started, per_second, given: 0 }
    }

    /// How many may go now, at most `most`.
    pub fn take(&mut self, now: Instant, most: usize) -> usize {
        let elapsed = now.saturating_duration_since(self.started);
        let due = (elapsed.as_secs_f64() * f64::from(self.per_second)) as u64;
        let count = (due - self.given.min(due)).min(most as u64);
        self.given += count;
        count as usize
    }
}

/// Gives the CPU away for a moment where nothing is due.
pub fn rest() {
    std::thread::sleep(Duration::from_micros(50));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_gives_what_time_has_earned_and_no_more() {
        let start = Instant::now();
        let mut pace = Pace::new(1000, start);
        assert_eq!(pace.take(start, 64), 0);
        assert_eq!(pace.take(start + Duration::from_millis(50), 64), 50);
        assert_eq!(pace.take(start + Duration::from_millis(50), 64), 0);
        let late = start + Duration::from_secs(1);
        let given: usize = (0..20).map(|_| pace.take(late, 64)).sum();
        assert_eq!(given, 950);
    }
}
