//! Bytes ↔ values: frames of guests parsed to [`Packet`] (decide on values, never on bytes).

mod packet;

pub use packet::*;
