//! Takes the ways to the outside away, whether the process that made them lives or crashed.

use super::{CARD, NOTE, internet};
use crate::config::AgentConfig;
use crate::error::AgentError;
use gp_linux::{Links, NetNs};

/// Removes the pairs of links, the router and what `--internet` did to the host. Call in the host's namespace.
///
/// # Errors
/// The host refuses; calling again goes on from there.
pub(crate) fn remove(agent: &AgentConfig) -> Result<(), AgentError> {
    internet::remove(agent, &NetNs::current()?)?;
    // By name and not with their namespaces, which the kernel clears away when it has time: when `down` is done they are gone.
    for pin in [agent.netns_pin(), agent.router_pin()] {
        let Ok(netns) = NetNs::open(&pin) else { continue };
        let links = Links::open(&netns)?;
        let ours = |alias: &Option<String>| alias.as_ref().is_some_and(|alias| alias.starts_with(NOTE));
        for link in links.list_links()?.into_iter().filter(|link| ours(&link.alias)) {
            links.remove_link(&link.name)?;
        }
    }
    NetNs::remove_pinned(&agent.router_pin())?;
    Ok(())
}

/// Removes the router alone: the host is the outside now.
pub(super) fn remove_router(agent: &AgentConfig) -> Result<(), AgentError> {
    if let Ok(router) = NetNs::open(&agent.router_pin()) {
        Links::open(&router)?.remove_link(CARD)?;
    }
    NetNs::remove_pinned(&agent.router_pin())?;
    Ok(())
}
