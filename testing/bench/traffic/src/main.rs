//! The traffic of the benchmarks: one client and one server, the same in every path that is compared.
//!
//! ```text
//! arguments → shared page → fork ─┬─ server: enters its namespace, listens, counts into the page
//!                                 └─ client: enters its namespace, sends, measures, prints one line of JSON
//! ```
//!
//! Two processes, as in reality, so a packet's way includes the switch between them. Nothing here knows how the two
//! namespaces are connected.

mod arguments;
mod bulk;
mod connect;
mod cpu;
mod first;
mod place;
mod request;
mod shared;
mod spread;
mod udp;

use anyhow::{Context, Result};
use arguments::{Arguments, Mode};
use clap::Parser;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};
use shared::Shared;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let shared = Shared::new()?;
    place::set_realtime(arguments.realtime)?;
    // SAFETY: no thread has been started yet, so the child may do everything that the parent may.
    match unsafe { fork() }.context("fork")? {
        ForkResult::Child => {
            let ended = place::die_with_parent().and_then(|()| serve(&arguments, &shared));
            if let Err(error) = &ended {
                eprintln!("server: {error:#}");
            }
            shared.fail_if(ended.is_err());
            std::process::exit(i32::from(ended.is_err()));
        }
        ForkResult::Parent { child } => {
            let answer = ask(&arguments, &shared);
            shared.stop();
            // Its threads may wait for packets that never come; the counters are in the page.
            let _ = nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL);
            waitpid(child, None).context("wait for the server")?;
            println!("{}", answer?);
            Ok(())
        }
    }
}

fn serve(arguments: &Arguments, shared: &Shared) -> Result<()> {
    place::enter(arguments.server.as_deref())?;
    place::pin(arguments.server_cpu)?;
    match &arguments.mode {
        Mode::Bulk(bulk) => bulk::serve(bulk, shared),
        Mode::Request(request) => request::serve(request, shared),
        Mode::Connect(connect) => connect::serve(connect, shared),
        Mode::Established(flows) => udp::server::serve(&[flows.block()], &flows.lanes.lanes, shared),
        Mode::New(flows) => udp::server::serve(&flows.blocks(), &flows.lanes.lanes, shared),
        Mode::Overload(overload) => udp::server::serve(&overload.blocks(), &overload.new.lanes.lanes, shared),
        Mode::First(first) => first::serve(first, shared),
    }
}

fn ask(arguments: &Arguments, shared: &Shared) -> Result<serde_json::Value> {
    shared.wait_until_ready()?;
    place::enter(arguments.client.as_deref())?;
    place::pin(arguments.client_cpu)?;
    let time = arguments.time();
    match &arguments.mode {
        Mode::Bulk(bulk) => bulk::ask(bulk, arguments.to, time, arguments.realtime, shared),
        Mode::Request(request) => request::ask(request, arguments.to, time),
        Mode::Connect(connect) => connect::ask(connect, arguments.to, time),
        Mode::Established(flows) => udp::established::ask(flows, time, shared),
        Mode::New(flows) => udp::new::ask(flows, time, shared),
        Mode::Overload(overload) => udp::overload::ask(overload, time, shared),
        Mode::First(first) => first::ask(first, arguments.to),
    }
}
