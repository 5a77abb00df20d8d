//! Subnets: one zone, blocks out of their VPC's blocks.

mod attribute;
mod cidr;
mod create;
mod delete;
mod describe;
mod make;

pub(crate) use attribute::modify_attribute;
pub(crate) use cidr::{associate_cidr, disassociate_cidr};
pub(crate) use create::{create, create_default};
pub(crate) use delete::delete;
pub(crate) use describe::{describe, hostname_type};
pub(crate) use make::{NewSubnet, make};

#[cfg(test)]
mod tests;
