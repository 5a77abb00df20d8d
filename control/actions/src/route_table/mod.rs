//! Route tables and their associations. The routes in them are in [`crate::route`].

mod association;
mod create;
mod describe;

pub(crate) use association::{associate, disassociate, release_gateway, replace_association};
pub(crate) use create::{create, delete};
pub(crate) use describe::describe;

#[cfg(test)]
mod tests;
