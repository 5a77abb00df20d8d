//! `groundplane dial`: turns what AWS fixes and a test wants otherwise.

use crate::Output;
use crate::admin::AdminClient;
use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};

/// Sets `setting` (`ports=64`, `ports=default`) of a resource.
///
/// # Errors
/// There is no such resource or setting, or no Groundplane answers.
pub fn run(client: &AdminClient, resource: &str, setting: &str, output: Output) -> Result<()> {
    let (name, value) = setting.split_once('=').ok_or_else(|| anyhow!("expecting NAME=VALUE, not '{setting}'"))?;
    if !resource.starts_with("nat-") || name != "ports" {
        bail!("the one dial is 'ports' of a NAT gateway: groundplane dial nat-… ports=64");
    }
    let ports = match value {
        "default" => None,
        number => Some(number.parse::<u32>().map_err(|_| anyhow!("expecting a number or 'default', not '{number}'"))?),
    };
    let answer: Value = client.post(&format!("/nat-gateways/{resource}/ports"), &json!({ "ports": ports }))?;
    match (output, ports) {
        (Output::Json, _) => println!("{}", serde_json::to_string_pretty(&answer)?),
        (Output::Text, Some(ports)) => {
            println!("{resource}: at most {ports} connections per address and destination");
        }
        (Output::Text, None) => println!("{resource}: as many connections per address and destination as on AWS"),
    }
    if !answer["not_yet_applied"].is_null() {
        bail!("the host has not applied it yet");
    }
    Ok(())
}
