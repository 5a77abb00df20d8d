//! The inside of an instance's network: loopback, addresses, default routes, as cloud-init would set them from the metadata.
//!
//! IPv6 addresses skip duplicate address detection: the control plane has already made sure that they are unique, and a tentative
//! address would keep user-data waiting for a second.

use crate::error::LinuxError;
use crate::link::{Links, is_there, vanished};
use crate::netlink::{Mode, Step};
use crate::netns::{NetNs, write_sysctl};
use crate::policy::{PolicyTable, policy_steps, route_step};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};
use rtnetlink::{AddressMessageBuilder, LinkUnspec, RouteMessageBuilder};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address with the length of its subnet's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestAddress {
    /// The address.
    pub address: IpAddr,
    /// Prefix length in bits: 0 to 32, or 128 for IPv6.
    pub prefix_len: u8,
}

/// What one interface of an instance looks like from inside.
#[derive(Clone, Debug)]
pub struct GuestConfig<'a> {
    /// Interface name inside: `eth0`, ...
    pub ifname: &'a str,
    /// MTU in bytes.
    pub mtu: u32,
    /// All addresses of the ENI, the primary first.
    pub addresses: &'a [GuestAddress],
    /// Metric of all the interface's routes in the main table: the lowest interface wins.
    pub metric: u32,
    /// Next hop of the IPv4 default route; none for a secondary ENI.
    pub gateway_v4: Option<Ipv4Addr>,
    /// Next hop of the IPv6 default route: the VPC router's link-local address.
    pub gateway_v6: Option<Ipv6Addr>,
    /// A routing table of the interface's own.
    pub policy: Option<PolicyTable>,
}

/// Makes the inside of `netns` so: loopback up, the interface up with its MTU, addresses and default routes.
///
/// # Errors
/// When the interface is not there or the kernel refuses a value.
pub fn configure_guest(netns: &NetNs, config: &GuestConfig<'_>) -> Result<(), LinuxError> {
    netns.run(|| configure_here(config))?
}

/// Adds an address to an interface of a running instance; an address that is there already is fine.
///
/// # Errors
/// When the interface is not there or the kernel refuses the address.
pub fn add_guest_address(netns: &NetNs, ifname: &str, address: GuestAddress) -> Result<(), LinuxError> {
    netns.run(|| {
        let links = Links::open_here()?;
        let link = links.link(ifname)?.ok_or_else(|| vanished(ifname))?;
        links.netlink().batch(&[address_step(link.ifindex, address, 0)?])
    })?
}

/// Takes an address away. Says whether it was there.
///
/// # Errors
/// When the kernel refuses.
pub fn remove_guest_address(netns: &NetNs, ifname: &str, address: GuestAddress) -> Result<bool, LinuxError> {
    netns.run(|| {
        let links = Links::open_here()?;
        let Some(link) = links.link(ifname)? else { return Ok(false) };
        let message = RouteNetlinkMessage::DelAddress(address_message(link.ifindex, address, 0)?);
        let what = || format!("remove {} from {ifname}", address.address);
        is_there(links.netlink().request(message, Mode::Existing, what).map(|_| ()))
    })?
}

/// The addresses on an interface, those that the kernel made itself (link-local) included.
///
/// # Errors
/// When the interface is not there.
pub fn list_guest_addresses(netns: &NetNs, ifname: &str) -> Result<Vec<GuestAddress>, LinuxError> {
    netns.run(|| {
        let links = Links::open_here()?;
        let link = links.link(ifname)?.ok_or_else(|| vanished(ifname))?;
        let addresses = list_addresses(&links)?;
        Ok(addresses.into_iter().filter(|(ifindex, _)| *ifindex == link.ifindex).map(|(_, address)| address).collect())
    })?
}

/// The addresses of a namespace's own, on all of its interfaces.
///
/// # Errors
/// When the kernel's answer can't be read.
pub fn list_own_addresses(netns: &NetNs) -> Result<Vec<IpAddr>, LinuxError> {
    netns.run(|| {
        let addresses = list_addresses(&Links::open_here()?)?;
        Ok(addresses.into_iter().map(|(_, address)| address.address).collect())
    })?
}

