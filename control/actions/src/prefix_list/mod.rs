//! Managed prefix lists: versioned sets of blocks that routes and security group rules name as one.
//!
//! AWS's own lists (`com.amazonaws.….s3`) don't exist: there is no such service behind them here.
//! Source: VPC user guide, "Managed prefix lists".

mod create;
mod describe;
mod entry;
mod modify;
mod quota;
mod reference;

pub(crate) use create::{create, delete};
pub(crate) use describe::{describe, describe_blocks, entries};
pub(crate) use modify::{modify, restore_version};
pub(crate) use quota::weight;
pub(crate) use reference::associations;

#[cfg(test)]
mod tests;
