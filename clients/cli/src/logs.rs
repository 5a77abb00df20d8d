//! `groundplane logs`: an instance's console output.

use crate::admin::{AdminClient, find_instance};
use anyhow::Result;
use serde::Deserialize;

#[derive(Deserialize)]
struct Console {
    output: String,
}

/// # Errors
/// The instance isn't known or its console can't be read.
pub fn run(client: &AdminClient, instance: &str) -> Result<()> {
    let instance = find_instance(client, instance)?;
    let console: Console = client.get(&format!("/instances/{}/console", instance.id))?;
    print!("{}", console.output);
    Ok(())
}
