//! What Groundplane knows of EC2's instance types and of the images that its instances start from.
//!
//! Both are tables, checked in and parsed once; nothing here depends on an account or on the clock.
//! Source of the types: `instance_types.json`, a dump of DescribeInstanceTypes with the limits per network card.

mod allowance;
mod image;
mod instance_type;

pub use allowance::Bandwidth;
pub use image::{IMAGES, Image, SANDBOX_DESCRIPTION};
pub use instance_type::{
    Catalog, ConntrackDefaults, EnaSupport, Hypervisor, InstanceType, NetworkCard, PlacementStrategy, catalog,
};
