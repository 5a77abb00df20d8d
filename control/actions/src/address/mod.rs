//! Public IPv4 addresses: Elastic IP addresses, and the automatic ones of instances.
//!
//! An Elastic IP address is a record of its own that names the private address it stands for; an automatic one is kept
//! on its ENI. Both come from the region's pools ([`gp_model::PublicPools`]); no address is ever held twice.
//! Source: EC2 user guide, "Elastic IP addresses" and "EC2 instance IP addressing".

mod allocate;
mod associate;
mod attribute;
pub(crate) mod automatic;
mod describe;
mod pool;
mod public_ipv4_pool;
mod transfer;
mod view;

pub(crate) use allocate::{allocate, release};
pub(crate) use associate::{associate, disassociate, held_by_service, stand_for};
pub(crate) use attribute::{describe_attribute, modify_attribute, reset_attribute};
pub(crate) use describe::describe;
pub(crate) use public_ipv4_pool::describe_pools;
pub(crate) use transfer::{accept, describe_transfers, disable, enable};
pub(crate) use view::{Association, association_of};

#[cfg(test)]
mod pool_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;
