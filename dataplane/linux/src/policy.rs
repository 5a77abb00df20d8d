//! A routing table of an interface's own, and the rules that send what has its addresses there.
//!
//! Without it, an instance with two interfaces answers by the first what came in by the second, with the second's
//! address as the source, which a VPC drops. Source: amazon-ec2-net-utils, `lib/lib.sh` (`create_rules`,
//! `create_if_overrides`): one number is the table's and the rules' priority.

use crate::error::LinuxError;
use crate::link::Links;
use crate::netlink::{Mode, Step};
use crate::netns::NetNs;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::route::{RouteMessage, RouteScope};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// Addresses, as network and length.
pub type Prefix = (IpAddr, u8);

/// What one interface's table and rules hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTable {
    /// Number of the table, and priority of its rules: 256 or more.
    pub id: u32,
    /// The subnet's block, on the interface, and the address to send from.
    pub subnet: Option<(Ipv4Addr, u8, Ipv4Addr)>,
    /// Next hop of everything else.
    pub gateway_v4: Option<Ipv4Addr>,
    pub gateway_v6: Option<Ipv6Addr>,
    /// What has one of these as its source is looked up in the table.
    pub sources: BTreeSet<Prefix>,
}

/// What makes the table and its rules so, for an interface that is up. Rules of this number for other sources go.
pub(crate) fn policy_steps(links: &Links, ifindex: u32, table: &PolicyTable) -> Result<Vec<Step>, LinuxError> {
    let mut steps = Vec::new();
    if let Some((network, length, source)) = table.subnet {
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .table_id(table.id)
            .destination_prefix(network, length)
            .pref_source(source)
            .scope(RouteScope::Link)
            .output_interface(ifindex);
        steps.push(route_step(route.build(), format!("route {network}/{length} in table {}", table.id)));
    }
    if let Some(gateway) = table.gateway_v4 {
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .table_id(table.id)
            .destination_prefix(Ipv4Addr::UNSPECIFIED, 0)
            .gateway(gateway)
            .output_interface(ifindex)
            .onlink();
        steps.push(route_step(route.build(), format!("route the default by {gateway} in table {}", table.id)));
    }
    if let Some(gateway) = table.gateway_v6 {
        let route = RouteMessageBuilder::<Ipv6Addr>::new()
            .table_id(table.id)
            .destination_prefix(Ipv6Addr::UNSPECIFIED, 0)
            .gateway(gateway)
            .output_interface(ifindex);
        steps.push(route_step(route.build(), format!("route the IPv6 default by {gateway} in table {}", table.id)));
    }
    let present: BTreeSet<_> =
        rules(links)?.into_iter().filter(|(id, _)| *id == table.id).map(|(_, source)| source).collect();
    steps.extend(present.difference(&table.sources).map(|gone| removal(table.id, *gone)));
    steps.extend(table.sources.difference(&present).map(|new| Step {
        message: RouteNetlinkMessage::NewRule(rule(table.id, *new)),
        mode: Mode::Create,
        what: format!("look up {}/{} in table {}", new.0, new.1, table.id),
        forgiven: &[],
    }));
    Ok(steps)
}

/// Takes the rules of a table away. Its routes go with the interface.
///
/// # Errors
/// The namespace can't be entered, or the kernel refuses.
pub fn remove_policy(netns: &NetNs, table: &PolicyTable) -> Result<(), LinuxError> {
    let steps: Vec<_> = table.sources.iter().map(|source| removal(table.id, *source)).collect();
    netns.run(|| Links::open_here()?.netlink().batch(&steps))?
}

/// Takes the rules of all tables in `all` away but of those in `kept`.
///
/// # Errors
/// The namespace can't be entered, or the kernel refuses.
pub fn retain_policies(netns: &NetNs, all: RangeInclusive<u32>, kept: &BTreeSet<u32>) -> Result<(), LinuxError> {
    netns.run(|| {
        let links = Links::open_here()?;
        let gone = rules(&links)?.into_iter().filter(|(id, _)| all.contains(id) && !kept.contains(id));
        let steps: Vec<_> = gone.map(|(id, source)| removal(id, source)).collect();
        links.netlink().batch(&steps)
    })?
}

fn removal(id: u32, source: Prefix) -> Step {
    Step {
        message: RouteNetlinkMessage::DelRule(rule(id, source)),
        mode: Mode::Existing,
        what: format!("no longer look up {}/{} in table {id}", source.0, source.1),
        // Gone already, or of a family that the kernel lacks.
        forgiven: &[libc::ENOENT, libc::EAFNOSUPPORT, libc::EOPNOTSUPP],
    }
}

pub(crate) fn route_step(route: RouteMessage, what: String) -> Step {
    Step { message: RouteNetlinkMessage::NewRoute(route), mode: Mode::Replace, what, forgiven: &[] }
}

fn rule(id: u32, (source, length): Prefix) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = if source.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.src_len = length;
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![RuleAttribute::Priority(id), RuleAttribute::Table(id), RuleAttribute::Source(source)];
    message
}

/// All rules of our shape, in both families: the number, which is the table's and the priority, and the source.
fn rules(links: &Links) -> Result<Vec<(u32, Prefix)>, LinuxError> {
    let mut rules = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut dump = RuleMessage::default();
        dump.header.family = family;
        let what = || "list the routing rules".to_owned();
        match links.netlink().request(RouteNetlinkMessage::GetRule(dump), Mode::Dump, what) {
            Ok(objects) => rules.extend(objects.iter().filter_map(read_rule)),
            // A kernel without IPv6 has no rules for it.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(rules)
}

fn read_rule(object: &RouteNetlinkMessage) -> Option<(u32, Prefix)> {
    let RouteNetlinkMessage::NewRule(message) = object else { return None };
    let id = message.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Table(id) => Some(*id),
        _ => None,
    })?;
    if !message.attributes.contains(&RuleAttribute::Priority(id)) {
        return None;
    }
    message.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Source(source) => Some((id, (*source, message.header.src_len))),
        _ => None,
    })
}
