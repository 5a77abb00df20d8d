//! Instances: launch, state, attributes and how they are described.
//!
//! The API moves an instance into a passing state (`pending`, `stopping`, `shutting-down`); the host that carries it
//! out reports back (see [`crate::plan_report`]) and the report moves it on. Source: EC2 user guide, "Instance
//! lifecycle".

mod attribute;
mod credit;
mod describe;
mod filters;
mod metadata_options;
mod modify;
mod run;
mod stand_in;
mod state;
mod status;
mod user_data;
mod view;

pub(crate) use attribute::describe_attribute;
pub(crate) use credit::describe_credit_specifications;
pub(crate) use describe::describe;
pub(crate) use metadata_options::modify_metadata_options;
pub(crate) use modify::{modify_attribute, reset_attribute};
pub(crate) use run::run;
pub use stand_in::{StandIn, plan_stand_in, plan_take_back};
pub(crate) use state::{reboot, start, stop, terminate};
pub(crate) use status::describe_status;

/// The boot that a launch asks for; each start and reboot asks for the next.
pub(crate) const FIRST_BOOT: u32 = 1;

#[cfg(test)]
mod stand_in_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;
