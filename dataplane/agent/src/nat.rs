//! What a NAT gateway counts, by the names of its CloudWatch metrics.
//!
//! Source: VPC user guide, "NAT gateway metrics". One that has carried nothing on this host has counted nothing.

use crate::Agent;
use crate::error::chain;
use crate::inquiry::InquiryError;
use gp_model::{NatGateway, NatGatewayId, NatGatewayState};
use gp_slowpath::Now;
use serde_json::{Value, json};
use tracing::warn;

impl Agent {
    /// The counters of whatever the text names: a NAT gateway, an ENI, or all ENIs of an instance.
    ///
    /// # Errors
    /// Nothing has the name, or it has no interface here.
    pub fn counters(&self, wanted: &str) -> Result<Vec<Value>, InquiryError> {
        let named = self.nat_counters(|gateway| {
            gateway.id.to_string() == wanted || gateway.tags.get("Name").is_some_and(|name| name == wanted)
        });
        if named.is_empty() { self.eni_counters(wanted) } else { Ok(named) }
    }

    /// The counters of every ENI that has an interface here, and of the NAT gateways.
    pub fn all_counters(&self) -> Vec<Value> {
        let mut all = self.all_eni_counters();
        all.extend(self.nat_counters(|_| true));
        all
    }

    fn nat_counters(&self, is_wanted: impl Fn(&NatGateway) -> bool) -> Vec<Value> {
        let wanted = self.nat_gateways(is_wanted);
        if wanted.is_empty() {
            return Vec::new();
        }
        // Flow entries count by themselves, and sweeps only hear of it: whoever asks is to see all that has passed.
        if let Err(error) = self.engine.expire(Now::read()) {
            warn!(error = chain(&error), "what flows have counted since the last sweep can't be read");
        }
        let counted = self.engine.nat_gateways();
        let shown = |gateway: NatGatewayId| {
            let mut shown = json!(counted.get(&gateway).copied().unwrap_or_default());
            shown["nat_gateway"] = json!(gateway);
            shown
        };
        wanted.into_iter().map(shown).collect()
    }

    fn nat_gateways(&self, is_wanted: impl Fn(&NatGateway) -> bool) -> Vec<NatGatewayId> {
        let view = self.view.borrow();
        let gateways = view.regions.values().flat_map(|world| world.tables().nat_gateways.values());
        let there = gateways.filter(|gateway| gateway.state != NatGatewayState::Deleted && is_wanted(gateway));
        there.map(|gateway| gateway.id).collect()
    }
}
