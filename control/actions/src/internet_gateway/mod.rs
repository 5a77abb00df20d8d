//! Internet gateways: the way between a VPC and the outside.
//!
//! A gateway serves one VPC and a VPC has one gateway. What it does to packets is a stage of the trace.
//! Source: VPC user guide, "Internet gateways".

mod change;
mod describe;

pub(crate) use change::{attach, create, delete, detach};
pub(crate) use describe::describe;

#[cfg(test)]
mod tests;
