//! Rules and entries in the words of the console.

use crate::Resource;
use gp_model::{Direction, LAST_RULE_IPV4, NetworkAcl, PortRange, RulePeer, TrafficMatch, World};
use std::fmt::Write;

/// What the rule, or the entry that has the number in its direction, says.
pub(super) fn text(world: &World, resource: Resource, direction: Option<Direction>) -> Option<String> {
    match (resource, direction) {
        (Resource::SecurityGroupRule { id, group }, _) => {
            let group = world.security_group(group)?;
            let rule = group.rules.get(&id)?;
            let side = side(rule.direction);
            Some(format!("{} {side} {}", traffic(rule.traffic), peer(rule.peer)))
        }
        (Resource::NetworkAcl { id, rule_number }, Some(direction)) => {
            entry(world.network_acl(id)?, rule_number, direction)
        }
        _ => None,
    }
}

fn side(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    }
}

fn entry(acl: &NetworkAcl, rule_number: u32, direction: Direction) -> Option<String> {
    let side = side(direction);
    if rule_number >= LAST_RULE_IPV4 {
        return Some(format!("deny all {side} anywhere"));
    }
    let entry = acl.entries.iter().find(|e| e.direction == direction && e.rule_number == rule_number)?;
    let action = if entry.allow { "allow" } else { "deny" };
    Some(format!("{action} {} {side} {}", traffic(entry.traffic), entry.block))
}

fn peer(peer: RulePeer) -> String {
    match peer {
        RulePeer::Ipv4(block) => block.to_string(),
        RulePeer::Ipv6(block) => block.to_string(),
        RulePeer::Group { group, .. } => group.to_string(),
        RulePeer::PrefixList(list) => list.to_string(),
    }
}

fn traffic(traffic: TrafficMatch) -> String {
    match traffic {
        TrafficMatch::All => "all traffic".to_owned(),
        TrafficMatch::Tcp(range) => format!("tcp {}", ports(range)),
        TrafficMatch::Udp(range) => format!("udp {}", ports(range)),
        TrafficMatch::Icmp { icmp_type, code } => icmp("icmp", icmp_type, code),
        TrafficMatch::Icmpv6 { icmp_type, code } => icmp("icmpv6", icmp_type, code),
        TrafficMatch::Protocol(number) => format!("protocol {number}"),
    }
}

fn ports(range: PortRange) -> String {
    match range {
        PortRange::ALL => "all ports".to_owned(),
        PortRange { from, to } if from == to => from.to_string(),
        PortRange { from, to } => format!("{from}-{to}"),
    }
}

fn icmp(name: &str, icmp_type: Option<u8>, code: Option<u8>) -> String {
    let mut text = name.to_owned();
    for (what, number) in [("type", icmp_type), ("code", code)] {
        if let Some(number) = number {
            // Writing to a String can't fail.
            let _ = write!(text, " {what} {number}");
        }
    }
    text
}
