//! New flows: every packet has a 5-tuple that nobody has seen.

use crate::arguments::New;
use crate::shared::Shared;
use crate::udp::flow::Block;
use crate::udp::messages::BATCH;
use crate::udp::pace::{Pace, rest};
use crate::udp::sender::Sender;
use anyhow::Result;
use serde_json::{Value, json};
use std::time::Instant;

/// # Errors
/// Frames can't be sent.
pub fn ask(new: &New, shared: &Shared) -> Result<Value> {
    let mut sender = Sender::new(&new.lanes.lanes)?;
    let block = new.block();
    let mut fresh = Fresh::new(&block, sender.lanes());
    let start = Instant::now();
    let mut pace = new.rate.map(|rate| Pace::new(rate, start));
    let mut sent = 0;
    loop {
        let most = pace.as_mut().map_or(BATCH, |pace| pace.take(Instant::now(), BATCH));
        if most == 0 {
            rest();
            continue;
        }
        let places = fresh.take(most);
        if places.is_empty() {
            break;
        }
        sent += sender.send(&block, &places, false)? as u64;
    }
    let seconds = start.elapsed().as_secs_f64();
    let received = shared.settle(0);
    Ok(json!({
        "flows_per_second": received as f64 / seconds,
        "offered_per_second": sent as f64 / seconds,
        "lost": sent.saturating_sub(received),
    }))
}

/// The places of a block, each once, a batch from one lane after the other.
pub struct Fresh {
    /// Of each lane: the next place.
    next: Vec<u32>,
    count: u32,
    lane: usize,
}

impl Fresh {
    pub fn new(block: &Block, lanes: u32) -> Self {
        Self { next: (0..lanes).collect(), count: block.count, lane: 0 }
    }

    /// Up to `most` places of one lane; none at the end.
    pub fn take(&mut self, most: usize) -> Vec<u32> {
        let lanes = self.next.len();
        for _ in 0..lanes {
            self.lane = (self.lane + 1) % lanes;
            let next = &mut self.next[self.lane];
            let places: Vec<u32> = (*next..self.count).step_by(lanes).take(most).collect();
            if let Some(last) = places.last() {
                *next = last + lanes as u32;
                return places;
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flow_is_new_once() {
        let block = Block { port: 1, first: 0, count: 1001 };
        let mut fresh = Fresh::new(&block, 4);
        let mut all: Vec<u32> = std::iter::from_fn(|| Some(fresh.take(BATCH)).filter(|places| !places.is_empty()))
            .inspect(|places| assert!(places.iter().all(|place| place % 4 == places[0] % 4)))
            .flatten()
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..1001).collect::<Vec<u32>>());
    }
}
