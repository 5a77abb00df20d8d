//! `groundplane why FROM TO PROTO/PORT`: asks the running trace and prints its path.

use crate::Output;
use crate::admin::AdminClient;
use anyhow::Result;
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
    let question = json!({ "from": from, "to": to, "service": service });
    let answer: Answer = client.post("/why", &question)?;
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&answer.path)?),
        Output::Text => print!("{}", answer.text),
    }
    Ok(answer.reachable)
}
