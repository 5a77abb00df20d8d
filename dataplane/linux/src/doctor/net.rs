//! Network namespaces, veth pairs and taps.

use crate::error::LinuxError;
use crate::link::Links;
use crate::netns::NetNs;
use crate::tap;

pub(super) fn netns() -> Result<String, LinuxError> {
    let netns = NetNs::new_unpinned()?;
    let links = Links::open(&netns)?.list_links()?;
    Ok(format!("a new namespace has {} link", links.len()))
}

pub(super) fn veth() -> Result<String, LinuxError> {
    let netns = NetNs::new_unpinned()?;
    let (near, _) = Links::open(&netns)?.ensure_local_veth("gp-doctor0", "gp-doctor1", 9001)?;
    Ok(format!("MTU {}", near.mtu))
}

pub(super) fn tun() -> Result<String, LinuxError> {
    let netns = NetNs::new_unpinned()?;
    netns.run(|| {
        let fd = tap::open_tun()?;
        tap::attach(&fd, "gp-doctor0")
    })??;
    Ok("/dev/net/tun works".into())
}
