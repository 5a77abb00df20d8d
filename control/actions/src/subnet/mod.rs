//! Subnets: one zone, blocks out of their VPC's blocks.

mod make;

pub(crate) use make::{NewSubnet, make};
