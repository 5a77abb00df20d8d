//! The nouns of a region, one file per resource, as plain values.
//!
//! An entity knows its own facts and nothing that can be derived from another one; what is derived (who holds an
//! address, who is in a group) lives in the indexes of [`crate::World`].

mod account;
mod address;
mod eni;
mod gateway;
mod instance;
mod key_pair;
mod nat_gateway;
mod network_acl;
mod prefix_list;
mod route_table;
mod security_group;
mod subnet;
mod subnet_cidr_reservation;
mod trunk;
mod vpc;

pub use account::*;
pub use address::*;
pub use eni::*;
pub use gateway::*;
pub use instance::*;
pub use key_pair::*;
pub use nat_gateway::*;
pub use network_acl::*;
pub use prefix_list::*;
pub use route_table::*;
pub use security_group::*;
pub use subnet::*;
pub use subnet_cidr_reservation::*;
pub use trunk::*;
pub use vpc::*;

/// Tags by key, in key order.
pub type Tags = std::collections::BTreeMap<String, String>;
