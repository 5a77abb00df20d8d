//! What each NAT gateway counts, by the names of its CloudWatch metrics.
//!
//! Source: VPC user guide, "NAT gateway metrics". Counts start with the process.

use crate::Now;
use crate::engine::Engine;
use crate::kernel::Kernel;
use gp_model::NatGatewayId;
use gp_trace::{Connection, Path, Resource, Tracker, Verdict};
use gp_wire::protocol;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Name of the drop reason for a gateway without a free port.
const PORTS_EXHAUSTED: &str = "nat-port-exhausted";

/// One gateway's counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NatCounters {
    /// TCP connections that are open now.
    pub active_connection_count: u64,
    pub connection_attempt_count: u64,
    pub connection_established_count: u64,
    pub error_port_allocation: u64,
    pub idle_timeout_count: u64,
    pub packets_drop_count: u64,
    pub bytes_in_from_source: u64,
    pub bytes_out_to_destination: u64,
    pub bytes_in_from_destination: u64,
    pub bytes_out_to_source: u64,
    pub packets_in_from_source: u64,
    pub packets_out_to_destination: u64,
    pub packets_in_from_destination: u64,
    pub packets_out_to_source: u64,
}

#[derive(Debug, Default)]
pub(crate) struct NatTable(BTreeMap<NatGatewayId, NatCounters>);

impl NatTable {
    fn of(&mut self, gateway: NatGatewayId) -> &mut NatCounters {
        self.0.entry(gateway).or_default()
    }

    pub fn opened(&mut self, tracker: Tracker, connection: &Connection) {
        if let Tracker::NatGateway(gateway) = tracker
            && connection.tuple.protocol == protocol::TCP
        {
            self.of(gateway).connection_attempt_count += 1;
        }
    }

    pub fn established(&mut self, tracker: Tracker) {
        if let Tracker::NatGateway(gateway) = tracker {
            self.of(gateway).connection_established_count += 1;
        }
    }

    pub fn idled(&mut self, tracker: Tracker) {
        if let Tracker::NatGateway(gateway) = tracker {
            self.of(gateway).idle_timeout_count += 1;
        }
    }

    /// Packets of a connection: the opener's (from the source) or their answers.
    pub fn carried(&mut self, gateway: NatGatewayId, is_forward: bool, packets: u64, bytes: u64, is_dropped: bool) {
        let counters = self.of(gateway);
        let out = if is_dropped { (0, 0) } else { (packets, bytes) };
        if is_forward {
            counters.packets_in_from_source += packets;
            counters.bytes_in_from_source += bytes;
            counters.packets_out_to_destination += out.0;
            counters.bytes_out_to_destination += out.1;
        } else {
            counters.packets_in_from_destination += packets;
            counters.bytes_in_from_destination += bytes;
            counters.packets_out_to_source += out.0;
            counters.bytes_out_to_source += out.1;
        }
    }

    /// Packets that the gateway itself drops.
    pub fn dropped(&mut self, path: &Path, packets: u64, bytes: u64) {
        let Verdict::Drop(drop) = path.verdict() else { return };
        let Some(Resource::NatGateway { id }) = drop.resource else { return };
        let counters = self.of(id);
        counters.packets_drop_count += packets;
        counters.packets_in_from_source += packets;
        counters.bytes_in_from_source += bytes;
        if drop.reason.name() == PORTS_EXHAUSTED {
            counters.error_port_allocation += 1;
        }
    }

    pub fn forget(&mut self, gateway: NatGatewayId) {
        self.0.remove(&gateway);
    }
}

impl<K: Kernel> Engine<K> {
    /// Does a connection use this address of a NAT gateway? One that drains, in the view that the engine obeys, gets no
    /// new ones: once it is unused it stays so.
    pub fn is_nat_address_used(&self, gateway: NatGatewayId, address: Ipv4Addr) -> bool {
        self.work(Now::default(), |work| work.state.connections.uses_address(gateway, address))
    }

    /// What the NAT gateways have counted that have carried anything on this host.
    pub fn nat_gateways(&self) -> BTreeMap<NatGatewayId, NatCounters> {
        self.work(Now::default(), |work| {
            let mut all = work.state.nats.0.clone();
            for (gateway, counters) in &mut all {
                let open = work.state.connections.of_tracker(Tracker::NatGateway(*gateway));
                let is_active = |protocol: u8| protocol == protocol::TCP;
                counters.active_connection_count = open
                    .filter(|tracked| is_active(tracked.connection.tuple.protocol) && !tracked.is_closing())
                    .count() as u64;
            }
            all
        })
    }
}
