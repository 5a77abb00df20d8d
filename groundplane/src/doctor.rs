//! `groundplane doctor`: the check list that `up` insists on.

use anyhow::{Result, bail};
use gp_agent::UplinkConfig;
use gp_cli::Output;
use gp_linux::doctor::{Check, check_host};
use serde_json::json;
use std::process::ExitCode;

/// Prints the list; exits with 1 where something is missing.
pub fn run(name: &str, uplink: Option<&UplinkConfig>, output: Output) -> Result<ExitCode> {
    let mut checks = check_host();
    checks.extend(uplink.into_iter().flat_map(|uplink| gp_agent::check_uplink(name, uplink)));
    let machines = gp_vm::check_host(&std::env::temp_dir());
    let fit = checks.iter().all(|check| check.ok);
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(&as_json(&checks, &machines))?),
        Output::Text => {
            checks.iter().for_each(print);
            print_machines(&machines);
            println!("\n{}", if fit { "This machine can enforce it all." } else { "Groundplane will not start here." });
        }
    }
    Ok(if fit { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// # Errors
/// Something is missing: each with its remedy.
pub fn insist() -> Result<()> {
    let missing: Vec<_> = check_host().into_iter().filter(|check| !check.ok).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = missing.iter().map(|c| format!("  {}: {} ({})", c.name, c.detail, c.remedy)).collect();
    bail!("this machine can't enforce what the API would promise:\n{}", lines.join("\n"))
}

/// # Errors
/// The way to the outside can't be as the options say: one sentence with the option to use instead.
pub fn insist_on_uplink(name: &str, uplink: &UplinkConfig) -> Result<()> {
    match gp_agent::check_uplink(name, uplink).into_iter().find(|check| !check.ok) {
        Some(missing) => bail!("{}: {}", missing.detail, missing.remedy),
        None => Ok(()),
    }
}

fn print(check: &Check) {
    println!("{} {:<12} {}", if check.ok { "ok     " } else { "MISSING" }, check.name, check.detail);
    if !check.ok {
        println!("        {:<12} → {}", "", check.remedy);
    }
}

/// Without virtual machines everything else works.
fn print_machines(machines: &Result<String, gp_vm::VmError>) {
    match machines {
        Ok(detail) => println!("ok      {:<12} {detail}", "vm"),
        Err(error) => println!("without {:<12} {error}", "vm"),
    }
}

fn as_json(checks: &[Check], machines: &Result<String, gp_vm::VmError>) -> serde_json::Value {
    let list: Vec<_> =
        checks.iter().map(|c| json!({ "name": c.name, "ok": c.ok, "detail": c.detail, "remedy": c.remedy })).collect();
    let machines = match machines {
        Ok(detail) => json!({ "ok": true, "detail": detail }),
        Err(error) => json!({ "ok": false, "detail": error.to_string() }),
    };
    json!({ "ok": checks.iter().all(|check| check.ok), "checks": list, "vm": machines })
}
