//! What the VPC's DHCP option set and the instance's name settings say to a guest.

use crate::Asker;
use gp_model::HostnameType;
use std::net::{IpAddr, Ipv4Addr};

/// Preferred lifetime of an IPv6 address where the option set names none (VPC user guide, "DHCP option sets").
const DEFAULT_PREFERRED_SECS: u32 = 140;

/// The VPC's DHCP option set, as far as it is of use. `AmazonProvidedDNS` and whatever else is not an address is left
/// out: a guest must never be sent to a server that is not there.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct OptionSet {
    pub domain_name: Option<String>,
    pub name_servers: Vec<IpAddr>,
    pub time_servers: Vec<IpAddr>,
    pub netbios_name_servers: Vec<IpAddr>,
    pub netbios_node_type: Option<u8>,
    pub ipv6_preferred_secs: Option<u32>,
}

impl OptionSet {
    pub fn of(asker: &Asker<'_>) -> Self {
        let vpc = asker.world.vpc(asker.eni.vpc);
        let id = vpc.and_then(|vpc| vpc.dhcp_options);
        let Some(set) = id.and_then(|id| asker.world.tables().dhcp_options.get(&id)) else { return Self::default() };
        let mut options = Self::default();
        for (key, values) in &set.configurations {
            match key.as_str() {
                "domain-name" => options.domain_name = values.first().filter(|name| is_encodable(name)).cloned(),
                "domain-name-servers" => options.name_servers = addresses(values),
                "ntp-servers" => options.time_servers = addresses(values),
                "netbios-name-servers" => options.netbios_name_servers = addresses(values),
                "netbios-node-type" => options.netbios_node_type = values.first().and_then(|v| v.parse().ok()),
                "ipv6-address-preferred-lease-time" => {
                    options.ipv6_preferred_secs = values.first().and_then(|v| v.parse().ok());
                }
                _ => {}
            }
        }
        options
    }

    pub fn preferred_secs(&self) -> u32 {
        self.ipv6_preferred_secs.unwrap_or(DEFAULT_PREFERRED_SECS)
    }
}

/// An option's text is at most 255 bytes long (RFC 2132, 2).
fn is_encodable(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255
}

fn addresses(values: &[String]) -> Vec<IpAddr> {
    values.iter().filter_map(|value| value.parse().ok()).collect()
}

pub(crate) fn only_v4(addresses: &[IpAddr]) -> Vec<Ipv4Addr> {
    let v4 = addresses.iter().filter_map(|address| match address {
        IpAddr::V4(a) => Some(*a),
        IpAddr::V6(_) => None,
    });
    v4.collect()
}

/// The instance's name without its domain: `ip-10-0-1-5`, or its id (VPC user guide, "DNS attributes").
pub(crate) fn host_name(asker: &Asker<'_>) -> Option<String> {
    match asker.subnet.hostname_type {
        HostnameType::ResourceName => asker.eni.attachment.as_ref().map(|a| a.instance.to_string()),
        HostnameType::IpName => {
            let [a, b, c, d] = asker.eni.primary_ipv4()?.octets();
            Some(format!("ip-{a}-{b}-{c}-{d}"))
        }
    }
}
