//! The nouns of a region and the world that they make up.
//!
//! ```text
//! entity (Vpc, Subnet, Eni, …) → Record → Change → World::apply → tables + indexes
//! ```
//!
//! Pure values: no I/O, no clock, no randomness. The planner, the trace and the store all speak these types.

mod address;
mod block_set;
pub mod entity;
mod id;
mod index;
mod ipv6_pool;
mod journal;
mod place;
mod public_pool;
mod record;
mod rule_index;
mod traffic_cell;
mod world;

pub use address::{Mac, ParseMacError, host_net, nth_v4, nth_v6, overlaps};
pub use block_set::BlockSet;
pub use entity::*;
pub use id::*;
pub use ipv6_pool::{AMAZON_PROVIDED_IPV6, Ipv6Pool, Ipv6PoolError, LostIpv6Block, OUTSIDE_IPV6};
pub use place::*;
pub use public_pool::{ByoipPool, PublicPools};
pub use record::{Change, Generation, Record, RecordKey, Table, Tables, Transaction};
pub use rule_index::{RuleCells, RuleIndex};
pub use traffic_cell::{TrafficCell, TrafficCells, TrafficPoint};
pub use world::{ENI_IPV4_PREFIX_LEN, ENI_IPV6_PREFIX_LEN, World};
