//! "Why does this packet (not) get there?", asked of the worlds and connections as they are now.

use crate::clock::Now;
use crate::engine::Engine;
use crate::kernel::Kernel;
use gp_model::World;
use gp_trace::{Asker, Probe, TraceError, Why};
use std::net::IpAddr;
use std::sync::Arc;

impl<K: Kernel> Engine<K> {
    /// Follows the probe's packet and its answer through the world of now, without sending them and without any
    /// effect. The world is the one that they were traced in.
    ///
    /// # Errors
    /// The ENI is not known here, or has no address of the family of `to`; nobody here has the public address `to`.
    pub fn why(&self, from: Asker, to: IpAddr, probe: Probe, now: Now) -> Result<(Arc<World>, Why), TraceError> {
        self.work(now, |work| {
            let mut worlds = work.state.view.regions.values();
            let world = match from {
                Asker::Eni(eni) => worlds.find(|world| world.eni(eni).is_some()).ok_or(TraceError::UnknownEni(eni))?,
                Asker::Outside(_) => worlds.find(|world| is_of(world, to)).ok_or(TraceError::NotOfARegion(to))?,
            };
            let why = gp_trace::why(world, &work.state.connections, from, to, probe, now.wall)?;
            Ok((world.clone(), why))
        })
    }
}

/// Is it a public address of the world?
fn is_of(world: &World, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => world.is_public_ip_taken(a),
        IpAddr::V6(a) => world.vpc_of_ipv6(a).is_some(),
    }
}
