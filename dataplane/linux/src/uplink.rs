//! The way to the outside: the far end of a region's uplink in somebody else's namespace, and a network card's child in one
//! of ours.
//!
//! No end of an uplink ever asks for a neighbour: both are without ARP and ND, so whatever is sent reaches the other end. The outer end
//! is ours, so are its addresses, its routes and its settings; nothing else of the namespace that it is in is changed here.

use crate::Mac;
use crate::error::{Context, LinuxError};
use crate::link::{LinkInfo, Links, check_name, vanished};
use crate::netlink::Mode;
use crate::netns::{NetNs, write_sysctl};
use crate::route::Route;
use crate::{GuestAddress, add_guest_address, list_guest_addresses, remove_guest_address};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::MacVlanMode;
use rtnetlink::{LinkMacVlan, LinkUnspec};
use std::fs;
use std::os::fd::AsRawFd;

/// What a link to or from the outside is like.
#[derive(Clone, Debug)]
pub struct OuterEnd<'a> {
    /// Its name.
    pub name: &'a str,
    /// A note kept by the kernel on it.
    pub alias: &'a str,
    /// Its own addresses, all of them.
    pub addresses: &'a [GuestAddress],
    /// The routes by it, all of them.
    pub routes: &'a [Route],
    /// Whether it asks for neighbours and answers them. An uplink's ends don't.
    pub has_neighbors: bool,
}

/// Makes a link of `netns` so: up, with these addresses and routes and no others of ours.
///
/// # Errors
/// When the link is not there or the kernel refuses; `EEXIST` where a destination is routed elsewhere already.
pub fn configure_outer_end(netns: &NetNs, end: &OuterEnd<'_>) -> Result<(), LinuxError> {
    let links = Links::open(netns)?;
    let link = links.link(end.name)?.ok_or_else(|| vanished(end.name))?;
    links.set_quiet(link.ifindex, end.alias)?;
    links.set_neighbors(link.ifindex, end.has_neighbors)?;
    links.set_up(link.ifindex)?;
    for stale in list_guest_addresses(netns, end.name)? {
        let is_generated = matches!(stale.address, std::net::IpAddr::V6(v6) if v6.is_unicast_link_local());
        if !is_generated && !end.addresses.contains(&stale) {
            remove_guest_address(netns, end.name, stale)?;
        }
    }
    for address in end.addresses {
        add_guest_address(netns, end.name, *address)?;
    }
    links.ensure_routes(link.ifindex, end.routes)
}

impl Links {
    /// Lets a link ask for neighbours and answer them, or not.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn set_neighbors(&self, ifindex: u32, on: bool) -> Result<(), LinuxError> {
        let message = LinkUnspec::new_with_index(ifindex).arp(on).build();
        let what = || format!("set neighbour discovery on the link {ifindex}");
        self.netlink().request(RouteNetlinkMessage::SetLink(message), Mode::Existing, what).map(drop)
    }

    /// Lets a link take in what is sent to groups that nobody here has joined.
    ///
    /// # Errors
    /// When there is no such link.
    pub fn set_all_multicast(&self, ifindex: u32, on: bool) -> Result<(), LinuxError> {
        let message = LinkUnspec::new_with_index(ifindex).allmulticast(on).build();
        let what = || format!("set what groups' frames the link {ifindex} takes");
        self.netlink().request(RouteNetlinkMessage::SetLink(message), Mode::Existing, what).map(drop)
    }

    /// A child of the network card `parent` (of this namespace) under `name` in `netns`, with its own MAC address. The card
    /// itself stays as it is: its addresses, its routes and whether it is up.
    ///
    /// # Errors
    /// There is no such card, it is down, or it can't have children: each in a sentence for the operator.
    pub fn ensure_card_child(&self, parent: &str, name: &str, netns: &NetNs, mac: Mac) -> Result<LinkInfo, LinuxError> {
        check_name(parent)?;
        check_name(name)?;
        let Some(card) = self.link(parent)? else {
            return Err(LinuxError::Missing(format!("there is no interface {parent} on this machine")));
        };
        if !card.is_up {
            return Err(LinuxError::Missing(format!("the interface {parent} is down")));
        }
        let inside = Links::open(netns)?;
        if let Some(child) = inside.link(name)? {
            if child.kind.as_deref() == Some("macvlan") && child.peer_ifindex == Some(card.ifindex) {
                return Ok(child);
            }
            inside.remove_link(name)?;
        }
        let child = LinkMacVlan::new(name, card.ifindex, MacVlanMode::Bridge)
            .address(mac.to_vec())
            .setns_by_fd(netns.as_raw_fd())
            .build();
        let what = || format!("the interface {parent} can't take a macvlan, which --uplink needs");
        self.netlink().request(RouteNetlinkMessage::NewLink(child), Mode::Create, what)?;
        inside.link(name)?.ok_or_else(|| vanished(name))
    }
}

