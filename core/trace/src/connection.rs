//! Tracked connections: what makes security groups stateful.
//!
//! A connection belongs to one ENI. It is opened when a group's rule lets a packet pass whose answer would not be let
//! pass by rules alone, and it then lets both directions pass until it has been idle for its timeout.
//! Source: EC2 user guide, "Security group connection tracking".

use gp_model::EniId;
use gp_wire::FiveTuple;

/// One tracked connection of one ENI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// As the opening packet had it.
    pub tuple: FiveTuple,
    /// Did the opening packet leave the ENI (egress) or arrive at it?
    pub opened_by: gp_model::Direction,
}

/// The connections that a trace may look at. Tuples are given as the packet at hand has them: an implementation
/// answers for the opener's direction and for the reverse.
pub trait Connections {
    /// Is a packet with this tuple, seen at this ENI, part of a connection that the ENI tracks?
    fn find(&self, eni: EniId, tuple: &FiveTuple) -> Option<Connection>;
}

/// No connection at all: for questions about a first packet.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoConnections;

impl Connections for NoConnections {
    fn find(&self, _: EniId, _: &FiveTuple) -> Option<Connection> {
        None
    }
}
