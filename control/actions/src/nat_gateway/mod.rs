//! NAT gateways: many private addresses behind a few, for connections that are opened from inside.
//!
//! A gateway lives in one subnet, by an ENI of its own that holds its private addresses; each of a public gateway's
//! has an Elastic IP address. It is made `pending` and deleted by way of `deleting`; when the host has done what that
//! asks for, it is settled ([`plan_settled`]) as `available`, `deleted`, or, where it was made with what it can't have,
//! `failed`. Failed and deleted ones are there for an hour, and say why. An address that is taken away drains first: until
//! no connection uses it or its time is over ([`plan_drained`]). Source: VPC user guide, "NAT gateways"; EC2 API
//! reference, `NatGateway`, `DisassociateNatGatewayAddress`.

mod address;
mod create;
mod delete;
mod describe;
mod dial;
mod settle;

pub(crate) use address::{assign_private, associate, disassociate, unassign_private};
pub(crate) use create::create;
pub(crate) use delete::delete;
pub(crate) use describe::describe;
pub use dial::{DialError, plan_nat_ports};
pub(crate) use settle::plan_unused;
pub use settle::{plan_drained, plan_settled};

#[cfg(test)]
mod tests;
