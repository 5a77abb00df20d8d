//! VPCs: a main route table, a default security group and a default network ACL come and go with each.

mod attribute;
mod cidr;
mod create;
mod delete;
mod describe;
mod ipv6;
mod ipv6_pool;
mod make;

pub(crate) use attribute::{describe_attribute, modify_attribute, modify_tenancy};
pub(crate) use cidr::{associate_cidr, disassociate_cidr};
pub(crate) use create::{create, create_default};
pub(crate) use delete::delete;
pub(crate) use describe::describe;
pub(crate) use ipv6_pool::{associated_cidrs, describe_pools};
pub(crate) use make::{NewVpc, make};

#[cfg(test)]
mod ipv6_pool_tests;
#[cfg(test)]
mod tests;
