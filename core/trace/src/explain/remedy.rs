//! What would let a dropped packet pass: a sentence and, where one call is enough, the `aws` command.
//!
//! The commands use the AWS CLI's own short forms (`--protocol --port --cidr`), which know IPv4 only; IPv6 is written
//! with `--ip-permissions`.

use super::outside;
use crate::{Detail, Drop, DropReason, MissingPermission, Path, Resource, Stage, Step, Verdict};
use gp_model::{Direction, InternetGateway, LAST_RULE_IPV4, NetworkAcl, NetworkAclId, RouteTableId, VpcId, World};
use gp_wire::{FiveTuple, protocol};
use serde::Serialize;
use std::net::IpAddr;

/// One way to let a dropped packet pass the point where it died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remedy {
    pub sentence: String,
    /// For the AWS CLI, as it can be pasted into a shell.
    pub command: Option<String>,
}

/// First port that clients take for themselves: an answer to one port is an answer to any of them.
const FIRST_EPHEMERAL_PORT: u16 = 1024;
/// Distance of suggested network ACL rule numbers, as the user guide has it.
const RULE_NUMBER_STEP: u32 = 100;

pub(super) fn remedy(sentence: impl Into<String>, command: impl Into<Option<String>>) -> Remedy {
    Remedy { sentence: sentence.into(), command: command.into() }
}

/// The remedies for a path that ends in a drop, the narrowest first; none where only another packet would help.
pub(super) fn remedies(world: &World, path: &Path) -> Vec<Remedy> {
    let Verdict::Drop(drop) = path.verdict() else { return Vec::new() };
    let Drop { reason, resource, missing, .. } = drop;
    match (*reason, *resource) {
        (DropReason::SecurityGroupEgress | DropReason::SecurityGroupIngress, _) => {
            missing.as_ref().map(|missing| permissions(path, missing)).unwrap_or_default()
        }
        (DropReason::NetworkAclEgress, Some(Resource::NetworkAcl { id, rule_number })) => {
            vec![entry(world, (id, rule_number), Direction::Egress, &path.translated())]
        }
        (DropReason::NetworkAclIngress, Some(Resource::NetworkAcl { id, rule_number })) => {
            vec![entry(world, (id, rule_number), Direction::Ingress, &path.translated())]
        }
        (DropReason::NoRoute, Some(Resource::RouteTable { id })) => vec![route(world, id, path.translated().dst)],
        (DropReason::Blackhole, Some(_)) => vec![gateway(world, path)],
        (reason, resource) if outside::knows(reason) => outside::remedies(world, path, reason, resource),
        (DropReason::EniNotAttached, Some(Resource::Eni { id })) => vec![attachment(world, id)],
        (DropReason::SourceCheck | DropReason::DestinationCheck, Some(Resource::Eni { id })) => {
            address_check(last_step(path), id)
        }
        _ => Vec::new(),
    }
}

fn last_step(path: &Path) -> Option<&Step> {
    path.hops().last().and_then(|hop| hop.steps.last())
}

// === security groups ===

fn permissions(path: &Path, missing: &MissingPermission) -> Vec<Remedy> {
    let (call, side) = match missing.direction {
        Direction::Ingress => ("authorize-security-group-ingress", "from"),
        Direction::Egress => ("authorize-security-group-egress", "to"),
    };
    let Some(group) = missing.groups.first() else {
        let eni = path.hops().last().map(|hop| hop.component);
        let sentence = match eni {
            Some(crate::Component::Eni(id)) => format!("Give {id} a security group."),
            _ => "Give the ENI a security group.".to_owned(),
        };
        return vec![remedy(sentence, None)];
    };
    let traffic = permission_traffic(missing);
    let host = ipnet::IpNet::from(missing.peer);
    let by_address = match missing.peer {
        IpAddr::V4(_) => format!("aws ec2 {call} --group-id {group} {} --cidr {host}", traffic.flags),
        IpAddr::V6(_) => format!(
            "aws ec2 {call} --group-id {group} --ip-permissions '{},Ipv6Ranges=[{{CidrIpv6={host}}}]'",
            traffic.shorthand
        ),
    };
    let mut remedies = vec![remedy(format!("Allow {} {side} {}:", traffic.name, missing.peer), by_address)];
    if let Some(peer) = missing.peer_group {
        let command = format!("aws ec2 {call} --group-id {group} {} --source-group {peer}", traffic.flags);
        remedies.push(remedy(format!("Or allow it {side} every member of {peer}:"), command));
    }
    remedies
}

