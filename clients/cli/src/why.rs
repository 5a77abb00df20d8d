//! `groundplane why FROM TO PROTO/PORT`: asks the running trace and prints its path.

use crate::Output;
use crate::admin::AdminClient;
use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Answer {
    /// Every hop and step, for people.
    text: String,
    /// Would the packet, and the answer to it, get through?
    reachable: bool,
    path: Value,
}

/// Prints the path; answers whether the packet would get through.
///
/// # Errors
/// An end isn't known or is ambiguous, or the protocol can't be read.
pub fn run(client: &AdminClient, from: &str, to: &str, service: &str, output: Output) -> Result<bool> {
    let (protocol, port) = parse_service(service)?;
    let question = json!({ "from": from, "to": to, "protocol": protocol, "port": port });
    let answer: Answer = client.post("/why", &question)?;
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&answer.path)?),
        Output::Text => print!("{}", answer.text),
    }
    Ok(answer.reachable)
}

/// `tcp/80`, `udp/53`, `icmp`, or a protocol number such as `47`.
fn parse_service(service: &str) -> Result<(u8, u16)> {
    let (protocol, port) = match service.split_once('/') {
        Some((protocol, port)) => (protocol, Some(port)),
        None => (service, None),
    };
    let number = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => 6,
        "udp" => 17,
        "icmp" => 1,
        "icmpv6" => 58,
        other => match other.parse::<u8>() {
            Ok(number) => number,
            Err(_) => bail!("'{service}' is not a protocol and port: write tcp/80, udp/53, icmp or a protocol number"),
        },
    };
    match (number, port.map(str::parse::<u16>)) {
        (6 | 17, Some(Ok(port))) => Ok((number, port)),
        (6 | 17, _) => bail!("{protocol} needs a port from 0 to 65535: {protocol}/80"),
        (_, None) => Ok((number, 0)),
        (_, Some(_)) => bail!("'{protocol}' has no ports: write just {protocol}"),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_service;

    #[test]
    fn services_are_read_as_people_write_them() {
        assert_eq!(parse_service("tcp/80").unwrap(), (6, 80));
        assert_eq!(parse_service("UDP/53").unwrap(), (17, 53));
        assert_eq!(parse_service("icmp").unwrap(), (1, 0));
        assert_eq!(parse_service("47").unwrap(), (47, 0));
        for wrong in ["tcp", "tcp/x", "tcp/70000", "gre/1", "icmp/3", ""] {
            assert!(parse_service(wrong).is_err(), "{wrong}");
        }
    }
}
