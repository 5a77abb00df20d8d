//! Packets per second over flows that are known in both directions, each drawn at random.

use crate::arguments::{Flows, Time};
use crate::shared::Shared;
use crate::udp::flow::{Block, Section};
use crate::udp::messages::BATCH;
use crate::udp::sender::{Sender, establish};
use anyhow::Result;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// # Errors
/// Flows can't be established or sent.
pub fn ask(flows: &Flows, time: Time, shared: &Shared) -> Result<Value> {
    let lanes = &flows.lanes.lanes;
    let mut sender = Sender::new(lanes)?;
    let block = flows.block();
    let began = Instant::now();
    let established = establish(&mut sender, lanes, &block, Duration::from_secs_f64(flows.patience_seconds))?;
    let establishing = began.elapsed();
    let mut draw = Draw::new(&block, sender.lanes());
    flood(&mut sender, &block, &mut draw, time.warm_up)?;
    let before = shared.settle(0, sender.sent());
    let start = Instant::now();
    let sent = flood(&mut sender, &block, &mut draw, time.measured)?;
    let seconds = start.elapsed().as_secs_f64();
    let received = shared.settle(0, before + sent) - before;
    Ok(json!({
        "packets_per_second": received as f64 / seconds,
        "sent_per_second": sent as f64 / seconds,
        "lost": sent.saturating_sub(received),
        "flows": established,
        "establishing_seconds": establishing.as_secs_f64(),
    }))
}

/// Sends packets of a block's flows as fast as it can. Says how many.
///
/// # Errors
/// As [`Sender::send`].
pub fn flood(sender: &mut Sender, block: &Block, draw: &mut Draw, during: Duration) -> Result<u64> {
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < during {
        let (lane, places) = draw.next();
        sent += sender.send(block, lane, &places, false)? as u64;
    }
    Ok(sent)
}

/// Places of flows at random (xorshift64; Marsaglia, 2003), a batch from one section after the other.
pub struct Draw {
    sections: Vec<Section>,
    turn: usize,
    state: u64,
}

impl Draw {
    pub fn new(block: &Block, lanes: usize) -> Self {
        Self { sections: block.sections(lanes), turn: 0, state: 0x9e37_79b9_7f4a_7c15 }
    }

    /// A lane, and places of it.
    pub fn next(&mut self) -> (usize, [u32; BATCH]) {
        self.turn = (self.turn + 1) % self.sections.len();
        let Section { lane, places, .. } = &self.sections[self.turn];
        let count = places.len() as u64;
        let drawn = std::array::from_fn(|_| {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            places.start + ((self.state >> 32) % count) as u32
        });
        (*lane, drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn draws_reach_every_flow_and_keep_to_one_section_at_a_time() {
        let block = Block { port: 1, first: 4_000, count: 2_000 };
        let mut draw = Draw::new(&block, 4);
        let mut seen = HashSet::new();
        for _ in 0..2000 {
            let (lane, places) = draw.next();
            let (this, other) = if lane == 0 { (0..1000, 1000..2000) } else { (1000..2000, 0..1000) };
            assert!(places.iter().all(|place| this.contains(place) && !other.contains(place)));
            seen.extend(places);
        }
        assert_eq!(seen.len(), 2000);
        assert_eq!(Draw::new(&Block { port: 1, first: 0, count: 1 }, 4).next(), (0, [0; BATCH]));
    }
}
