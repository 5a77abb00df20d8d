//! Bytes ↔ values: frames of guests parsed to [`Packet`] (decide on values, never on bytes).
//!
//! ```text
//! frame → parse → Packet            Reply → build → frame
//! ```
//!
//! Promises: no function here panics on any bytes, and [`parse`] allocates nothing (it runs once per upcall).

pub mod build;
mod checksum;
mod extension;
mod icmp_error;
mod packet;
mod parse;

pub use packet::*;
pub use parse::{ParseError, fuzz_parse, parse};
