//! DescribePublicIpv4Pools: the pools that the operator brought. What anybody gets addresses of is none of them, as on
//! AWS. They are configuration: nothing here makes, changes or tags one.

use super::pool::no_such_pool;
use crate::Context;
use crate::page::Query;
use gp_ec2::{ApiError, shapes};
use gp_model::ByoipPool;

/// # Errors
/// `InvalidPublicIpv4PoolID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe_pools(
    ctx: &Context<'_>,
    request: &shapes::DescribePublicIpv4PoolsRequest,
) -> Result<shapes::DescribePublicIpv4PoolsResult, ApiError> {
    let pools = ctx.settings.public_pool.byoip(ctx.region());
    if let Some(unknown) = request.pool_ids.iter().find(|id| pools.iter().all(|pool| pool.id != **id)) {
        return Err(no_such_pool(unknown));
    }
    let asked = |pool: &&ByoipPool| request.pool_ids.is_empty() || request.pool_ids.contains(&pool.id);
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.pool_ids.is_empty(), "poolIds"),
    };
    let key = |pool: &shapes::PublicIpv4Pool| pool.pool_id.clone().unwrap_or_default();
    let shapes = pools.iter().filter(asked).map(|pool| shape(ctx, pool));
    let (public_ipv4_pools, next_token) = ctx.list(shapes, query, &[], key)?;
    Ok(shapes::DescribePublicIpv4PoolsResult { public_ipv4_pools, next_token })
}

fn shape(ctx: &Context<'_>, pool: &ByoipPool) -> shapes::PublicIpv4Pool {
    let (first, last) = (pool.block.network(), pool.block.broadcast());
    let count = i64::from(u32::from(last)) - i64::from(u32::from(first)) + 1;
    let taken = i64::try_from(ctx.world().public_ips_taken(first..=last)).unwrap_or(count);
    let range = shapes::PublicIpv4PoolRange {
        first_address: Some(first.to_string()),
        last_address: Some(last.to_string()),
        address_count: Some(count),
        available_address_count: Some(count - taken),
    };
    shapes::PublicIpv4Pool {
        pool_id: Some(pool.id.clone()),
        description: Some(String::new()),
        pool_address_ranges: vec![range],
        total_address_count: Some(count),
        total_available_address_count: Some(count - taken),
        network_border_group: Some(ctx.region().to_string()),
        ..Default::default()
    }
}