/// Makes a namespace of ours a router between a card's child and uplinks: it forwards both families and answers ARP on `card` for
/// every address that it has a route to elsewhere.
///
/// # Errors
/// When a setting is refused.
pub fn make_router(netns: &NetNs, card: &str) -> Result<(), LinuxError> {
    // Until a namespace has an address, the kernel takes every next hop for a broadcast.
    let links = Links::open(netns)?;
    let lo = links.link("lo")?.ok_or_else(|| vanished("lo"))?;
    links.set_up(lo.ifindex)?;
    netns.run(|| {
        write_sysctl("ipv4/ip_forward", "1")?;
        // What the host has set for its own links is copied to new namespaces.
        for link in ["all", "default", card] {
            write_sysctl(&format!("ipv4/conf/{link}/rp_filter"), "0")?;
            write_sysctl(&format!("ipv4/conf/{link}/send_redirects"), "0")?;
        }
        write_sysctl(&format!("ipv4/conf/{card}/proxy_arp"), "1")?;
        // The kernel would wait for up to 0.8 s before each answer, with room for 64 that wait, lest the address's owner has one.
        write_sysctl(&format!("ipv4/neigh/{card}/proxy_delay"), "0")?;
        match write_sysctl("ipv6/conf/all/forwarding", "1") {
            // A kernel without IPv6 forwards none.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            other => other,
        }
    })?
}

