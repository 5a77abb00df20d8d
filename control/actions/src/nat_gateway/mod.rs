//! NAT gateways: many private addresses behind a few, for connections that are opened from inside.
//!
//! A gateway lives in one subnet, by an ENI of its own that holds its private addresses; each of a public gateway's
//! has an Elastic IP address. It needs nothing done on a host before it works, so it is available when the call that
//! makes it returns, though the reply says `pending` as AWS's does. What it can't be made with makes it `failed`: it is
//! there for an hour, and says why. Source: VPC user guide, "NAT gateways"; EC2 API reference, `NatGateway`.

mod address;
mod create;
mod delete;
mod describe;
mod dial;

pub(crate) use address::{assign_private, associate, disassociate, unassign_private};
pub(crate) use create::create;
pub(crate) use delete::delete;
pub(crate) use describe::describe;
pub use dial::{DialError, plan_nat_ports};

#[cfg(test)]
mod tests;
