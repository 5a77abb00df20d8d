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
    ask(client, &json!({ "from": from, "to": to, "service": service }), output)
}

/// The same of an Ethernet frame in hexadecimal digits, as it comes in at `from`.
///
/// # Errors
/// These are no such digits, or no frame that could be judged; the place isn't known or is ambiguous.
pub fn run_frame(client: &AdminClient, from: &str, digits: &str, output: Output) -> Result<bool> {
    ask(client, &json!({ "from": from, "frame": bytes(digits)? }), output)
}

fn ask(client: &AdminClient, question: &Value, output: Output) -> Result<bool> {
    let answer: Answer = client.post("/why", question)?;
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&answer.path)?),
        Output::Text => print!("{}", answer.text),
    }
    Ok(answer.reachable)
}

/// Two digits a byte; what divides them is left out.
fn bytes(digits: &str) -> Result<Vec<u8>> {
    let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b':').collect();
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)
        }
        _ => bail!("a frame is written in pairs of hexadecimal digits"),
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_written_in_pairs_of_digits() {
        assert_eq!(bytes("02:aB 0c\n10").unwrap(), [0x02, 0xab, 0x0c, 0x10]);
        for wrong in ["0", "0g", "+1", "\u{e9}0"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
