//! "Why does this packet (not) get there?", asked of the worlds and connections as they are now: of a probe, or of a
//! packet as it is.

use crate::clock::Now;
use crate::engine::Engine;
use crate::kernel::Kernel;
use gp_model::World;
use gp_trace::{Asker, Ingress, Path, Probe, TraceError, Why, trace};
use gp_wire::Packet;
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

    /// The path that a packet would take which comes in there now, without any effect. A fragment behind the first is
    /// judged with the ports of its first, as far as that is known.
    ///
    /// # Errors
    /// The ENI is not known here; no region here has a way to the outside.
    pub fn why_packet(&self, ingress: Ingress, mut packet: Packet, now: Now) -> Result<(Arc<World>, Path), TraceError> {
        self.work(now, |work| {
            let dst = packet.tuple().dst;
            let mut worlds = work.state.view.regions.values();
            let world = match ingress {
                Ingress::Eni(eni) => {
                    worlds.find(|world| world.eni(eni).is_some()).ok_or(TraceError::UnknownEni(eni))?
                }
                Ingress::Uplink => {
                    // Where nobody has the address, every region's gateway says so.
                    let has_uplink = |world: &&Arc<World>| work.state.ports.uplink(&world.region).is_some();
                    let of_address = work.state.view.regions.values().find(|world| is_of(world, dst));
                    of_address.or_else(|| worlds.find(has_uplink)).ok_or(TraceError::NotOfARegion(dst))?
                }
            };
            let side = work.state.ports.find(ingress, &world.region).map(|side| side.number);
            if let (Packet::Ip(packet), Some(number)) = (&mut packet, side) {
                work.state.fragments.recall(number, packet, work.now);
            }
            let path = trace(world, &work.state.connections, ingress, &packet, now.wall)?;
            Ok((world.clone(), path))
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
