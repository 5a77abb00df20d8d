//! `groundplane env`: shell lines that point the AWS tools at a running Groundplane.

use crate::Output;
use crate::place::RunFile;
use anyhow::Result;
use serde_json::json;
use std::path::Path;

/// Any secret is accepted by default; this one says so.
const SECRET: &str = "groundplane";

/// # Errors
/// No Groundplane of that name is running.
pub fn run(run_dir: &Path, account: &str, output: Output) -> Result<()> {
    let variables = variables(&RunFile::read(run_dir)?, account);
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&json!(variables))?),
        Output::Text => variables.iter().for_each(|(name, value)| println!("export {name}='{value}'")),
    }
    Ok(())
}

/// The variables and their values; none holds a quote.
pub fn variables(up: &RunFile, account: &str) -> std::collections::BTreeMap<&'static str, String> {
    [
        ("AWS_ENDPOINT_URL", format!("http://{}", up.listen)),
        ("AWS_DEFAULT_REGION", up.region.clone()),
        ("AWS_REGION", up.region.clone()),
        ("AWS_ACCESS_KEY_ID", account.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("AWS_PAGER", String::new()),
    ]
    .into_iter()
    .collect()
}
