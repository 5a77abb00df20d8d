//! Network ACLs, their entries, and which of them guards a subnet.

mod association;
mod create;
mod default;
mod describe;
mod entry;
mod traffic;

pub(crate) use association::replace_association;
pub(crate) use create::{create, delete};
pub(crate) use default::{allow_ipv6, default_entries};
pub(crate) use describe::describe;
pub(crate) use entry::{create_entry, delete_entry, replace_entry};

#[cfg(test)]
mod tests;
