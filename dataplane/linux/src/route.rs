//! Routes of one namespace by one of its links: the ones that are wanted, and whether a block is routed elsewhere.
//!
//! A route that is not by a link of ours is never changed: where one has the same destination already, the kernel's refusal is
//! handed on.

use crate::error::LinuxError;
use crate::link::{Links, is_there};
use crate::netlink::Mode;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use std::fmt;
use std::net::IpAddr;

/// Shorter prefixes than these are a way for everything, as VPNs set them in halves or quarters, and not a block's own route.
const DEFAULT_LIKE: (u8, u8) = (7, 15);

/// A route by a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Whereto.
    pub destination: IpNet,
    /// Next hop; none where the destination is behind the link itself.
    pub gateway: Option<IpAddr>,
    /// The address that the host itself sends from on this way.
    pub source: Option<IpAddr>,
}

/// A route as it was found: where it leads, and the link's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRoute {
    /// Whereto.
    pub destination: IpNet,
    /// By which link.
    pub link: String,
}

impl fmt::Display for FoundRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dev {}", self.destination, self.link)
    }
}

impl Links {
    /// Makes the static routes by a link so: these and no others. What the kernel put there itself is left.
    ///
    /// # Errors
    /// The kernel refuses; `EEXIST` where the destination is routed elsewhere already.
    pub fn ensure_routes(&self, ifindex: u32, wanted: &[Route]) -> Result<(), LinuxError> {
        let present: Vec<_> = self.routes()?.into_iter().filter(|found| is_ours(found, ifindex)).collect();
        for message in &present {
            if read_route(message).is_none_or(|route| !wanted.contains(&route)) {
                let removed =
                    self.netlink().request(RouteNetlinkMessage::DelRoute(message.clone()), Mode::Existing, || {
                        "remove a route".into()
                    });
                is_there(removed.map(drop))?;
            }
        }
        let present: Vec<_> = present.iter().filter_map(read_route).collect();
        for route in wanted.iter().filter(|route| !present.contains(route)) {
            let message = RouteNetlinkMessage::NewRoute(message_of(ifindex, route)?);
            self.netlink().request(message, Mode::Create, || format!("route {}", route.destination))?;
        }
        Ok(())
    }

    /// A route for all or a part of `block`, other than a default route, by a link that `is_own` doesn't know by its name.
    ///
    /// # Errors
    /// When the kernel's answer can't be read.
    pub fn route_into(&self, block: IpNet, is_own: impl Fn(&str) -> bool) -> Result<Option<FoundRoute>, LinuxError> {
        let links = self.list_links()?;
        let name_of = |ifindex| links.iter().find(|link| link.ifindex == ifindex).map(|link| link.name.as_str());
        let overlaps = |other: IpNet| other.contains(&block) || block.contains(&other);
        for message in self.routes()? {
            let (Some(destination), Some(ifindex)) = (destination(&message), out_link(&message)) else { continue };
            let Some(link) = name_of(ifindex) else { continue };
            if !is_default_like(destination) && overlaps(destination) && !is_own(link) {
                return Ok(Some(FoundRoute { destination, link: link.to_owned() }));
            }
        }
        Ok(None)
    }

    /// The link of the default route for IPv4, by name: the first that the kernel lists in its main table.
    ///
    /// # Errors
    /// When the kernel's answer can't be read.
    pub fn default_route_link(&self) -> Result<Option<String>, LinuxError> {
        let found = self.routes()?.into_iter().find(|message| {
            message.header.table == RouteHeader::RT_TABLE_MAIN
                && matches!(destination(message), Some(IpNet::V4(block)) if block.prefix_len() == 0)
        });
        let Some(ifindex) = found.as_ref().and_then(out_link) else { return Ok(None) };
        Ok(self.list_links()?.into_iter().find(|link| link.ifindex == ifindex).map(|link| link.name))
    }

    fn routes(&self) -> Result<Vec<RouteMessage>, LinuxError> {
        let mut routes = Vec::new();
        for family in [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())] {
            let ask = RouteMessageBuilder::<IpAddr>::new().destination_prefix(family.addr(), 0).map_err(invalid)?;
            let mut ask = ask.build();
            ask.attributes.clear();
            let dump = RouteNetlinkMessage::GetRoute(ask);
            let objects = self.netlink().request(dump, Mode::Dump, || "list the routes".into())?;
            routes.extend(objects.into_iter().filter_map(|object| match object {
                RouteNetlinkMessage::NewRoute(message) => Some(message),
                _ => None,
            }));
        }
        Ok(routes)
    }
}

