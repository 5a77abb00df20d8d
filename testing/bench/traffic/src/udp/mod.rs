//! UDP frames of 64 bytes, as many of them and of as many flows as a packet socket sends.

pub mod established;
pub mod flow;
mod frame;
pub mod lane;
mod messages;
pub mod new;
pub mod overload;
mod pace;
mod sender;
pub mod server;
