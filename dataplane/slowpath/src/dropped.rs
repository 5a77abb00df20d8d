//! Which packets are being dropped now, and what would have to change: the cached drops, with the resource that causes
//! each.

use crate::clock::Now;
use crate::engine::Engine;
use crate::kernel::{Kernel, KernelError};
use gp_abi::{ACTION_DROP, FlowKey, FlowValue};
use gp_compile::tuple_of;
use gp_model::EniId;
use gp_trace::{Resource, Verdict};
use serde::Serialize;

/// A flow whose packets are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DroppedFlow {
    /// The ENI that sends it; none where it comes from outside.
    pub eni: Option<EniId>,
    /// `tcp 10.0.1.20:4000 > 10.0.2.10:22`.
    pub flow: String,
    /// The drop reason's name.
    pub reason: &'static str,
    /// The rule, list, route or ENI that causes it.
    pub resource: Option<Resource>,
    pub packets: u64,
    /// Seconds since the last packet.
    pub idle_secs: u64,
}

impl<K: Kernel> Engine<K> {
    /// The flows whose packets were dropped last, at most `max` of them, the newest first. A drop stays in sight for
    /// about a minute after its last packet.
    ///
    /// # Errors
    /// The kernel's flow table can't be read.
    pub fn dropped_flows(&self, max: usize, now: Now) -> Result<Vec<DroppedFlow>, KernelError> {
        let mut newest: Vec<(FlowKey, FlowValue)> = Vec::new();
        let keep_newest = |flows: &mut Vec<(FlowKey, FlowValue)>| {
            flows.sort_unstable_by_key(|(_, value)| std::cmp::Reverse(value.last_seen_ns));
            flows.truncate(max);
        };
        self.kernel.scan_flows(&mut |key, value| {
            if value.action == ACTION_DROP {
                newest.push((*key, *value));
            }
            // The table may be full of drops; only the newest are worth their memory.
            if newest.len() > max.saturating_mul(4) {
                keep_newest(&mut newest);
            }
        })?;
        keep_newest(&mut newest);
        Ok(self.work(now, |work| newest.iter().filter_map(|(key, value)| work.dropped_flow(key, value)).collect()))
    }
}

impl<K: Kernel> crate::engine::Work<'_, K> {
    /// `None` where the flow has gone, or passes, by now.
    fn dropped_flow(&self, key: &FlowKey, value: &FlowValue) -> Option<DroppedFlow> {
        let eni = self.state.ports.at(key.port)?.ingress.eni();
        let (path, _) = self.decide_again(key)?;
        let Verdict::Drop(drop) = path.verdict() else { return None };
        Some(DroppedFlow {
            eni,
            flow: tuple_of(key).to_string(),
            reason: drop.reason.name(),
            resource: drop.resource,
            packets: value.packets,
            idle_secs: self.now.secs_since(value.last_seen_ns),
        })
    }
}
