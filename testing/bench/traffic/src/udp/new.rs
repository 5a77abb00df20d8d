//! New flows: every packet has a 5-tuple that nobody has seen. Before them come packets of a few known ones, so that what
//! both ends take at first, memory above all, is no cost of the path.

use crate::arguments::{New, Time};
use crate::shared::Shared;
use crate::udp::established::{Draw, flood};
use crate::udp::flow::{Block, Section};
use crate::udp::messages::BATCH;
use crate::udp::pace::{Pace, rest};
use crate::udp::sender::{Sender, establish};
use anyhow::Result;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const WARM: usize = 0;
const NEW: usize = 1;

/// # Errors
/// Frames can't be sent.
pub fn ask(new: &New, time: Time, shared: &Shared) -> Result<Value> {
    let lanes = &new.lanes.lanes;
    let mut sender = Sender::new(lanes)?;
    let [warm, block] = new.blocks();
    establish(&mut sender, lanes, &warm, Duration::from_secs(10))?;
    let mut draw = Draw::new(&warm, sender.lanes());
    flood(&mut sender, &warm, &mut draw, time.warm_up)?;
    shared.settle(WARM, sender.sent());
    let start = Instant::now();
    let sent = begin_all(&mut sender, &block, new.rate, None)?;
    let seconds = start.elapsed().as_secs_f64();
    let received = shared.settle(NEW, sent);
    Ok(json!({
        "flows_per_second": received as f64 / seconds,
        "offered_per_second": sent as f64 / seconds,
        "lost": sent.saturating_sub(received),
    }))
}

/// Sends the first packet of each flow of a block, at a rate or as fast as it can, until all are sent or the time has come.
/// Says how many the kernel took.
///
/// # Errors
/// As [`Sender::send`].
pub fn begin_all(sender: &mut Sender, block: &Block, rate: Option<u32>, until: Option<Instant>) -> Result<u64> {
    let mut fresh = Fresh::new(block, sender.lanes());
    let mut pace = rate.map(|rate| Pace::new(rate, Instant::now()));
    let before = sender.sent();
    loop {
        let now = Instant::now();
        if until.is_some_and(|until| now >= until) {
            break;
        }
        let most = pace.as_mut().map_or(BATCH, |pace| pace.take(now, BATCH));
        if most == 0 {
            rest();
            continue;
        }
        let (lane, places) = fresh.take(most);
        if places.is_empty() {
            break;
        }
        sender.send(block, lane, &places, false)?;
    }
    Ok(sender.sent() - before)
}

/// The places of a block, each once, a batch from one section after the other.
struct Fresh {
    sections: Vec<Section>,
    turn: usize,
}

impl Fresh {
    fn new(block: &Block, lanes: usize) -> Self {
        Self { sections: block.sections(lanes), turn: 0 }
    }

    /// A lane, and up to `most` places of it; none at the end.
    fn take(&mut self, most: usize) -> (usize, Vec<u32>) {
        for _ in 0..self.sections.len() {
            self.turn = (self.turn + 1) % self.sections.len();
            let Section { lane, places, .. } = &mut self.sections[self.turn];
            let taken: Vec<u32> = places.by_ref().take(most).collect();
            if !taken.is_empty() {
                return (*lane, taken);
            }
        }
        (0, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flow_is_new_once() {
        let block = Block { port: 1, first: 4_500, count: 1001 };
        let mut fresh = Fresh::new(&block, 4);
        let next = || Some(fresh.take(BATCH).1).filter(|places| !places.is_empty());
        let mut all: Vec<u32> = std::iter::from_fn(next).flatten().collect();
        all.sort_unstable();
        assert_eq!(all, (0..1001).collect::<Vec<u32>>());
    }
}
