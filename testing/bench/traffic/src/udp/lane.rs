//! A lane: an interface of the client's, and an address of the server's that is reached by it.
//!
//! One is enough. Where something limits what one interface may have (an ENI tracks so many connections), several share
//! the flows.

use anyhow::{Context, Result};
use nix::ifaddrs::getifaddrs;
use std::net::Ipv4Addr;
use std::str::FromStr;

pub type Mac = [u8; 6];

/// INTERFACE,SOURCE,DESTINATION,NEXT-HOP-MAC
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneName {
    pub interface: String,
    pub source: Ipv4Addr,
    pub destination: Ipv4Addr,
    pub next_hop: Mac,
}

impl FromStr for LaneName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let &[interface, source, destination, mac] = text.split(',').collect::<Vec<_>>().as_slice() else {
            return Err("is no INTERFACE,SOURCE,DESTINATION,NEXT-HOP-MAC".to_owned());
        };
        let address = |text: &str| text.parse().map_err(|error| format!("{text}: {error}"));
        let (source, destination) = (address(source)?, address(destination)?);
        let next_hop = mac_of(mac).ok_or_else(|| format!("{mac} is no MAC address"))?;
        Ok(Self { interface: interface.to_owned(), source, destination, next_hop })
    }
}

fn mac_of(text: &str) -> Option<Mac> {
    let bytes: Vec<u8> = text.split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>().ok()?;
    bytes.try_into().ok()
}

/// The MAC address of an interface of the calling thread's namespace.
///
/// # Errors
/// There is none of that name.
pub fn own_mac(interface: &str) -> Result<Mac> {
    let mut all = getifaddrs().context("list interfaces")?;
    let link =
        all.find_map(|entry| entry.address.filter(|_| entry.interface_name == interface)?.as_link_addr()?.addr());
    link.with_context(|| format!("no interface {interface}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_named_by_interface_addresses_and_next_hop() {
        let lane: LaneName = "eth0,10.8.0.1,10.9.0.1,02:00:00:00:00:ff".parse().unwrap();
        assert_eq!((lane.interface.as_str(), lane.next_hop), ("eth0", [2, 0, 0, 0, 0, 255]));
        for wrong in
            ["eth0,10.8.0.1,10.9.0.1", "eth0,10.8.0.1,10.9.0,02:00:00:00:00:ff", "eth0,10.8.0.1,10.9.0.1,02:00"]
        {
            assert!(wrong.parse::<LaneName>().is_err(), "{wrong}");
        }
    }
}
