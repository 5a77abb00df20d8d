//! Pair of a trace → entry of the table of pairs.

use crate::flow_entry::{FlowEntry, HostSides};
use gp_abi::{FlowKey, FlowValue, OPENS_AT_RECEIVER, OPENS_AT_SENDER, PairKey, PairValue};
use gp_trace::{Effect, Pair, Tracker};

/// The key of the pair that a flow's first packet belongs to.
pub fn pair_key_of(flow: &FlowKey) -> PairKey {
    let FlowKey { src, dst, port, src_mac, dst_port, protocol, family, .. } = *flow;
    PairKey { src, dst, port, src_mac, dst_port, protocol, family, reserved: [0; 2] }
}

/// The key of a pair's flow with this source port.
pub fn forward_key(pair: &PairKey, src_port: u16) -> FlowKey {
    let PairKey { src, dst, port, src_mac, dst_port, protocol, family, .. } = *pair;
    FlowKey { src, dst, port, src_mac, src_port, dst_port, protocol, family }
}

/// The key of the answers to a flow of the pair.
pub fn answer_key(forward: &FlowKey, pair: &PairValue) -> FlowKey {
    let FlowKey { src, dst, src_port, dst_port, protocol, family, .. } = *forward;
    let (port, src_mac) = (pair.answer_port, pair.answer_mac);
    FlowKey { src: dst, dst: src, port, src_mac, src_port: dst_port, dst_port: src_port, protocol, family }
}

/// One entry of the table of pairs. It can be made from a [`Pair`] alone, so the fast path can let nothing begin that no
/// trace let begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairEntry {
    key: PairKey,
    value: PairValue,
}

impl PairEntry {
    /// `None` where one of the two paths may not be replayed, or one of the ENIs has no interface on this host.
    pub fn from_pair(pair: &Pair, host_sides: &impl HostSides, number: u64, grants: [u32; 2]) -> Option<Self> {
        let forward = FlowEntry::from_path(pair.forward(), host_sides)?;
        let answer = FlowEntry::from_path(pair.answer(), host_sides)?;
        let ports = pair.source_ports();
        let value = PairValue {
            forward: FlowValue { opens: opens(pair), ..*forward.value() },
            answer: *answer.value(),
            number,
            answer_port: answer.key().port,
            grants,
            src_port_from: ports.from,
            src_port_to: ports.to,
            answer_mac: answer.key().src_mac,
        };
        (answer_key(forward.key(), &value) == *answer.key()).then_some(Self { key: pair_key_of(forward.key()), value })
    }

    pub fn key(&self) -> &PairKey {
        &self.key
    }

    pub fn value(&self) -> &PairValue {
        &self.value
    }
}

fn opens(pair: &Pair) -> u8 {
    let forward = pair.forward();
    let sender = forward.ingress().eni().map(Tracker::Eni);
    forward.effects().iter().fold(0, |opens, Effect::OpenConnection { tracker, .. }| {
        opens | if Some(*tracker) == sender { OPENS_AT_SENDER } else { OPENS_AT_RECEIVER }
    })
}
