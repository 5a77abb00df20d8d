//! New flows at a rate beyond what the path can take, and what flows lose meanwhile that were there before.
//!
//! A path that does its work where the frame is sent, as part of the sender's own turn, holds one sender back before it asks
//! for too much. Several senders, on every CPU, are not held back so: they take the CPUs from whatever else the path needs.

use crate::arguments::{Overload, Time};
use crate::shared::Shared;
use crate::udp::established::Draw;
use crate::udp::flow::Block;
use crate::udp::messages::BATCH;
use crate::udp::new::begin_all;
use crate::udp::pace::{Pace, rest};
use crate::udp::sender::{Sender, establish};
use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

const ESTABLISHED: usize = 0;
const NEW: usize = 1;

/// # Errors
/// Frames can't be sent.
pub fn ask(overload: &Overload, time: Time, shared: &Shared) -> Result<Value> {
    let lanes = &overload.new.lanes.lanes;
    let [old, new] = overload.blocks();
    let mut sender = Sender::new(lanes)?;
    establish(&mut sender, lanes, &old, Duration::from_secs(10))?;
    let before = shared.settle(ESTABLISHED, sender.sent());
    let parts = new.split(overload.senders).into_iter().map(|part| Ok((Sender::new(lanes)?, part)));
    let mut parts = parts.collect::<Result<Vec<_>>>()?;
    let rate = overload.new.rate.map(|rate| rate / parts.len().max(1) as u32);
    let start = Instant::now();
    let until = start + time.measured;
    let (old_sent, new_sent) = thread::scope(|scope| {
        let begin = |(sender, part): &mut (Sender, Block)| begin_all(sender, part, rate, Some(until));
        let floods: Vec<_> = parts.iter_mut().map(|part| scope.spawn(move || begin(part))).collect();
        let old_sent = keep_up(&mut sender, &old, overload.established_rate, until)?;
        let ended = floods.into_iter().map(|flood| flood.join().map_err(|_| anyhow!("a sender has panicked"))?);
        Ok::<_, anyhow::Error>((old_sent, ended.sum::<Result<u64>>()?))
    })?;
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

/// Sends packets of a block's flows at a rate until the time has come. Says how many the kernel took.
fn keep_up(sender: &mut Sender, block: &Block, rate: u32, until: Instant) -> Result<u64> {
    let mut draw = Draw::new(block, sender.lanes());
    let mut pace = Pace::new(rate, Instant::now());
    let before = sender.sent();
    loop {
        let now = Instant::now();
        if now >= until {
            return Ok(sender.sent() - before);
        }
        let due = pace.take(now, BATCH);
        if due == 0 {
            rest();
            continue;
        }
        let (lane, places) = draw.next();
        sender.send(block, lane, &places[..due], false)?;
    }
}