/// Reads a setting of a namespace, such as `ipv4/conf/eth0/forwarding` below `/proc/sys/net`.
///
/// # Errors
/// When there is no such setting.
pub fn read_sysctl(netns: &NetNs, key: &str) -> Result<String, LinuxError> {
    netns.run(|| {
        let text = fs::read_to_string(std::path::Path::new("/proc/sys/net").join(key));
        text.map(|text| text.trim().to_owned()).context(|| format!("read net/{key}"))
    })?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::VethSpec;
    use crate::testing::root_or_skip;
    use std::net::{Ipv4Addr, UdpSocket};
    use std::time::Duration;

    fn address(text: &str, prefix_len: u8) -> GuestAddress {
        GuestAddress { address: text.parse().unwrap(), prefix_len }
    }

    fn route(text: &str, source: &str) -> Route {
        Route { destination: text.parse().unwrap(), gateway: None, source: Some(source.parse().unwrap()) }
    }

    fn pair(inner: &NetNs, outer: &NetNs) {
        let spec = VethSpec {
            host_name: "uplink0",
            host_mac: None,
            guest_name: "gp-test-0",
            guest_netns: outer,
            guest_mac: [2, 0, 0, 0, 0, 9],
            mtu: 1500,
            alias: "uplink us-east-1",
        };
        let links = Links::open(inner).unwrap();
        let ends = links.ensure_veth(&spec).unwrap();
        links.set_neighbors(ends.host_ifindex, false).unwrap();
    }

    #[test]
    fn what_the_outside_sends_arrives_without_a_question_for_neighbours() {
        if !root_or_skip() {
            return;
        }
        let (inner, outer) = (NetNs::new_unpinned().unwrap(), NetNs::new_unpinned().unwrap());
        pair(&inner, &outer);
        let addresses = [address("198.51.100.1", 32)];
        let routes = [route("198.51.100.0/24", "198.51.100.1")];
        let end = OuterEnd {
            name: "gp-test-0",
            alias: "groundplane test",
            addresses: &addresses,
            routes: &routes,
            has_neighbors: false,
        };
        configure_outer_end(&outer, &end).unwrap();
        configure_outer_end(&outer, &end).unwrap();
        // Any listener on the inner side does: here a socket with the address for itself.
        add_guest_address(&inner, "uplink0", address("198.51.100.7", 32)).unwrap();
        let listener = inner.run(|| UdpSocket::bind("198.51.100.7:7000").unwrap()).unwrap();
        listener.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        inner.set_sysctl("ipv4/conf/all/rp_filter", "0").unwrap();
        inner.set_sysctl("ipv4/conf/uplink0/rp_filter", "0").unwrap();
        // The frame's receiver is whatever the kernel fills in for a link without ARP: its own address. Ours takes it all the same.
        let mac = Links::open(&outer).unwrap().link("gp-test-0").unwrap().unwrap().mac;
        inner.run(|| set_mac("uplink0", mac)).unwrap();
        outer.run(|| UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"hello", "198.51.100.7:7000").unwrap()).unwrap();
        let mut buffer = [0; 16];
        let (length, from) = listener.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from.ip()), (&b"hello"[..], Ipv4Addr::new(198, 51, 100, 1).into()));
    }

    fn set_mac(name: &str, mac: Mac) {
        let links = Links::open_here().unwrap();
        let link = links.link(name).unwrap().unwrap();
        let message = LinkUnspec::new_with_index(link.ifindex).address(mac.to_vec()).build();
        links.netlink().request(RouteNetlinkMessage::SetLink(message), Mode::Existing, || "set a MAC".into()).unwrap();
    }

    #[test]
    fn addresses_and_routes_that_are_no_longer_wanted_go() {
        if !root_or_skip() {
            return;
        }
        let (inner, outer) = (NetNs::new_unpinned().unwrap(), NetNs::new_unpinned().unwrap());
        pair(&inner, &outer);
        let configure = |addresses: &[GuestAddress], routes: &[Route]| {
            let name = "gp-test-0";
            let end = OuterEnd { name, alias: "groundplane test", addresses, routes, has_neighbors: false };
            configure_outer_end(&outer, &end).unwrap();
        };
        let pool = route("198.51.100.0/24", "198.51.100.1");
        configure(&[address("198.51.100.1", 32)], &[pool, Route { source: None, ..route("3fff:1::/56", "::1") }]);
        configure(&[address("203.0.113.1", 32)], &[route("203.0.113.0/24", "203.0.113.1")]);
        assert_eq!(list_guest_addresses(&outer, "gp-test-0").unwrap(), [address("203.0.113.1", 32)]);
        let links = Links::open(&outer).unwrap();
        assert_eq!(links.route_into("198.51.100.0/24".parse().unwrap(), |_| false).unwrap(), None);
        assert_eq!(links.route_into("3fff:1::/56".parse().unwrap(), |_| false).unwrap(), None);
        assert!(links.route_into("203.0.113.0/24".parse().unwrap(), |_| false).unwrap().is_some());
    }

    #[test]
    fn a_cards_child_is_made_once_and_leaves_the_card_as_it_was() {
        if !root_or_skip() {
            return;
        }
        let (host, router) = (NetNs::new_unpinned().unwrap(), NetNs::new_unpinned().unwrap());
        let links = Links::open(&host).unwrap();
        links.ensure_local_veth("eth0", "wire", 1500).unwrap();
        let before = links.link("eth0").unwrap();
        let mac = [2, 0, 0, 0, 0, 5];
        let first = links.ensure_card_child("eth0", "nic", &router, mac).unwrap();
        assert_eq!(links.ensure_card_child("eth0", "nic", &router, mac).unwrap(), first);
        assert_eq!((first.kind.as_deref(), first.mac), (Some("macvlan"), mac));
        assert_eq!(links.link("eth0").unwrap(), before);
        make_router(&router, "nic").unwrap();
        let gateway = Some("203.0.113.1".parse().unwrap());
        let default = Route { destination: "0.0.0.0/0".parse().unwrap(), gateway, source: None };
        let end = OuterEnd { name: "nic", alias: "card", addresses: &[], routes: &[default], has_neighbors: true };
        configure_outer_end(&router, &end).unwrap();
        configure_outer_end(&router, &end).unwrap();
        assert_eq!(Links::open(&router).unwrap().default_route_link().unwrap().as_deref(), Some("nic"));
        assert_eq!(read_sysctl(&router, "ipv4/conf/nic/proxy_arp").unwrap(), "1");
        assert_eq!(read_sysctl(&router, "ipv4/neigh/nic/proxy_delay").unwrap(), "0");
        assert!(Links::open(&router).unwrap().remove_link("nic").unwrap());
        assert_eq!(links.link("eth0").unwrap(), before);
    }

    #[test]
    fn a_card_that_is_not_there_or_can_have_no_child_is_named() {
        if !root_or_skip() {
            return;
        }
        let (host, router) = (NetNs::new_unpinned().unwrap(), NetNs::new_unpinned().unwrap());
        let links = Links::open(&host).unwrap();
        let refused =
            |parent: &str| links.ensure_card_child(parent, "nic", &router, [2, 0, 0, 0, 0, 5]).unwrap_err().to_string();
        assert_eq!(refused("eth9"), "there is no interface eth9 on this machine");
        assert_eq!(refused("lo"), "the interface lo is down");
        links.set_up(links.link("lo").unwrap().unwrap().ifindex).unwrap();
        assert_eq!(refused("lo"), "the interface lo can't take a macvlan, which --uplink needs");
    }
}
