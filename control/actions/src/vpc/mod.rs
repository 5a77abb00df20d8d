//! VPCs: a main route table, a default security group and a default network ACL come and go with each.

mod attribute;
mod cidr;
mod create;
mod delete;
mod describe;
mod make;

pub(crate) use attribute::{describe_attribute, modify_attribute, modify_tenancy};
pub(crate) use cidr::{associate_cidr, disassociate_cidr};
pub(crate) use create::{create, create_default};
pub(crate) use delete::delete;
pub(crate) use describe::describe;
pub(crate) use make::{NewVpc, make};

#[cfg(test)]
mod tests;
