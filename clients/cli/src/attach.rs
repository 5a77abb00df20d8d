//! `groundplane attach` and `groundplane detach`: an ENI for a namespace or a TAP that Groundplane didn't start.

use crate::Output;
use crate::admin::AdminClient;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Where the ENI goes.
#[derive(Debug)]
pub enum Target {
    Netns { path: PathBuf, ifname: Option<String>, is_configured: bool },
    Tap(String),
}

/// # Errors
/// There is no such namespace, or Groundplane refuses.
pub fn attach(client: &AdminClient, eni: &str, target: Target, instance_type: &str, output: Output) -> Result<()> {
    let mut request = json!({ "eni": eni, "instance_type": instance_type });
    let is_tap = matches!(target, Target::Tap(_));
    match target {
        Target::Netns { path, ifname, is_configured } => {
            let path = absolute(&path)?;
            request["netns"] = json!({ "path": path, "ifname": ifname, "is_configured": is_configured });
        }
        Target::Tap(name) => request["tap"] = json!(name),
    }
    let answer: Value = client.post("/attach", &request)?;
    if output == Output::Json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let text = |key: &str| answer[key].as_str().unwrap_or("-").to_owned();
    let addresses: Vec<_> = answer["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    println!("instance     {}", text("instance"));
    println!(
        "{}",
        if is_tap { format!("tap          {}", text("ifname")) } else { format!("interface    {}", text("ifname")) }
    );
    println!("mac          {}", text("mac"));
    println!("addresses    {}", addresses.join(" "));
    if is_tap {
        println!("\nThe machine's card must have this MAC address; it gets its IP address by DHCP.");
    }
    Ok(())
}

/// # Errors
/// The ENI isn't one that was given away by [`attach`].
pub fn detach(client: &AdminClient, eni: &str, output: Output) -> Result<()> {
    let answer: Value = client.post("/detach", &json!({ "eni": eni }))?;
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&answer)?),
        Output::Text => println!("{eni} is free; {} is terminated", answer["instance"].as_str().unwrap_or("-")),
    }
    Ok(())
}

/// A bare name means what `ip netns` means by it.
fn absolute(path: &Path) -> Result<String> {
    let named = Path::new("/run/netns").join(path);
    let meant = if path.components().count() == 1 && !path.exists() && named.exists() { &named } else { path };
    let found = std::path::absolute(meant).with_context(|| format!("finding {}", path.display()))?;
    if !found.exists() {
        bail!("there is no {}: name the file of a network namespace, such as /run/netns/NAME", path.display());
    }
    Ok(found.to_str().context("the path is not UTF-8")?.to_owned())
}
