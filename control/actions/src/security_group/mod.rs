//! Security groups and their rules.

mod make;

pub(crate) use make::{allow_ipv6, default_group};
