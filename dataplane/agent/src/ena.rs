//! An ENI's allowances by the names that the ENA driver's statistics have on AWS.
//!
//! A veth has no such statistics, so `ethtool -S` inside a guest does not show them; they are asked for from outside.
//! Only what is enforced is counted. Source: EC2 user guide, "Monitor network performance for ENA settings".

use crate::Agent;
use crate::inquiry::{InquiryError, find};
use gp_model::EniId;
use gp_slowpath::EniCounters;
use serde_json::{Value, json};

impl Agent {
    /// The counters of one ENI, or of all of the instance that the text names.
    ///
    /// # Errors
    /// Nothing has the name, or it has no interface here.
    pub(crate) fn eni_counters(&self, wanted: &str) -> Result<Vec<Value>, InquiryError> {
        let view = self.view.borrow().clone();
        let unknown = || InquiryError::Unknown(wanted.to_owned());
        let end = find(&view, wanted, None)?.ok_or_else(unknown)?;
        let is_eni = wanted.parse::<EniId>().is_ok();
        let instance = end.eni.attachment.as_ref().map(|attachment| attachment.instance).filter(|_| !is_eni);
        let enis = match instance {
            Some(id) => view.regions.values().flat_map(|world| world.enis_of_instance(id)).map(|eni| eni.id).collect(),
            None => vec![end.eni.id],
        };
        let found: Vec<Value> = enis.into_iter().filter_map(|eni| self.counters_of(eni)).collect();
        let not_here = || InquiryError::Other(format!("{wanted} has no interface on this host"));
        if found.is_empty() { Err(not_here()) } else { Ok(found) }
    }

    /// The counters of every ENI that has an interface here.
    pub(crate) fn all_eni_counters(&self) -> Vec<Value> {
        self.engine.ports().iter().filter_map(|port| self.counters_of(port.eni)).collect()
    }

    fn counters_of(&self, id: EniId) -> Option<Value> {
        let EniCounters { flows, connections, connections_free, connections_refused, kernel } =
            self.engine.eni_counters(id)?;
        let view = self.view.borrow();
        let eni = view.regions.values().find_map(|world| world.eni(id));
        Some(json!({
            "eni": id,
            "instance": eni.and_then(|eni| eni.attachment.as_ref()).map(|attachment| attachment.instance),
            "bw_in_allowance_exceeded": kernel.bandwidth_in_drops,
            "bw_out_allowance_exceeded": kernel.bandwidth_out_drops,
            "pps_allowance_exceeded": kernel.upcall_drops,
            "conntrack_allowance_exceeded": connections_refused,
            "conntrack_allowance_available": connections_free,
            "connections": connections,
            "flows": flows,
            "upcalls": kernel.upcalls,
        }))
    }
}