/// Traffic in words, as CLI flags and in the CLI's shorthand syntax.
struct PermissionTraffic {
    name: String,
    flags: String,
    shorthand: String,
}

fn permission_traffic(missing: &MissingPermission) -> PermissionTraffic {
    let number = missing.protocol;
    let name = match number {
        protocol::TCP => "tcp".to_owned(),
        protocol::UDP => "udp".to_owned(),
        protocol::ICMP => "icmp".to_owned(),
        protocol::ICMPV6 => "icmpv6".to_owned(),
        number => number.to_string(),
    };
    match (missing.port, missing.icmp) {
        (Some(port), _) => PermissionTraffic {
            flags: format!("--protocol {name} --port {port}"),
            shorthand: format!("IpProtocol={name},FromPort={port},ToPort={port}"),
            name: format!("{name} port {port}"),
        },
        // The CLI takes an ICMP type and code for a range of ports.
        (None, Some((icmp_type, code))) => PermissionTraffic {
            flags: format!("--protocol {name} --port {icmp_type}-{code}"),
            shorthand: format!("IpProtocol={name},FromPort={icmp_type},ToPort={code}"),
            name: format!("{name} type {icmp_type}, code {code},"),
        },
        (None, None) => PermissionTraffic {
            flags: format!("--protocol {name}"),
            shorthand: format!("IpProtocol={name}"),
            name: format!("protocol {name}"),
        },
    }
}

// === network ACLs ===

fn entry(world: &World, decider: (NetworkAclId, u32), direction: Direction, tuple: &FiveTuple) -> Remedy {
    let (acl, denying) = decider;
    let number = world.network_acl(acl).and_then(|acl| free_number(acl, direction, denying));
    let Some(number) = number else {
        let sentence = format!("No rule number before {denying} is free in {acl}: change or remove that entry.");
        return remedy(sentence, None);
    };
    let (flag, address) = match direction {
        Direction::Ingress => ("--ingress", tuple.src),
        Direction::Egress => ("--egress", tuple.dst),
    };
    let block = match address {
        IpAddr::V4(_) => format!("--cidr-block {}", ipnet::IpNet::from(address)),
        IpAddr::V6(_) => format!("--ipv6-cidr-block {}", ipnet::IpNet::from(address)),
    };
    let command = format!(
        "aws ec2 create-network-acl-entry --network-acl-id {acl} {flag} --rule-number {number} {} {block} \
         --rule-action allow",
        entry_traffic(tuple)
    );
    remedy(
        "Allow it by an entry before the one that denies it (lists keep no state: the answer needs one, too):",
        command,
    )
}

fn entry_traffic(tuple: &FiveTuple) -> String {
    let FiveTuple { protocol: number, dst_port, .. } = *tuple;
    let [icmp_type, code] = dst_port.to_be_bytes();
    match number {
        protocol::TCP | protocol::UDP if dst_port >= FIRST_EPHEMERAL_PORT => {
            format!("--protocol {number} --port-range From={FIRST_EPHEMERAL_PORT},To={}", u16::MAX)
        }
        protocol::TCP | protocol::UDP => format!("--protocol {number} --port-range From={dst_port},To={dst_port}"),
        protocol::ICMP | protocol::ICMPV6 => {
            format!("--protocol {number} --icmp-type-code Type={icmp_type},Code={code}")
        }
        number => format!("--protocol {number}"),
    }
}