fn message_of(ifindex: u32, route: &Route) -> Result<RouteMessage, LinuxError> {
    let block = route.destination.trunc();
    let mut builder = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(block.addr(), block.prefix_len())
        .map_err(invalid)?
        .output_interface(ifindex)
        .protocol(RouteProtocol::Static);
    builder = match route.gateway {
        // The next hop need not be in a block of the link.
        Some(gateway) => builder.gateway(gateway).map_err(invalid)?.onlink(),
        None if block.addr().is_ipv4() => builder.scope(RouteScope::Link),
        None => builder,
    };
    if let Some(source) = route.source {
        builder = builder.pref_source(source).map_err(invalid)?;
    }
    Ok(builder.build())
}

fn is_ours(message: &RouteMessage, ifindex: u32) -> bool {
    message.header.protocol == RouteProtocol::Static
        && message.header.kind == RouteType::Unicast
        && out_link(message) == Some(ifindex)
}

fn read_route(message: &RouteMessage) -> Option<Route> {
    let mut route = Route { destination: destination(message)?, gateway: None, source: None };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Gateway(address) => route.gateway = read_address(address),
            RouteAttribute::PrefSource(address) => route.source = read_address(address),
            _ => {}
        }
    }
    Some(route)
}

fn destination(message: &RouteMessage) -> Option<IpNet> {
    let prefix_len = message.header.destination_prefix_length;
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(address) => read_address(address),
        _ => None,
    });
    let unspecified = match message.header.address_family {
        rtnetlink::packet_route::AddressFamily::Inet => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        rtnetlink::packet_route::AddressFamily::Inet6 => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    IpNet::new(address.unwrap_or(unspecified), prefix_len).ok()
}

fn read_address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}

fn out_link(message: &RouteMessage) -> Option<u32> {
    message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(ifindex) => Some(*ifindex),
        _ => None,
    })
}

fn is_default_like(block: IpNet) -> bool {
    let (v4, v6) = DEFAULT_LIKE;
    match block {
        IpNet::V4(block) => block.prefix_len() <= v4,
        IpNet::V6(block) => block.prefix_len() <= v6,
    }
}

fn invalid(error: impl fmt::Display) -> LinuxError {
    LinuxError::Invalid(format!("no route can be made of it: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::NetNs;
    use crate::testing::root_or_skip;

    fn block(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    fn plain(destination: &str) -> Route {
        Route { destination: block(destination), gateway: None, source: None }
    }

    #[test]
    fn routes_by_a_link_become_those_that_are_wanted() {
        if !root_or_skip() {
            return;
        }
        let netns = NetNs::new_unpinned().unwrap();
        let links = Links::open(&netns).unwrap();
        let (near, _) = links.ensure_local_veth("a", "b", 1500).unwrap();
        let found = || -> Vec<String> {
            let routes = links.routes().unwrap();
            let mut all: Vec<_> = routes
                .iter()
                .filter(|message| is_ours(message, near.ifindex))
                .filter_map(|message| Some(read_route(message)?.destination.to_string()))
                .collect();
            all.sort();
            all
        };
        links.ensure_routes(near.ifindex, &[plain("198.51.100.0/24"), plain("3fff:1::/56")]).unwrap();
        assert_eq!(found(), ["198.51.100.0/24", "3fff:1::/56"]);
        links.ensure_routes(near.ifindex, &[plain("198.51.100.0/24"), plain("3fff:2::/56")]).unwrap();
        links.ensure_routes(near.ifindex, &[plain("198.51.100.0/24"), plain("3fff:2::/56")]).unwrap();
        assert_eq!(found(), ["198.51.100.0/24", "3fff:2::/56"]);
        links.ensure_routes(near.ifindex, &[]).unwrap();
        assert!(found().is_empty());
    }

    #[test]
    fn a_block_that_is_routed_by_others_is_found_and_left() {
        if !root_or_skip() {
            return;
        }
        let netns = NetNs::new_unpinned().unwrap();
        let links = Links::open(&netns).unwrap();
        let (near, far) = links.ensure_local_veth("a", "b", 1500).unwrap();
        let pool = block("198.51.100.0/24");
        links.ensure_routes(far.ifindex, &[plain("0.0.0.0/0"), plain("192.0.0.0/4"), plain("10.0.0.0/8")]).unwrap();
        assert_eq!(links.route_into(pool, |_| false).unwrap(), None);
        assert_eq!(links.default_route_link().unwrap().as_deref(), Some("b"));
        for theirs in ["198.51.100.128/25", "198.51.0.0/16", "198.51.100.0/24"] {
            links.ensure_routes(far.ifindex, &[plain(theirs)]).unwrap();
            let found = links.route_into(pool, |name| name == "a").unwrap().unwrap();
            assert_eq!(found.to_string(), format!("{theirs} dev b"));
            assert_eq!(links.route_into(pool, |name| name == "b").unwrap(), None);
        }
        let refused = links.ensure_routes(near.ifindex, &[plain("198.51.100.0/24")]).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EEXIST));
        assert!(links.route_into(pool, |_| false).unwrap().is_some(), "the other's route was taken");
    }
}
