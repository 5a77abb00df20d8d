//! Protocol and ports of a rule, between EC2's three parameters and [`TrafficMatch`].

use gp_ec2::ApiError;
use gp_model::{PortRange, TrafficMatch};

/// Reads `IpProtocol`, `FromPort` and `ToPort`. For ICMP the two are type and code. Protocols other than TCP, UDP and
/// ICMP have no ports, whatever was given.
///
/// # Errors
/// `InvalidParameterValue`.
pub(super) fn parse(protocol: Option<&str>, from: Option<i64>, to: Option<i64>) -> Result<TrafficMatch, ApiError> {
    let Some(protocol) = protocol else {
        return Err(invalid(
            "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly.".into(),
        ));
    };
    match protocol.to_ascii_lowercase().as_str() {
        "-1" | "all" => Ok(TrafficMatch::All),
        "tcp" | "6" => Ok(TrafficMatch::Tcp(ports(from, to)?)),
        "udp" | "17" => Ok(TrafficMatch::Udp(ports(from, to)?)),
        "icmp" | "1" => match (from, to) {
            (Some(from), Some(to)) => {
                let (icmp_type, code) = type_and_code(from, to)?;
                Ok(TrafficMatch::Icmp { icmp_type, code })
            }
            _ => Err(ports_missing("TCP/UDP/ICMP")),
        },
        "icmpv6" | "58" => {
            let (icmp_type, code) = type_and_code(from.unwrap_or(-1), to.unwrap_or(-1))?;
            Ok(TrafficMatch::Icmpv6 { icmp_type, code })
        }
        other => match other.parse::<u8>() {
            Ok(number) => Ok(TrafficMatch::Protocol(number)),
            Err(_) => Err(invalid(format!("Invalid value '{protocol}' for IP protocol. Unknown protocol."))),
        },
    }
}

fn ports(from: Option<i64>, to: Option<i64>) -> Result<PortRange, ApiError> {
    let (Some(from), Some(to)) = (from, to) else { return Err(ports_missing("TCP/UDP")) };
    match (u16::try_from(from), u16::try_from(to)) {
        (Ok(from), Ok(to)) if from <= to => Ok(PortRange { from, to }),
        _ => Err(invalid(format!("Invalid TCP/UDP port range ({from}:{to})"))),
    }
}

/// -1 is every type, or every code of the type.
fn type_and_code(icmp_type: i64, code: i64) -> Result<(Option<u8>, Option<u8>), ApiError> {
    let read = |value: i64| if value == -1 { Some(None) } else { u8::try_from(value).ok().map(Some) };
    let Some(parsed_type) = read(icmp_type) else { return Err(invalid(format!("ICMP type ({icmp_type}) is invalid"))) };
    let Some(parsed_code) = read(code) else { return Err(invalid(format!("ICMP code ({code}) is invalid"))) };
    if parsed_type.is_none() && parsed_code.is_some() {
        return Err(invalid(format!("ICMP code ({code}) needs an ICMP type")));
    }
    Ok((parsed_type, parsed_code))
}

fn ports_missing(protocols: &str) -> ApiError {
    invalid(format!("Invalid value for portRange. Must specify both from and to ports with {protocols}."))
}

fn invalid(message: String) -> ApiError {
    ApiError::client("InvalidParameterValue", message)
}

/// `IpProtocol` as EC2 writes it, and the two numbers that go with it where the protocol has them.
pub(super) fn written(traffic: TrafficMatch) -> (String, Option<(i64, i64)>) {
    let icmp =
        |icmp_type: Option<u8>, code: Option<u8>| Some((icmp_type.map_or(-1, i64::from), code.map_or(-1, i64::from)));
    match traffic {
        TrafficMatch::All => ("-1".into(), None),
        TrafficMatch::Tcp(ports) => ("tcp".into(), Some((ports.from.into(), ports.to.into()))),
        TrafficMatch::Udp(ports) => ("udp".into(), Some((ports.from.into(), ports.to.into()))),
        TrafficMatch::Icmp { icmp_type, code } => ("icmp".into(), icmp(icmp_type, code)),
        TrafficMatch::Icmpv6 { icmp_type, code } => ("icmpv6".into(), icmp(icmp_type, code)),
        TrafficMatch::Protocol(number) => (number.to_string(), None),
    }
}

/// How AWS's messages name what a rule is about: `TCP, from port: 22, to port: 22`.
pub(super) fn described(traffic: TrafficMatch) -> String {
    let icmp = |name: &str, icmp_type: Option<u8>, code: Option<u8>| {
        let part = |part: Option<u8>| part.map_or("ALL".to_owned(), |part| part.to_string());
        format!("{name}, type: {}, code: {}", part(icmp_type), part(code))
    };
    match traffic {
        TrafficMatch::All => "ALL".into(),
        TrafficMatch::Tcp(ports) => format!("TCP, from port: {}, to port: {}", ports.from, ports.to),
        TrafficMatch::Udp(ports) => format!("UDP, from port: {}, to port: {}", ports.from, ports.to),
        TrafficMatch::Icmp { icmp_type, code } => icmp("ICMP", icmp_type, code),
        TrafficMatch::Icmpv6 { icmp_type, code } => icmp("ICMPV6", icmp_type, code),
        TrafficMatch::Protocol(number) => format!("protocol: {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_read_by_name_and_by_number() {
        for (protocol, from, to, want) in [
            ("-1", None, None, "ALL"),
            ("-1", Some(22), Some(80), "ALL"),
            ("tcp", Some(22), Some(80), "TCP, from port: 22, to port: 80"),
            ("6", Some(0), Some(65535), "TCP, from port: 0, to port: 65535"),
            ("UDP", Some(53), Some(53), "UDP, from port: 53, to port: 53"),
            ("icmp", Some(8), Some(-1), "ICMP, type: 8, code: ALL"),
            ("1", Some(-1), Some(-1), "ICMP, type: ALL, code: ALL"),
            ("icmpv6", None, None, "ICMPV6, type: ALL, code: ALL"),
            ("50", Some(1), Some(2), "protocol: 50"),
        ] {
            assert_eq!(described(parse(Some(protocol), from, to).unwrap()), want);
        }
    }

    #[test]
    fn impossible_traffic_is_refused() {
        for (protocol, from, to) in [
            (None, None, None),
            (Some("tcp"), Some(80), None),
            (Some("tcp"), Some(80), Some(70)),
            (Some("tcp"), Some(-1), Some(-1)),
            (Some("udp"), Some(0), Some(65536)),
            (Some("icmp"), None, None),
            (Some("icmp"), Some(-1), Some(0)),
            (Some("icmp"), Some(256), Some(0)),
            (Some("256"), None, None),
            (Some("ip"), None, None),
            (Some(""), None, None),
        ] {
            let error = parse(protocol, from, to).unwrap_err();
            assert_eq!(error.code, "InvalidParameterValue", "{protocol:?} {from:?} {to:?}");
        }
    }
}
