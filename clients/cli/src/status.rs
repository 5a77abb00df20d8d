//! `groundplane status`: what runs, in one screen.

use crate::Output;
use crate::admin::{AdminClient, InstanceView};
use crate::place::RunFile;
use anyhow::Result;
use comfy_table::{Table, presets};
use serde_json::Value;
use std::path::Path;

/// # Errors
/// No Groundplane answers.
pub fn run(run_dir: &Path, client: &AdminClient, output: Output) -> Result<()> {
    let up = RunFile::read(run_dir)?;
    let mut status: Value = client.get("/status")?;
    status["endpoint"] = format!("http://{}", up.listen).into();
    status["data_dir"] = up.data_dir.display().to_string().into();
    status["host"] = client.get("/host")?;
    let instances: Vec<InstanceView> = client.get("/instances")?;
    match output {
        Output::Json => {
            status["instances"] = serde_json::to_value(&instances)?;
            println!("{}", serde_json::to_string_pretty(&status)?);
        }
        Output::Text => {
            print_summary(&status);
            print_instances(&instances);
        }
    }
    Ok(())
}

fn print_summary(status: &Value) {
    let text = |key: &str| status[key].as_str().unwrap_or("-").to_owned();
    let number = |pointer: &str| status.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    println!("endpoint     {}", text("endpoint"));
    println!("data         {}", text("data_dir"));
    println!("generation   {}, applied {}", number("/generation"), number("/applied"));
    println!(
        "kernel       {} flows, {} connections, {} ENIs, {} upcalls, {} connections begun without one",
        number("/host/flows"),
        number("/host/connections"),
        number("/host/enis"),
        number("/host/upcalls"),
        number("/host/opened"),
    );
    let drops = status.pointer("/host/drops").and_then(Value::as_object);
    let drops: Vec<_> = drops.into_iter().flatten().filter(|(_, n)| n.as_u64() != Some(0)).collect();
    if !drops.is_empty() {
        let drops: Vec<_> = drops.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        println!("drops        {}", drops.join(", "));
    }
}

fn print_instances(instances: &[InstanceView]) {
    if instances.is_empty() {
        println!("\nno instances");
        return;
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["INSTANCE", "NAME", "STATE", "ADDRESSES", "REGION", "ACCOUNT"]);
    for i in instances {
        let name = i.name.as_deref().unwrap_or("-");
        table.add_row([&i.id, name, &i.state, &i.addresses.join(" "), &i.region, &i.account]);
    }
    println!("\n{table}");
}
