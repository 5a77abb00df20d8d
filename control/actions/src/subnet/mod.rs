//! Subnets: one zone, blocks out of their VPC's blocks.

mod attribute;
mod cidr;
mod create;
mod delete;
mod describe;
mod make;
mod reservation;

pub(crate) use attribute::modify_attribute;
pub(crate) use cidr::{associate_cidr, disassociate_cidr};
pub(crate) use create::{create, create_default};
pub(crate) use delete::delete;
pub(crate) use describe::{describe, hostname_type};
pub(crate) use make::{NewSubnet, make};
pub(crate) use reservation::{create as create_reservation, delete as delete_reservation, get as get_reservations};

#[cfg(test)]
mod reservation_tests;
#[cfg(test)]
mod tests;
