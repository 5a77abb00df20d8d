//! "Why does this packet (not) get there?", asked of the worlds and connections as they are now.

use crate::clock::Now;
use crate::engine::Engine;
use crate::kernel::Kernel;
use gp_model::{EniId, World};
use gp_trace::{Probe, TraceError, Why};
use std::net::IpAddr;
use std::sync::Arc;

impl<K: Kernel> Engine<K> {
    /// Follows the probe's packet and its answer through the world of now, without sending them and without any
    /// effect. The world is the one that they were traced in.
    ///
    /// # Errors
    /// The ENI is not known here, or has no address of the family of `to`.
    pub fn why(&self, from: EniId, to: IpAddr, probe: Probe, now: Now) -> Result<(Arc<World>, Why), TraceError> {
        self.work(now, |work| {
            let mut worlds = work.state.view.regions.values();
            let world = worlds.find(|world| world.eni(from).is_some()).ok_or(TraceError::UnknownEni(from))?;
            let why = gp_trace::why(world, &work.state.connections, from, to, probe, now.wall)?;
            Ok((world.clone(), why))
        })
    }
}
