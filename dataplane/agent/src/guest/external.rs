//! Guests that Groundplane didn't start: a namespace that somebody else made, or a TAP for somebody else's machine.
//!
//! There is nothing to boot or to stop. The namespace stays as it is but for the ENIs' interfaces; a TAP is made in the
//! host's own namespace, since whoever opens it lives there, and removed at the end. The guest counts as running for as
//! long as the namespace is still the one that was named, or the TAP is there.

use super::{Guest, PlugAll, Runner, Seat};
use crate::boot::BootPlan;
use crate::config::InstancePlace;
use crate::eni_plan::EniPlan;
use crate::error::AgentError;
use gp_linux::{Links, NetNs};
use gp_model::{ExternalGuest, ExternalNetns, GuestKind, InstanceId};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Name of the record in the run directory.
const RECORD: &str = "external.json";

#[derive(Debug)]
pub struct Externals;

impl Runner for Externals {
    fn start(&self, boot: &BootPlan, plug: PlugAll<'_>) -> Result<Arc<dyn Guest>, AgentError> {
        let GuestKind::External(kind) = &boot.kind else {
            return Err(AgentError::Guest("this is no guest of somebody else's".to_owned()));
        };
        let inode = match kind {
            ExternalGuest::Netns(netns) => Some(open(netns)?.inode()?),
            ExternalGuest::Tap(_) => None,
        };
        let guest = External { instance: boot.instance, kind: kind.clone(), inode, run: boot.place.run.clone() };
        guest.save()?;
        match plug(&|eni| guest.seat(eni)) {
            Ok(()) => Ok(Arc::new(guest)),
            Err(error) => {
                // The first error is the one to tell.
                let _ = guest.stop(Duration::ZERO);
                Err(error)
            }
        }
    }

    fn adopt(&self, place: &InstancePlace) -> Option<Arc<dyn Guest>> {
        let text = std::fs::read(place.run.join(RECORD)).ok()?;
        let guest = External { run: place.run.clone(), ..serde_json::from_slice(&text).ok()? };
        guest.is_running().then(|| Arc::new(guest) as Arc<dyn Guest>)
    }
}

/// The namespace, if Groundplane may put an interface into it.
fn open(netns: &ExternalNetns) -> Result<NetNs, AgentError> {
    let opened = NetNs::open(Path::new(&netns.path))?;
    if opened.inode()? == NetNs::current()?.inode()? {
        let what = "is the host's own network namespace, which stays as it is; name another one";
        return Err(AgentError::Guest(format!("{} {what}", netns.path)));
    }
    Ok(opened)
}

#[derive(Debug, Serialize, Deserialize)]
struct External {
    instance: InstanceId,
    kind: ExternalGuest,
    /// Of the namespace that was named: another one may take its path.
    inode: Option<u64>,
    #[serde(skip)]
    run: PathBuf,
}

impl External {
    fn save(&self) -> Result<(), AgentError> {
        let path = self.run.join(RECORD);
        let text = serde_json::to_vec(self).map_err(std::io::Error::from);
        text.and_then(|text| std::fs::write(&path, text))
            .map_err(|source| AgentError::File { what: format!("writing {}", path.display()), source })
    }

    fn netns(&self, netns: &ExternalNetns) -> Result<NetNs, AgentError> {
        let opened = open(netns)?;
        if Some(opened.inode()?) == self.inode {
            return Ok(opened);
        }
        Err(AgentError::Guest(format!("{} is another network namespace than it was", netns.path)))
    }

    /// What tells this instance's TAPs from anybody else's.
    fn alias(&self) -> String {
        self.instance.to_string()
    }
}

impl Guest for External {
    fn is_running(&self) -> bool {
        match &self.kind {
            ExternalGuest::Netns(netns) => self.netns(netns).is_ok(),
            ExternalGuest::Tap(name) => NetNs::current()
                .and_then(|host| Links::open(&host)?.link(name))
                .is_ok_and(|link| link.is_some_and(|link| link.alias == Some(self.alias()))),
        }
    }

    fn seat(&self, _eni: &EniPlan) -> Result<Seat, AgentError> {
        Ok(match &self.kind {
            ExternalGuest::Netns(netns) => {
                Seat::Netns { netns: self.netns(netns)?, is_configured: netns.is_configured }
            }
            ExternalGuest::Tap(_) => Seat::Tap { netns: NetNs::current()?, alias: self.alias() },
        })
    }

    /// The instance's TAPs go. What is in a namespace of somebody else's goes with the ENIs' near ends.
    fn stop(&self, _grace: Duration) -> Result<(), AgentError> {
        if let ExternalGuest::Tap(_) = self.kind {
            let links = Links::open(&NetNs::current()?)?;
            for tap in links.list_links()?.iter().filter(|link| link.alias == Some(self.alias())) {
                links.remove_link(&tap.name)?;
            }
        }
        let record = self.run.join(RECORD);
        match std::fs::remove_file(&record) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(AgentError::File { what: format!("removing {}", record.display()), source })
            }
            _ => Ok(()),
        }
    }
}
