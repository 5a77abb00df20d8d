//! `groundplane exec`: a command inside an instance, or a shell.

use anyhow::{Context, Result, anyhow};
use gp_cli::admin::{AdminClient, find_instance};
use gp_sandbox::ExecRequest;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

/// What a login shell would find; the caller's own environment stays outside.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs it and passes the exit status on.
///
/// # Errors
/// The instance isn't known or doesn't run.
pub fn run(run_dir: &Path, client: &AdminClient, instance: &str, command: Vec<String>) -> Result<ExitCode> {
    let instance = find_instance(client, instance)?;
    let place = gp_agent::instance_dir(run_dir, &instance.id);
    if let Some(machine) = gp_vm::adopt(&place) {
        return in_machine(&machine, command).with_context(|| format!("running in {}", instance.id));
    }
    let running = gp_sandbox::adopt(&place)
        .ok_or_else(|| anyhow!("{} is {}: nothing runs there", instance.id, instance.state))?;
    let tty = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let argv = if command.is_empty() { vec!["/bin/bash".to_owned(), "-l".to_owned()] } else { command };
    let status = gp_sandbox::exec(&running, &ExecRequest { argv, env: environment(), tty })
        .with_context(|| format!("running in {}", instance.id))?;
    Ok(ExitCode::from(exit_code(status)))
}

/// A machine has no terminal to offer: a shell works line by line.
fn in_machine(machine: &gp_vm::Running, command: Vec<String>) -> Result<ExitCode> {
    let argv = match command.is_empty() {
        true => vec!["/bin/sh".to_owned(), "-i".to_owned()],
        false => command,
    };
    let request = gp_vm::ExecRequest {
        argv,
        stdin: Some(Box::new(std::io::stdin())),
        stdout: Box::new(std::io::stdout()),
        stderr: Box::new(std::io::stderr()),
    };
    Ok(ExitCode::from(gp_vm::exec(machine, request)?))
}

fn environment() -> Vec<(String, String)> {
    let mut environment = vec![("PATH".to_owned(), PATH.to_owned()), ("HOME".to_owned(), "/root".to_owned())];
    environment
        .extend(["TERM", "LANG"].iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))));
    environment
}

/// As shells do: a signal's number is added to 128.
fn exit_code(status: std::process::ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
