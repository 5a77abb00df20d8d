//! The addresses that a request asks for, by value or by number, before any of them is looked at.
//!
//! CreateNetworkInterface, RunInstances and the Assign actions say it with the same parameters.

use gp_ec2::{ApiError, shapes};
use gp_model::{ENI_IPV4_PREFIX_LEN, ENI_IPV6_PREFIX_LEN};
use ipnet::{Ipv4Net, Ipv6Net};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses or prefixes of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Wanted<T> {
    /// The request doesn't say.
    #[default]
    Unsaid,
    Listed(Vec<T>),
    Count(usize),
}

impl<T> Wanted<T> {
    /// How many are asked for; 0 where the request doesn't say.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Unsaid => 0,
            Self::Listed(listed) => listed.len(),
            Self::Count(count) => *count,
        }
    }

    pub(crate) fn is_said(&self) -> bool {
        !matches!(self, Self::Unsaid)
    }

    /// # Errors
    /// `InvalidParameterCombination` where both a list and a number are given; `InvalidParameterValue` for a
    /// negative number.
    pub(super) fn new(listed: Vec<T>, count: Option<i64>, names: (&str, &str)) -> Result<Self, ApiError> {
        match (listed.is_empty(), count) {
            (true, None) => Ok(Self::Unsaid),
            (false, None) => Ok(Self::Listed(listed)),
            (true, Some(count)) => {
                let why = "Expecting a number that is not negative.";
                usize::try_from(count).map(Self::Count).map_err(|_| ApiError::invalid_value(count, names.1, why))
            }
            (false, Some(_)) => {
                let message = format!("The parameters {} and {} may not be specified together", names.0, names.1);
                Err(combination(message))
            }
        }
    }
}

/// All that a new ENI may be asked to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AddressRequest {
    pub(crate) primary: Option<Ipv4Addr>,
    pub(crate) secondary: Wanted<Ipv4Addr>,
    pub(crate) ipv4_prefixes: Wanted<Ipv4Net>,
    pub(crate) ipv6: Wanted<Ipv6Addr>,
    /// Is the first of them to be kept as the primary IPv6 address?
    pub(crate) primary_ipv6: bool,
    pub(crate) ipv6_prefixes: Wanted<Ipv6Net>,
}

/// The parameters as they stand in a request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WireAddresses<'a> {
    pub(crate) private_ip_address: Option<&'a str>,
    pub(crate) private_ip_addresses: &'a [shapes::PrivateIpAddressSpecification],
    pub(crate) secondary_count: Option<i64>,
    pub(crate) ipv4_prefixes: &'a [shapes::Ipv4PrefixSpecificationRequest],
    pub(crate) ipv4_prefix_count: Option<i64>,
    pub(crate) ipv6_addresses: &'a [shapes::InstanceIpv6Address],
    pub(crate) ipv6_address_count: Option<i64>,
    pub(crate) ipv6_prefixes: &'a [shapes::Ipv6PrefixSpecificationRequest],
    pub(crate) ipv6_prefix_count: Option<i64>,
}

impl AddressRequest {
    /// # Errors
    /// `InvalidParameterValue` for what is no address or prefix; `InvalidParameterCombination` for parameters that
    /// exclude each other.
    pub(crate) fn parse(wire: WireAddresses<'_>) -> Result<Self, ApiError> {
        let (primary, secondary) = split_primary(&wire)?;
        let is_primary = |address: &&shapes::InstanceIpv6Address| address.is_primary_ipv6 == Some(true);
        if wire.ipv6_addresses.iter().filter(is_primary).count() > 1 {
            return Err(combination("Only one primary IPv6 address can be specified.".into()));
        }
        // The first is the one that is pinned.
        let (first, others): (Vec<_>, Vec<_>) = wire.ipv6_addresses.iter().partition(is_primary);
        let primary_ipv6 = !first.is_empty();
        let ipv6 = first.into_iter().chain(others).filter_map(|address| address.ipv6_address.as_deref());
        let ipv4_prefixes = wire.ipv4_prefixes.iter().filter_map(|prefix| prefix.ipv4_prefix.as_deref());
        let ipv6_prefixes = wire.ipv6_prefixes.iter().filter_map(|prefix| prefix.ipv6_prefix.as_deref());
        Ok(Self {
            primary,
            primary_ipv6,
            secondary: Wanted::new(
                secondary,
                wire.secondary_count,
                ("privateIpAddresses", "secondaryPrivateIpAddressCount"),
            )?,
            ipv4_prefixes: Wanted::new(
                parse_ipv4_prefixes(ipv4_prefixes)?,
                wire.ipv4_prefix_count,
                ("ipv4Prefixes", "ipv4PrefixCount"),
            )?,
            ipv6: Wanted::new(
                parse_addresses(ipv6, "Ipv6Addresses")?,
                wire.ipv6_address_count,
                ("ipv6Addresses", "ipv6AddressCount"),
            )?,
            ipv6_prefixes: Wanted::new(
                parse_ipv6_prefixes(ipv6_prefixes)?,
                wire.ipv6_prefix_count,
                ("ipv6Prefixes", "ipv6PrefixCount"),
            )?,
        })
    }

