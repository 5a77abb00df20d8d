//! `groundplane`: the one binary. It wires the region's server (control) to the host's agent (dataplane) and serves
//! the command line; it decides nothing itself.

mod admin;
mod args;
mod doctor;
mod down;
mod exec;
mod lock;
mod up;
mod uplink;

use anyhow::Result;
use args::{Arguments, AttachOptions, Command, Report};
use clap::Parser;
use gp_cli::admin::AdminClient;
use gp_cli::attach::Target;
use gp_cli::{Output, place};
use std::process::ExitCode;
use tikv_jemallocator::Jemalloc;

/// The nodes of persistent maps live for long and in no order, beside a thousand short-lived pieces of each answer. glibc's
/// allocator mixes the two, so that a region with many resources costs every call more misses of the processor's cache.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    // The sandbox's first process re-executes this binary; it must not have started a thread by then.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == gp_sandbox::INIT_SUBCOMMAND) {
        gp_sandbox::sandbox_init_main();
    }
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("groundplane: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let run_dir = place::run_dir(&arguments.name)?;
    let output = if arguments.json { Output::Json } else { Output::Text };
    let client = AdminClient::new(&run_dir);
    match arguments.command {
        Command::Up(options) => up::run(&arguments.name, &run_dir, options)?,
        Command::Down { purge } => down::run(&arguments.name, &run_dir, purge)?,
        Command::Doctor { region, uplink } => {
            return doctor::run(&arguments.name, uplink.config(&region)?.as_ref(), output);
        }
        Command::Env { account } => gp_cli::env::run(&run_dir, &account, output)?,
        Command::Status => gp_cli::status::run(&run_dir, &client, output)?,
        Command::Exec { instance, command } => return exec::run(&run_dir, &client, &instance, command),
        Command::Logs { instance } => gp_cli::logs::run(&client, &instance)?,
        Command::Why { from, to, service, frame } => {
            let reachable = match frame {
                Some(frame) => gp_cli::why::run_frame(&client, &from, &frame, output)?,
                None => {
                    let [to, service] = [to, service].map(Option::unwrap_or_default);
                    gp_cli::why::run(&client, &from, &to, &service, output)?
                }
            };
            return Ok(if reachable { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Attach(options) => {
            let (target, eni, kind) = target(options)?;
            gp_cli::attach::attach(&client, &eni, target, &kind, output)?;
        }
        Command::Detach { eni } => gp_cli::attach::detach(&client, &eni, output)?,
        Command::Counters { wanted } => gp_cli::counters::run(&client, wanted.as_deref(), output)?,
        Command::Report { report: Report::Costs } => gp_cli::report::costs(&client, output)?,
        Command::Dial { resource, setting } => gp_cli::dial::run(&client, &resource, &setting, output)?,
        Command::Demo => gp_cli::demo::run(&run_dir, &arguments.name)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn target(options: AttachOptions) -> Result<(Target, String, String)> {
    let AttachOptions { eni, netns, ifname, no_configure, tap, instance_type } = options;
    let target = match (netns, tap) {
        (Some(path), None) => Target::Netns { path, ifname, is_configured: !no_configure },
        (None, Some(name)) => Target::Tap(name),
        _ => anyhow::bail!("give either --netns or --tap"),
    };
    Ok((target, eni, instance_type))
}
