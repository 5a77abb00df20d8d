//! Removes everything that a Groundplane of this name made on the host, whether its process lives or crashed.

use crate::config::AgentConfig;
use crate::error::AgentError;
use crate::guest;
use gp_linux::{Links, NetNs};
use gp_model::EniId;
use std::io::ErrorKind;

/// Ends the instances and removes links, maps, mounts and the run directory. Disks and the store stay. Call when the
/// process has ended.
///
/// # Errors
/// Something refuses to go; calling again goes on from there.
pub fn down(config: &AgentConfig) -> Result<(), AgentError> {
    end_instances(config)?;
    crate::uplink::remove(config)?;
    remove_links(config)?;
    // What else is in the namespace goes with it, soon.
    NetNs::remove_pinned(&config.netns_pin())?;
    gp_linux::mount::remove_bpffs(&config.bpffs())?;
    match std::fs::remove_dir_all(&config.run_dir) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(AgentError::File { what: format!("removing {}", config.run_dir.display()), source })
        }
        _ => Ok(()),
    }
}

/// Takes the ENIs' interfaces out of the namespaces that stay, before this returns.
fn remove_links(config: &AgentConfig) -> Result<(), AgentError> {
    // One that is not there holds none.
    let Ok(netns) = NetNs::open(&config.netns_pin()) else { return Ok(()) };
    let links = Links::open(&netns)?;
    let is_eni = |alias: &String| alias.parse::<EniId>().is_ok();
    let plugged = links.list_links()?.into_iter().filter(|link| link.alias.as_ref().is_some_and(is_eni));
    Ok(links.remove_links(&plugged.map(|link| link.ifindex).collect::<Vec<_>>())?)
}

fn end_instances(config: &AgentConfig) -> Result<(), AgentError> {
    let directory = config.instances_dir();
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(AgentError::File { what: format!("reading {}", directory.display()), source }),
    };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // Each may take its grace to end: all at once.
    std::thread::scope(|scope| {
        let ends: Vec<_> = ids
            .map(|id| {
                let place = config.instance(id);
                scope.spawn(move || guest::end(guest::adopt(&place).as_deref(), &place, false))
            })
            .collect();
        ends.into_iter().try_for_each(|end| end.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}