    /// Does it name a particular address or prefix? Then it can't serve several ENIs.
    pub(crate) fn names_any(&self) -> bool {
        self.primary.is_some()
            || matches!(self.secondary, Wanted::Listed(_))
            || matches!(self.ipv4_prefixes, Wanted::Listed(_))
            || matches!(self.ipv6, Wanted::Listed(_))
            || matches!(self.ipv6_prefixes, Wanted::Listed(_))
    }

    pub(crate) fn wants_prefixes(&self) -> bool {
        self.ipv4_prefixes.len() + self.ipv6_prefixes.len() > 0
    }

    pub(crate) fn wants_ipv6(&self) -> bool {
        self.ipv6.len() + self.ipv6_prefixes.len() > 0
    }

    pub(crate) fn wants_ipv4(&self) -> bool {
        self.primary.is_some() || self.secondary.len() + self.ipv4_prefixes.len() > 0
    }
}

/// The primary address, which may stand alone or in the list, and the other ones.
fn split_primary(wire: &WireAddresses<'_>) -> Result<(Option<Ipv4Addr>, Vec<Ipv4Addr>), ApiError> {
    let mut primary = wire.private_ip_address.map(|text| parse_address(text, "PrivateIpAddress")).transpose()?;
    let mut secondary = Vec::new();
    for specified in wire.private_ip_addresses {
        let Some(text) = specified.private_ip_address.as_deref() else {
            return Err(ApiError::missing_parameter("PrivateIpAddress"));
        };
        let address = parse_address(text, "PrivateIpAddress")?;
        if specified.primary != Some(true) {
            secondary.push(address);
        } else if primary.replace(address).is_some() {
            return Err(combination("Only one primary private IP address can be specified.".into()));
        }
    }
    Ok((primary, secondary))
}

fn combination(message: String) -> ApiError {
    ApiError::client("InvalidParameterCombination", message)
}

fn parse_address<A: FromStr>(text: &str, parameter: &str) -> Result<A, ApiError> {
    text.parse().map_err(|_| ApiError::invalid_value(text, parameter, "Invalid IP address."))
}

/// # Errors
/// `InvalidParameterValue` for what is no address of the family.
pub(super) fn parse_addresses<'a, A: FromStr>(
    texts: impl IntoIterator<Item = &'a str>,
    parameter: &str,
) -> Result<Vec<A>, ApiError> {
    texts.into_iter().map(|text| parse_address(text, parameter)).collect()
}

/// # Errors
/// `InvalidParameterValue` for what is no block of 16 addresses.
pub(super) fn parse_ipv4_prefixes<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Ipv4Net>, ApiError> {
    let parse = |text: &'a str| {
        let prefix = text.parse::<Ipv4Net>().ok();
        let prefix = prefix.filter(|net| net.prefix_len() == ENI_IPV4_PREFIX_LEN && net.trunc() == *net);
        prefix.ok_or_else(|| ApiError::invalid_value(text, "Ipv4Prefix", "Expecting a /28 block on its boundary."))
    };
    texts.into_iter().map(parse).collect()
}

/// # Errors
/// `InvalidParameterValue` for what is no /80 block.
pub(super) fn parse_ipv6_prefixes<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Ipv6Net>, ApiError> {
    let parse = |text: &'a str| {
        let prefix = text.parse::<Ipv6Net>().ok();
        let prefix = prefix.filter(|net| net.prefix_len() == ENI_IPV6_PREFIX_LEN && net.trunc() == *net);
        prefix.ok_or_else(|| ApiError::invalid_value(text, "Ipv6Prefix", "Expecting an /80 block on its boundary."))
    };
    texts.into_iter().map(parse).collect()
}
