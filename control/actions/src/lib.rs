//! What each API action does, as a pure function: a world and a request give a transaction and a reply.
//!
//! ```text
//! plan(world, caller, request, now, ids, settings) -> Plan { changes, world, reply } | ApiError
//! ```
//!
//! - Pure: the clock and the randomness come in as arguments, so the whole API can be driven without I/O.
//! - All or nothing: a refused request changes nothing; a plan's changes become visible together.
//! - Whatever a request sets is either enforced by the rest of Groundplane or refused by name
//!   (`UnsupportedOperation`); nothing is only recorded.
//! - One file or folder per resource, named as AWS names it. The frame: [`Context`] (a working copy of the world,
//!   typed look-ups), `filter`, `page`, `tag_spec`, and `dispatch`, the one list of actions.
//!
//! Source: EC2 API reference, VPC user guide.

mod account_attributes;
mod address;
mod availability_zone;
mod block;
mod caller_identity;
mod context;
mod dhcp_options;
mod dispatch;
mod egress_only_internet_gateway;
mod filter;
mod host_report;
mod image;
mod instance;
mod instance_type;
mod internet_gateway;
mod key_pair;
mod lookup;
mod nat_gateway;
mod network_acl;
mod network_interface;
mod page;
mod place;
mod prefix_list;
mod provision;
mod region;
mod reset;
mod route;
mod route_table;
mod security_group;
mod settings;
mod subnet;
mod tag;
mod tag_spec;
mod trunk;
mod volume;
mod vpc;

#[cfg(test)]
mod random_calls;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use context::Context;
pub use host_report::plan_report;
pub use instance::{StandIn, plan_stand_in, plan_take_back};
pub use nat_gateway::{DialError, plan_drained, plan_nat_ports, plan_settled};
pub use place::{ZoneFacts, zones_of};
pub use provision::plan_provision;
pub use reset::{plan_expiry, plan_reset};
pub use settings::{QuotaError, Quotas, Settings};

use gp_ec2::{Action, ApiError, Reply, Request};
use gp_model::{AccountId, Change, Region, Timestamp, World};

/// Who asks, and in which region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub account: AccountId,
    /// The principal's id, as `RequesterId` and `UserId` show it. The account's own id is its root user.
    pub principal: String,
    pub region: Region,
}

/// Where new ids get their bits from. Every call must give bits that were not given before.
pub trait Ids {
    fn bits(&mut self) -> u128;
}

impl<F: FnMut() -> u128> Ids for F {
    fn bits(&mut self) -> u128 {
        self()
    }
}

/// What a request comes to: changes for the store, and the answer once they are in force.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In order; empty for a request that only reads.
    pub changes: Vec<Change>,
    /// What the changes make of the world that was planned on; none if there is no change.
    pub world: Option<World>,
    pub reply: Reply,
}

/// Plans one request. An account's first request in a region also brings its default VPC (see [`plan_provision`]).
///
/// # Errors
/// AWS's refusal. `DryRun` ends in `DryRunOperation` where the request would have succeeded, after every check.
pub fn plan(
    world: &World,
    caller: &Caller,
    request: &Request,
    now: Timestamp,
    ids: &mut dyn Ids,
    settings: &Settings,
) -> Result<Plan, ApiError> {
    let mut ctx = Context::new(world, caller, request, now, ids, settings);
    if !matches!(request.action, Action::GetCallerIdentity(_)) {
        provision::on_first_call(&mut ctx);
    }
    let reply = dispatch::run(&mut ctx, &request.action)?;
    if request.dry_run {
        return Err(ApiError::dry_run());
    }
    let (changes, world) = ctx.into_parts();
    Ok(Plan { changes, world, reply })
}
