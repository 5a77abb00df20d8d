//! What a VPC's default network ACL lets through.

use crate::{Context, block};
use gp_model::{Direction, NetworkAclEntry, TrafficMatch, Vpc};
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

/// What a VPC's first IPv6 block brings: the default list lets IPv6 through, unless the user has changed it.
pub(crate) fn allow_ipv6(ctx: &mut Context<'_>, vpc: &Vpc) {
    let Some(acl) = ctx.world().network_acl(vpc.default_network_acl).cloned() else { return };
    if acl.entries == default_entries(false) {
        ctx.edit(&*acl, |acl| acl.entries = default_entries(true));
    }
}