/// A number that comes before the denying one: behind all others if that is the final entry, otherwise next to it.
fn free_number(acl: &NetworkAcl, direction: Direction, denying: u32) -> Option<u32> {
    let is_free = |number: &u32| !acl.entries.iter().any(|e| e.direction == direction && e.rule_number == *number);
    if denying >= LAST_RULE_IPV4 {
        let last = acl.entries.iter().filter(|e| e.direction == direction).map(|e| e.rule_number).max().unwrap_or(0);
        let rounded = (last / RULE_NUMBER_STEP + 1) * RULE_NUMBER_STEP;
        if rounded < LAST_RULE_IPV4 {
            return Some(rounded);
        }
    }
    (1..denying.min(LAST_RULE_IPV4)).rev().find(is_free)
}

// === routes and gateways ===

fn route(world: &World, table: RouteTableId, destination: IpAddr) -> Remedy {
    let gateway = world.route_table(table).and_then(|table| gateway_of(world, table.vpc));
    let Some(gateway) = gateway else {
        return remedy(format!("{table} needs a route to {destination}, and the VPC a gateway for it."), None);
    };
    let anywhere =
        if destination.is_ipv4() { "--destination-cidr-block 0.0.0.0/0" } else { "--destination-ipv6-cidr-block ::/0" };
    let command = format!("aws ec2 create-route --route-table-id {table} {anywhere} --gateway-id {}", gateway.id);
    remedy(format!("Give {table} a route that holds {destination}, here to anywhere:"), command)
}

fn gateway_of(world: &World, vpc: VpcId) -> Option<&InternetGateway> {
    world.tables().internet_gateways.values().find(|gateway| gateway.attached_to == Some(vpc)).map(|gateway| &**gateway)
}

/// The target of the route that led into a black hole.
fn gateway(world: &World, path: &Path) -> Remedy {
    let steps = || path.hops().iter().flat_map(|hop| &hop.steps);
    let router = path.hops().iter().find_map(|hop| match hop.component {
        crate::Component::Router(vpc) => Some(vpc),
        _ => None,
    });
    let gateway = path.hops().last().map(|hop| hop.component);
    let found = steps().find_map(|step| match (step.stage, step.resource, step.detail) {
        (Stage::Route, Some(Resource::RouteTable { id }), Detail::RouteTo(destination)) => Some((id, destination)),
        _ => None,
    });
    match (gateway, router, found) {
        (Some(crate::Component::InternetGateway(id)), Some(vpc), _) if world.internet_gateway(id).is_some() => remedy(
            format!("Attach {id} to {vpc}:"),
            format!("aws ec2 attach-internet-gateway --internet-gateway-id {id} --vpc-id {vpc}"),
        ),
        (_, _, Some((table, destination))) => {
            let option = match destination {
                ipnet::IpNet::V4(_) => "--destination-cidr-block",
                ipnet::IpNet::V6(_) => "--destination-ipv6-cidr-block",
            };
            let command = format!("aws ec2 delete-route --route-table-id {table} {option} {destination}");
            remedy("Remove the route, or point it to a gateway that exists:", command)
        }
        _ => remedy("Point the route to a gateway that exists.", None),
    }
}

// === ENIs ===

fn attachment(world: &World, id: gp_model::EniId) -> Remedy {
    match world.eni(id).and_then(|eni| eni.attachment.as_ref()) {
        None => remedy(format!("Attach {id} to an instance (aws ec2 attach-network-interface)."), None),
        Some(attachment) => {
            let instance = attachment.instance;
            remedy(format!("Start {instance}:"), format!("aws ec2 start-instances --instance-ids {instance}"))
        }
    }
}

fn address_check(step: Option<&Step>, id: gp_model::EniId) -> Vec<Remedy> {
    match step.map(|step| step.detail) {
        Some(Detail::ForeignSource(_) | Detail::ForeignDestination(_)) => vec![remedy(
            format!("If {id} is a router's, switch its source/destination check off:"),
            format!("aws ec2 modify-network-interface-attribute --network-interface-id {id} --no-source-dest-check"),
        )],
        _ => Vec::new(),
    }
}
