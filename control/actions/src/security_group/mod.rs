//! Security groups and their rules.

mod make;

pub(crate) use make::default_group;
