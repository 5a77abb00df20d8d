//! Bytes ↔ values: frames of guests parsed to [`Packet`] (decide on values, never on bytes).
//!
//! ```text
//! frame → parse → Packet            Reply → build → frame            frame → translate → frame
//! ```
//!
//! Promises: no function here panics on any bytes, and [`parse`] allocates nothing (it runs once per upcall).

pub mod build;
mod checksum;
mod extension;
mod icmp_error;
pub mod nat64;
mod packet;
mod parse;
mod reply;
mod segment;
mod translate;

pub use packet::*;
pub use parse::{ParseError, fuzz_parse, parse};
pub use reply::{fragment, packet_too_big, tcp_reset, time_exceeded};
pub use segment::lower_mss;
pub use translate::{TranslateError, fuzz_translate, translate};
