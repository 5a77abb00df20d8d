//! New flows at a rate beyond what the path can take, and what flows lose meanwhile that were there before.

use crate::arguments::{Overload, Time};
use crate::shared::Shared;
use crate::udp::established::Draw;
use crate::udp::messages::BATCH;
use crate::udp::new::Fresh;
use crate::udp::pace::{Pace, rest};
use crate::udp::sender::{Sender, establish};
use anyhow::Result;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const ESTABLISHED: usize = 0;
const NEW: usize = 1;

/// # Errors
/// Frames can't be sent.
pub fn ask(overload: &Overload, time: Time, shared: &Shared) -> Result<Value> {
    let lanes = &overload.new.lanes.lanes;
    let mut sender = Sender::new(lanes)?;
    let [old, new] = overload.blocks();
    establish(&mut sender, lanes, &old, Duration::from_secs(10))?;
    // Echoes that were asked for twice may still be under way.
    let before = shared.settle(ESTABLISHED, u64::MAX);
    let (mut draw, mut fresh) = (Draw::new(&old, sender.lanes()), Fresh::new(&new, sender.lanes()));
    let start = Instant::now();
    let mut old_pace = Pace::new(overload.established_rate, start);
    let mut new_pace = Pace::new(overload.new.rate.unwrap_or(u32::MAX), start);
    let (mut old_sent, mut new_sent) = (0, 0);
    while start.elapsed() < time.measured {
        let now = Instant::now();
        let (old_due, new_due) = (old_pace.take(now, BATCH), new_pace.take(now, BATCH));
        if old_due + new_due == 0 {
            rest();
            continue;
        }
        let ((lane, places), (fresh_lane, fresh_places)) = (draw.next(), fresh.take(new_due));
        old_sent += sender.send(&old, lane, &places[..old_due], false)? as u64;
        new_sent += sender.send(&new, fresh_lane, &fresh_places, false)? as u64;
    }
    let seconds = start.elapsed().as_secs_f64();
    let old_received = shared.settle(ESTABLISHED, before + old_sent) - before;
    let new_received = shared.settle(NEW, new_sent);
    Ok(json!({
        "established_sent": old_sent,
        "established_lost": old_sent.saturating_sub(old_received),
        "new_per_second": new_received as f64 / seconds,
        "new_offered_per_second": new_sent as f64 / seconds,
        "new_lost": new_sent.saturating_sub(new_received),
    }))
}
