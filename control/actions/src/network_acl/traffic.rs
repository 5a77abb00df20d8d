//! Protocol, ports and ICMP type of an entry, between EC2's parameters and [`TrafficMatch`].
//!
//! Source: EC2 API reference, "CreateNetworkAclEntry".

use gp_ec2::{ApiError, shapes};
use gp_model::{PortRange, TrafficMatch};

/// Protocols by the names that IANA gives them; EC2 answers with numbers.
const NAMES: &[(&str, u8)] = &[
    ("icmp", ICMP),
    ("igmp", 2),
    ("tcp", TCP),
    ("udp", UDP),
    ("ipv6", 41),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", ICMPV6),
    ("ipv6-icmp", ICMPV6),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
];
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Reads `Protocol`, `PortRange` and `Icmp` of an entry. Of protocols without ports, whatever was given is ignored;
/// so are types of ICMPv6 in an entry for an IPv4 block.
///
/// # Errors
/// `InvalidParameterValue`; `MissingParameter` for TCP and UDP without ports, and for ICMP without a type.
pub(super) fn parse(
    protocol: &str,
    is_ipv4_block: bool,
    icmp: Option<&shapes::IcmpTypeCode>,
    ports: Option<&shapes::PortRange>,
) -> Result<TrafficMatch, ApiError> {
    Ok(match number(protocol)? {
        None => TrafficMatch::All,
        Some(TCP) => TrafficMatch::Tcp(port_range(ports)?),
        Some(UDP) => TrafficMatch::Udp(port_range(ports)?),
        Some(ICMP) => {
            let (icmp_type, code) = type_and_code(icmp)?;
            TrafficMatch::Icmp { icmp_type, code }
        }
        Some(ICMPV6) if is_ipv4_block => TrafficMatch::Icmpv6 { icmp_type: None, code: None },
        Some(ICMPV6) => {
            let (icmp_type, code) = type_and_code(icmp)?;
            TrafficMatch::Icmpv6 { icmp_type, code }
        }
        Some(other) => TrafficMatch::Protocol(other),
    })
}

/// `None` is every protocol.
fn number(protocol: &str) -> Result<Option<u8>, ApiError> {
    let name = protocol.to_ascii_lowercase();
    if name == "-1" || name == "all" {
        return Ok(None);
    }
    let by_name = NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    let number = by_name.or_else(|| name.parse().ok());
    number.map(Some).ok_or_else(|| ApiError::invalid_value(protocol, "Protocol", "Unknown protocol."))
}

fn port_range(ports: Option<&shapes::PortRange>) -> Result<PortRange, ApiError> {
    let given = ports.and_then(|ports| Some((ports.from?, ports.to?)));
    let (from, to) = given.ok_or_else(|| ApiError::missing_parameter("PortRange"))?;
    match (u16::try_from(from), u16::try_from(to)) {
        (Ok(from), Ok(to)) if from <= to => Ok(PortRange { from, to }),
        _ => Err(invalid(format!("Invalid TCP/UDP port range ({from}:{to})"))),
    }
}

/// -1 is every type, or every code of the type.
fn type_and_code(icmp: Option<&shapes::IcmpTypeCode>) -> Result<(Option<u8>, Option<u8>), ApiError> {
    let given = icmp.and_then(|icmp| Some((icmp.r#type?, icmp.code?)));
    let (icmp_type, code) = given.ok_or_else(|| ApiError::missing_parameter("IcmpTypeCode"))?;
    let read = |value: i64| if value == -1 { Some(None) } else { u8::try_from(value).ok().map(Some) };
    let Some(parsed_type) = read(icmp_type) else { return Err(invalid(format!("ICMP type ({icmp_type}) is invalid"))) };
    let Some(parsed_code) = read(code) else { return Err(invalid(format!("ICMP code ({code}) is invalid"))) };
    if parsed_type.is_none() && parsed_code.is_some() {
        return Err(invalid(format!("ICMP code ({code}) needs an ICMP type")));
    }
    Ok((parsed_type, parsed_code))
}

fn invalid(message: String) -> ApiError {
    ApiError::client("InvalidParameterValue", message)
}

/// What an entry is about, as replies show it.
pub(super) struct Written {
    pub protocol: String,
    pub icmp_type_code: Option<shapes::IcmpTypeCode>,
    pub port_range: Option<shapes::PortRange>,
}

pub(super) fn written(traffic: TrafficMatch) -> Written {
    let icmp = |icmp_type: Option<u8>, code: Option<u8>| shapes::IcmpTypeCode {
        code: Some(code.map_or(-1, i64::from)),
        r#type: Some(icmp_type.map_or(-1, i64::from)),
    };
    let ports = |ports: PortRange| shapes::PortRange { from: Some(ports.from.into()), to: Some(ports.to.into()) };
    let (protocol, icmp_type_code, port_range) = match traffic {
        TrafficMatch::All => ("-1".to_owned(), None, None),
        TrafficMatch::Tcp(range) => (TCP.to_string(), None, Some(ports(range))),
        TrafficMatch::Udp(range) => (UDP.to_string(), None, Some(ports(range))),
        TrafficMatch::Icmp { icmp_type, code } => (ICMP.to_string(), Some(icmp(icmp_type, code)), None),
        TrafficMatch::Icmpv6 { icmp_type, code } => (ICMPV6.to_string(), Some(icmp(icmp_type, code)), None),
        TrafficMatch::Protocol(number) => (number.to_string(), None, None),
    };
    Written { protocol, icmp_type_code, port_range }
}
