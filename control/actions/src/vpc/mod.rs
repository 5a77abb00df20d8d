//! VPCs: a main route table, a default security group and a default network ACL come and go with each.

mod make;

pub(crate) use make::{NewVpc, make};
