//! Network ACLs. Only the default one of each VPC exists so far.

use crate::block;
use gp_model::{Direction, NetworkAclEntry, TrafficMatch};
use ipnet::IpNet;

/// The default list's entries: everything, in the families that the VPC has.
pub(crate) fn default_entries(has_ipv6: bool) -> Vec<NetworkAclEntry> {
    let mut entries = Vec::new();
    for direction in [Direction::Ingress, Direction::Egress] {
        let mut allow = |rule_number, block| {
            entries.push(NetworkAclEntry { rule_number, direction, block, traffic: TrafficMatch::All, allow: true });
        };
        allow(100, IpNet::V4(block::ALL_IPV4));
        if has_ipv6 {
            allow(101, IpNet::V6(block::ALL_IPV6));
        }
    }
    entries
}
