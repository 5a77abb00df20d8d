//! How busy the whole machine is: /proc/stat (proc(5)).

use anyhow::{Context, Result};
use std::fs;

/// CPU time that was not idle since boot, in seconds: of all CPUs, whoever used it.
///
/// # Errors
/// /proc is not there.
pub fn busy_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let ticks = busy_ticks(&stat).context("/proc/stat has no line of all CPUs")?;
    // SAFETY: takes a plain integer.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    Ok(ticks as f64 / per_second.max(1) as f64)
}

/// user + nice + system + irq + softirq + steal; guests are part of user.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().find(|line| line.starts_with("cpu "))?;
    let fields: Vec<u64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    [0, 1, 2, 5, 6, 7].iter().map(|field| fields.get(*field).copied()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_waiting_for_disks_is_not_busy() {
        assert_eq!(busy_ticks("cpu  1 20 300 9999 8888 4000 50000 600000 7 7\ncpu0 1\n"), Some(654_321));
        assert_eq!(busy_ticks("nothing"), None);
    }
}
