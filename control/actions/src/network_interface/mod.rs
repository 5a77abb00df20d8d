//! Elastic network interfaces: their life, their addresses, and what they are attached to.
//!
//! An ENI that the API reports attached is attached: the server answers only when the host has done it, so the
//! passing states `attaching` and `detaching` are never seen here; `detached` is, for a short while and by the
//! attachment's id alone. Source: EC2 user guide, "Elastic network interfaces"; EC2 API reference.

mod address_request;
mod assign;
mod assign_ipv6;
mod attach;
mod attribute;
mod candidates;
mod create;
mod describe;
mod elastic_ip;
mod free;
mod limits;
pub(crate) mod managed;
mod new_eni;
mod pool;
mod usage;
mod view;

pub(crate) use address_request::{AddressRequest, Wanted, WireAddresses};
pub(crate) use assign::{assign_private_ip_addresses, unassign_private_ip_addresses};
pub(crate) use assign_ipv6::{assign_ipv6_addresses, unassign_ipv6_addresses};
pub(crate) use attach::{attach, check_free, check_zone, detach};
pub(crate) use attribute::{describe_attribute, modify_attribute, reset_attribute, set_groups};
pub(crate) use create::{create, delete};
pub(crate) use describe::describe;
pub(crate) use elastic_ip::freed_with as elastic_ips_freed_with;
pub(crate) use limits::{AddressLimits, check_fits, check_places};
pub(crate) use managed::check_changeable;
pub(crate) use new_eni::{EniKind, NewEni, NewEniError, connection_tracking, resolve_groups};
pub(crate) use pool::AddressFault;
pub(crate) use view::{attachment_status, group_identifiers, private_dns_name, private_domain, wire_time};

#[cfg(test)]
mod address_tests;
#[cfg(test)]
mod error_rows;
#[cfg(test)]
mod managed_tests;
#[cfg(test)]
mod tests;
