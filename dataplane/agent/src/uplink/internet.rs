//! `--internet`: the host masquerades for the pools. The one thing that touches the host: a table of nftables, forwarding on
//! its way out, and a record of how that was, written before it is changed.

use crate::config::AgentConfig;
use crate::error::AgentError;
use gp_linux::{
    Links, LinuxError, Masquerade, NetNs, ensure_masquerade, is_forwarding, remove_masquerade, set_forwarding,
};
use ipnet::Ipv4Net;
use std::io::ErrorKind;
use std::path::Path;

/// The table of the Groundplane with this name.
fn table(name: &str) -> String {
    format!("groundplane_{name}")
}

/// Opens the way; what an earlier process has opened stays open throughout.
///
/// # Errors
/// The host has no default route, or refuses.
pub(super) fn ensure(agent: &AgentConfig, host: &NetNs, uplinks: &str, blocks: &[Ipv4Net]) -> Result<(), AgentError> {
    let way_out = way_out(host)?;
    let record = agent.internet_record();
    if read(&record)?.is_some_and(|(link, _)| link != way_out) {
        remove(agent, host)?;
    }
    let is_guarded = match read(&record)? {
        Some((_, was_forwarding)) => !was_forwarding,
        None => {
            let was_forwarding = is_forwarding(host, &way_out)?;
            std::fs::write(&record, format!("{way_out} {was_forwarding}\n"))
                .map_err(|source| failed(&record, source))?;
            !was_forwarding
        }
    };
    let table = table(&agent.name);
    // The guard comes first: nothing is forwarded meanwhile that hasn't been before.
    ensure_masquerade(host, &Masquerade { table: &table, uplinks, way_out: &way_out, blocks, is_guarded })?;
    set_forwarding(host, &way_out, true)?;
    Ok(())
}

/// Puts everything back as it was; fine if nothing was done.
///
/// # Errors
/// The host refuses.
pub(super) fn remove(agent: &AgentConfig, host: &NetNs) -> Result<(), AgentError> {
    let record = agent.internet_record();
    let Some((way_out, was_forwarding)) = read(&record)? else { return Ok(()) };
    if !was_forwarding {
        set_forwarding(host, &way_out, false)?;
    }
    remove_masquerade(host, &table(&agent.name))?;
    std::fs::remove_file(&record).map_err(|source| failed(&record, source))
}

/// The link of the host's default route.
pub(super) fn way_out(host: &NetNs) -> Result<String, AgentError> {
    let missing = || LinuxError::Missing("this machine has no default route for --internet to use".into());
    Ok(Links::open(host)?.default_route_link()?.ok_or_else(missing)?)
}

/// Which link was changed, and whether it forwarded before.
fn read(record: &Path) -> Result<Option<(String, bool)>, AgentError> {
    let text = match std::fs::read_to_string(record) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|source| failed(record, source))?,
    };
    // One that was cut short by a crash was followed by no change.
    Ok(text.trim_end().split_once(' ').and_then(|(link, was)| Some((link.to_owned(), was.parse().ok()?))))
}

fn failed(record: &Path, source: std::io::Error) -> AgentError {
    AgentError::File { what: format!("keeping {}", record.display()), source }
}