/// Each address with its interface's number.
fn list_addresses(links: &Links) -> Result<Vec<(u32, GuestAddress)>, LinuxError> {
    let dump = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let objects = links.netlink().request(dump, Mode::Dump, || "list the addresses".into())?;
    Ok(objects.iter().filter_map(read_address).collect())
}

fn configure_here(config: &GuestConfig<'_>) -> Result<(), LinuxError> {
    let links = Links::open_here()?;
    if let Some(lo) = links.link("lo")?.filter(|lo| !lo.is_up) {
        links.set_up(lo.ifindex)?;
    }
    let link = links.link(config.ifname)?.ok_or_else(|| {
        LinuxError::Missing(format!("there is no {} in the instance's network namespace", config.ifname))
    })?;
    if link.mtu != config.mtu {
        links.set_mtu(link.ifindex, config.mtu)?;
    }
    set_interface_sysctls(config)?;
    let mut steps = vec![up(link.ifindex)];
    for address in config.addresses {
        steps.push(address_step(link.ifindex, *address, config.metric)?);
    }
    steps.extend(default_routes(link.ifindex, config));
    if let Some(table) = &config.policy {
        steps.extend(policy_steps(&links, link.ifindex, table)?);
    }
    links.netlink().batch(&steps)
}

fn up(ifindex: u32) -> Step {
    let message = RouteNetlinkMessage::SetLink(LinkUnspec::new_with_index(ifindex).up().build());
    Step { message, mode: Mode::Existing, what: format!("set the link {ifindex} up"), forgiven: &[] }
}

fn default_routes(ifindex: u32, config: &GuestConfig<'_>) -> impl Iterator<Item = Step> {
    let v4 = config.gateway_v4.map(|gateway| {
        let route = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(Ipv4Addr::UNSPECIFIED, 0)
            .gateway(gateway)
            .output_interface(ifindex)
            .priority(config.metric)
            .onlink();
        route_step(route.build(), format!("route the default by {gateway}"))
    });
    let v6 = config.gateway_v6.map(|gateway| {
        let route = RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(Ipv6Addr::UNSPECIFIED, 0)
            .gateway(gateway)
            .output_interface(ifindex)
            .priority(config.metric);
        route_step(route.build(), format!("route the IPv6 default by {gateway}"))
    });
    v4.into_iter().chain(v6)
}

fn set_interface_sysctls(config: &GuestConfig<'_>) -> Result<(), LinuxError> {
    // When the primary of a subnet goes, its secondaries must stay.
    write_sysctl(&format!("ipv4/conf/{}/promote_secondaries", config.ifname), "1")?;
    // A namespace takes this over from the host. Loose, so that an answer by another interface is the VPC's to judge.
    write_sysctl(&format!("ipv4/conf/{}/rp_filter", config.ifname), "2")?;
    let ipv6 = format!("ipv6/conf/{}", config.ifname);
    match write_sysctl(&format!("{ipv6}/accept_dad"), "0") {
        // A kernel without IPv6 matters only to those who want IPv6.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
            if config.gateway_v6.is_some() || config.addresses.iter().any(|a| a.address.is_ipv6()) {
                Err(error)
            } else {
                Ok(())
            }
        }
        other => other,
    }
}

fn address_step(ifindex: u32, address: GuestAddress, metric: u32) -> Result<Step, LinuxError> {
    Ok(Step {
        message: RouteNetlinkMessage::NewAddress(address_message(ifindex, address, metric)?),
        mode: Mode::Replace,
        what: format!("add {}/{}", address.address, address.prefix_len),
        forgiven: &[],
    })
}

fn address_message(
    ifindex: u32,
    GuestAddress { address, prefix_len }: GuestAddress,
    metric: u32,
) -> Result<AddressMessage, LinuxError> {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    if prefix_len > bits || address.is_multicast() || address.is_unspecified() {
        return Err(LinuxError::Invalid(format!("{address}/{prefix_len} can't be the address of an interface")));
    }
    let mut message = match address {
        IpAddr::V4(v4) => AddressMessageBuilder::<Ipv4Addr>::new().index(ifindex).address(v4, prefix_len).build(),
        IpAddr::V6(v6) => {
            let mut message = AddressMessageBuilder::<Ipv6Addr>::new().index(ifindex).address(v6, prefix_len).build();
            message.header.flags |= AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
            message
        }
    };
    if metric > 0 {
        // Of the route to the prefix, which the kernel makes and removes with the address.
        message.attributes.push(AddressAttribute::RoutePriority(metric));
    }
    Ok(message)
}

