//! A routing table of an interface's own, and the rules that send what has its addresses there.
//!
//! Without it, an instance with two interfaces answers by the first what came in by the second, with the second's
//! address as the source, which a VPC drops. Source: amazon-ec2-net-utils, `lib/lib.sh` (`create_rules`,
//! `create_if_overrides`): one number is the table's and the rules' priority.

use crate::error::LinuxError;
use crate::link::Links;
use crate::netlink::Mode;
use crate::netns::NetNs;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::route::{RouteMessage, RouteScope};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

/// Makes the table and its rules so, for an interface that is up. Rules of this number for other sources go.
pub(crate) fn ensure_policy(links: &Links, ifindex: u32, table: &PolicyTable) -> Result<(), LinuxError> {
    if let Some((network, length, source)) = table.subnet {
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .table_id(table.id)
            .destination_prefix(network, length)
            .pref_source(source)
            .scope(RouteScope::Link)
            .output_interface(ifindex);
        ensure_route(links, route.build(), || format!("route {network}/{length} in table {}", table.id))?;
    }
    if let Some(gateway) = table.gateway_v4 {
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .table_id(table.id)
            .destination_prefix(Ipv4Addr::UNSPECIFIED, 0)
            .gateway(gateway)
            .output_interface(ifindex)
            .onlink();
        ensure_route(links, route.build(), || format!("route the default by {gateway} in table {}", table.id))?;
    }
    if let Some(gateway) = table.gateway_v6 {
        let route = RouteMessageBuilder::<Ipv6Addr>::new()
            .table_id(table.id)
            .destination_prefix(Ipv6Addr::UNSPECIFIED, 0)
            .gateway(gateway)
            .output_interface(ifindex);
        ensure_route(links, route.build(), || format!("route the IPv6 default by {gateway} in table {}", table.id))?;
    }
    let present = sources_of(links, table.id)?;
    for gone in present.difference(&table.sources) {
        remove_rule(links, table.id, *gone)?;
    }
    for new in table.sources.difference(&present) {
        let what = || format!("look up {}/{} in table {}", new.0, new.1, table.id);
        links.netlink().request(RouteNetlinkMessage::NewRule(rule(table.id, *new)), Mode::Create, what)?;
    }
    Ok(())
}

/// Takes the rules of a table away. Its routes go with the interface.
///
/// # Errors
/// The namespace can't be entered, or the kernel refuses.
pub fn remove_policy(netns: &NetNs, id: u32) -> Result<(), LinuxError> {
    netns.run(|| remove_rules(&Links::open_here()?, id))?
}

pub(crate) fn remove_rules(links: &Links, id: u32) -> Result<(), LinuxError> {
    sources_of(links, id)?.into_iter().try_for_each(|source| remove_rule(links, id, source))
}

fn remove_rule(links: &Links, id: u32, source: Prefix) -> Result<(), LinuxError> {
    let what = || format!("no longer look up {}/{} in table {id}", source.0, source.1);
    match links.netlink().request(RouteNetlinkMessage::DelRule(rule(id, source)), Mode::Existing, what) {
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
        _ => Ok(()),
    }
}

pub(crate) fn ensure_route(links: &Links, route: RouteMessage, what: impl Fn() -> String) -> Result<(), LinuxError> {
    links.netlink().request(RouteNetlinkMessage::NewRoute(route), Mode::Replace, what).map(|_| ())
}

fn rule(id: u32, (source, length): Prefix) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = if source.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.src_len = length;
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![RuleAttribute::Priority(id), RuleAttribute::Table(id), RuleAttribute::Source(source)];
    message
}

/// The sources of all rules with this number, in both families.
fn sources_of(links: &Links, id: u32) -> Result<BTreeSet<Prefix>, LinuxError> {
    let mut sources = BTreeSet::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut dump = RuleMessage::default();
        dump.header.family = family;
        let what = || "list the routing rules".to_owned();
        match links.netlink().request(RouteNetlinkMessage::GetRule(dump), Mode::Dump, what) {
            Ok(objects) => sources.extend(objects.iter().filter_map(|object| read_source(object, id))),
            // A kernel without IPv6 has no rules for it.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sources)
}

fn read_source(object: &RouteNetlinkMessage, id: u32) -> Option<Prefix> {
    let RouteNetlinkMessage::NewRule(message) = object else { return None };
    let has = |wanted: RuleAttribute| message.attributes.contains(&wanted);
    if !has(RuleAttribute::Priority(id)) || !has(RuleAttribute::Table(id)) {
        return None;
    }
    message.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Source(source) => Some((*source, message.header.src_len)),
        _ => None,
    })
}
