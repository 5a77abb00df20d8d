//! CreateRoute, ReplaceRoute and DeleteRoute.
//!
//! A route table's local routes follow from its VPC's blocks: they can't be made or taken away. Their target can be
//! replaced, and then the table keeps a route in their place.

mod create;
mod delete;
mod destination;
mod edge;
mod quota;
mod replace;
mod target;

pub(crate) use create::create;
pub(crate) use delete::delete;
pub(crate) use edge::{check_for_gateway, has_gateway};
pub(crate) use quota::check_quota;
pub(crate) use replace::replace;
pub(crate) use target::attached_gateway;

#[cfg(test)]
mod tests;

use crate::Context;
use gp_model::{RouteDestination, RouteTable};

/// Is it the destination of one of the table's local routes, whatever its target is now?
fn is_local(ctx: &Context<'_>, table: &RouteTable, destination: RouteDestination) -> bool {
    let vpc = ctx.world().vpc(table.vpc);
    vpc.is_some_and(|vpc| vpc.blocks().any(|block| destination == block.into()))
}