fn read_address(object: &RouteNetlinkMessage) -> Option<(u32, GuestAddress)> {
    let RouteNetlinkMessage::NewAddress(message) = object else { return None };
    // IFA_LOCAL is the interface's own address; IFA_ADDRESS is the other end's on a point-to-point link. IPv6 sends only the latter.
    let local = message.attributes.iter().find_map(|a| match a {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let plain = message.attributes.iter().find_map(|a| match a {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    });
    let address = GuestAddress { address: local.or(plain)?, prefix_len: message.header.prefix_len };
    Some((message.header.index, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::VethSpec;
    use crate::testing::root_or_skip;

    fn address(text: &str, prefix_len: u8) -> GuestAddress {
        GuestAddress { address: text.parse().unwrap(), prefix_len }
    }

    #[test]
    fn a_guest_has_its_addresses_and_both_default_routes() {
        if !root_or_skip() {
            return;
        }
        let (host, guest) = (NetNs::new_unpinned().unwrap(), NetNs::new_unpinned().unwrap());
        let links = Links::open(&host).unwrap();
        links
            .ensure_veth(&VethSpec {
                host_name: "h0",
                host_mac: None,
                guest_name: "eth0",
                guest_netns: &guest,
                guest_mac: [2, 0, 0, 0, 0, 9],
                mtu: 9001,
                alias: "eni-0",
            })
            .unwrap();
        let config = GuestConfig {
            ifname: "eth0",
            mtu: 9001,
            addresses: &[address("10.0.1.10", 24), address("2001:db8::10", 64)],
            metric: 512,
            gateway_v4: Some(Ipv4Addr::new(10, 0, 1, 1)),
            gateway_v6: Some("fe80:ec2::1".parse().unwrap()),
            policy: None,
        };
        configure_guest(&guest, &config).unwrap();
        configure_guest(&guest, &config).unwrap();
        let found = list_guest_addresses(&guest, "eth0").unwrap();
        assert!(config.addresses.iter().all(|a| found.contains(a)), "{found:?}");
        let routes = guest.run(|| std::fs::read_to_string("/proc/thread-self/net/route").unwrap()).unwrap();
        assert!(routes.contains("eth0\t00000000\t0101000A"), "{routes}");
        let routes = guest.run(|| std::fs::read_to_string("/proc/thread-self/net/ipv6_route").unwrap()).unwrap();
        assert!(routes.contains("fe800ec2000000000000000000000001"), "{routes}");

        let second = address("10.0.1.11", 24);
        add_guest_address(&guest, "eth0", second).unwrap();
        add_guest_address(&guest, "eth0", second).unwrap();
        assert!(remove_guest_address(&guest, "eth0", address("10.0.1.10", 24)).unwrap());
        assert!(!remove_guest_address(&guest, "eth0", address("10.0.1.10", 24)).unwrap());
        assert!(
            list_guest_addresses(&guest, "eth0").unwrap().contains(&second),
            "the secondary was lost with the primary"
        );
    }

    #[test]
    fn each_secondary_interface_looks_up_its_addresses_in_its_own_table() {
        if !root_or_skip() {
            return;
        }
        let (host, guest) = (NetNs::new_unpinned().unwrap(), NetNs::new_unpinned().unwrap());
        let links = Links::open(&host).unwrap();
        links
            .ensure_veth(&VethSpec {
                host_name: "h1",
                host_mac: None,
                guest_name: "eth1",
                guest_netns: &guest,
                guest_mac: [2, 0, 0, 0, 0, 9],
                mtu: 9001,
                alias: "eni-1",
            })
            .unwrap();
        let show = |family: &str, what: &[&str]| {
            let mut command = std::process::Command::new("ip");
            command.arg(family).args(what);
            let output = guest.run(|| command.output().unwrap()).unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let table = |sources: &[(&str, u8)]| PolicyTable {
            id: 10001,
            subnet: Some((Ipv4Addr::new(10, 0, 1, 0), 24, Ipv4Addr::new(10, 0, 1, 10))),
            gateway_v4: Some(Ipv4Addr::new(10, 0, 1, 1)),
            gateway_v6: Some("fe80:ec2::1".parse().unwrap()),
            sources: sources.iter().map(|(text, length)| (text.parse().unwrap(), *length)).collect(),
        };
        let addresses = [address("10.0.1.10", 24), address("2001:db8::10", 128)];
        let mut config = GuestConfig {
            ifname: "eth1",
            mtu: 9001,
            addresses: &addresses,
            metric: 522,
            gateway_v4: None,
            gateway_v6: None,
            policy: Some(table(&[("10.0.1.10", 32), ("10.0.1.64", 28), ("2001:db8::10", 128)])),
        };
        configure_guest(&guest, &config).unwrap();
        configure_guest(&guest, &config).unwrap();
        let rules = show("-4", &["rule"]);
        assert!(rules.contains("10001:\tfrom 10.0.1.10 lookup 10001"), "{rules}");
        assert!(rules.contains("10001:\tfrom 10.0.1.64/28 lookup 10001"), "{rules}");
        assert_eq!(rules.matches("lookup 10001").count(), 2);
        let routes = show("-4", &["route", "show", "table", "10001"]);
        assert!(routes.contains("default via 10.0.1.1 dev eth1"), "{routes}");
        assert!(routes.contains("scope link src 10.0.1.10"), "{routes}");
        let main = show("-4", &["route"]);
        assert!(main.contains("10.0.1.0/24 dev eth1") && main.contains("metric 522"), "{main}");
        assert!(!main.contains("default"), "{main}");
        assert!(show("-6", &["rule"]).contains("from 2001:db8::10 lookup 10001"));
        assert!(show("-6", &["route", "show", "table", "10001"]).contains("default via fe80:ec2::1 dev eth1"));

        config.policy = Some(table(&[("10.0.1.10", 32)]));
        configure_guest(&guest, &config).unwrap();
        assert_eq!(show("-4", &["rule"]).matches("lookup 10001").count(), 1);
        assert_eq!(show("-6", &["rule"]).matches("lookup 10001").count(), 0);
        let other = PolicyTable { id: 10002, ..table(&[("10.0.1.64", 28), ("2001:db8::10", 128)]) };
        configure_guest(&guest, &GuestConfig { policy: Some(other), ..config }).unwrap();
        for _ in 0..2 {
            crate::remove_policy(&guest, &table(&[("10.0.1.10", 32), ("2001:db8::10", 128)])).unwrap();
            assert_eq!(show("-4", &["rule"]).matches("lookup 10001").count(), 0);
        }
        crate::retain_policies(&guest, 10001..=10002, &[10002].into()).unwrap();
        let of_other = || [show("-4", &["rule"]), show("-6", &["rule"])].concat().matches("lookup 10002").count();
        assert_eq!(of_other(), 2);
        crate::retain_policies(&guest, 10003..=10009, &[].into()).unwrap();
        assert_eq!(of_other(), 2);
        crate::retain_policies(&guest, 10001..=10002, &[].into()).unwrap();
        assert_eq!(of_other(), 0);
    }

    #[test]
    fn a_missing_interface_is_named() {
        if !root_or_skip() {
            return;
        }
        let guest = NetNs::new_unpinned().unwrap();
        let config = GuestConfig {
            ifname: "eth7",
            mtu: 9001,
            addresses: &[],
            metric: 0,
            gateway_v4: None,
            gateway_v6: None,
            policy: None,
        };
        assert!(configure_guest(&guest, &config).unwrap_err().to_string().contains("eth7"));
    }

    #[test]
    fn an_address_no_interface_can_have_is_refused() {
        for bad in [address("10.0.0.1", 33), address("2001:db8::1", 129), address("224.0.0.1", 24), address("::", 64)] {
            assert!(matches!(address_message(1, bad, 0), Err(LinuxError::Invalid(_))), "{bad:?}");
        }
    }
}
