//! Packets per second over flows that are known in both directions, each drawn at random.

use crate::arguments::{Flows, Time};
use crate::shared::Shared;
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
    let mut draw = Draw::new(block.count, sender.lanes());
    flood(&mut sender, &block, &mut draw, time.warm_up)?;
    shared.settle(0);
    let (start, before) = (Instant::now(), shared.get(0));
    let sent = flood(&mut sender, &block, &mut draw, time.measured)?;
    let seconds = start.elapsed().as_secs_f64();
    let received = shared.settle(0) - before;
    Ok(json!({
        "packets_per_second": received as f64 / seconds,
        "sent_per_second": sent as f64 / seconds,
        "lost": sent.saturating_sub(received),
        "flows": established,
        "establishing_seconds": establishing.as_secs_f64(),
    }))
}

fn flood(sender: &mut Sender, block: &crate::udp::flow::Block, draw: &mut Draw, during: Duration) -> Result<u64> {
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < during {
        sent += sender.send(block, &draw.next(), false)? as u64;
    }
    Ok(sent)
}

/// Places of flows at random (xorshift64; Marsaglia, 2003), a batch from one lane after the other.
pub struct Draw {
    flows: u32,
    lanes: u32,
    lane: u32,
    state: u64,
}

impl Draw {
    pub fn new(flows: u32, lanes: u32) -> Self {
        Self { flows, lanes: lanes.min(flows).max(1), lane: 0, state: 0x9e37_79b9_7f4a_7c15 }
    }

    pub fn next(&mut self) -> [u32; BATCH] {
        self.lane = (self.lane + 1) % self.lanes;
        // Places of this lane: lane, lane + lanes, ...
        let places = (self.flows - self.lane).div_ceil(self.lanes);
        std::array::from_fn(|_| {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            self.lane + (self.state >> 32) as u32 % places * self.lanes
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn draws_reach_every_flow_and_keep_to_one_lane_at_a_time() {
        let mut draw = Draw::new(1001, 4);
        let mut seen = HashSet::new();
        for _ in 0..2000 {
            let places = draw.next();
            assert!(places.iter().all(|place| place % 4 == places[0] % 4 && *place < 1001));
            seen.extend(places);
        }
        assert_eq!(seen.len(), 1001);
        assert_eq!(Draw::new(1, 4).next(), [0; BATCH]);
    }
}
