//! DescribeIpv6Pools and GetAssociatedIpv6PoolCidrs: the pools of IPv6 addresses that the operator brought, and whose blocks
//! they have become. They are configuration: nothing here makes, changes or tags one.

use super::ipv6::named;
use crate::Context;
use crate::page::Query;
use gp_ec2::{ApiError, shapes};
use gp_model::Ipv6Pool;

/// # Errors
/// `InvalidIpv6PoolID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe_pools(
    ctx: &Context<'_>,
    request: &shapes::DescribeIpv6PoolsRequest,
) -> Result<shapes::DescribeIpv6PoolsResult, ApiError> {
    request.pool_ids.iter().try_for_each(|id| named(ctx, id).map(drop))?;
    let pools = ctx.settings.public_pool.ipv6(ctx.region()).iter();
    let asked = |pool: &&Ipv6Pool| request.pool_ids.is_empty() || request.pool_ids.contains(&pool.id);
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.pool_ids.is_empty(), "poolIds"),
    };
    let key = |pool: &shapes::Ipv6Pool| pool.pool_id.clone().unwrap_or_default();
    let (ipv6_pools, next_token) = ctx.list(pools.filter(asked).map(shape), query, &[], key)?;
    Ok(shapes::DescribeIpv6PoolsResult { ipv6_pools, next_token })
}

fn shape(pool: &Ipv6Pool) -> shapes::Ipv6Pool {
    shapes::Ipv6Pool {
        pool_id: Some(pool.id.clone()),
        description: Some(String::new()),
        pool_cidr_blocks: vec![shapes::PoolCidrBlock { cidr: Some(pool.block.to_string()) }],
        ..Default::default()
    }
}

/// The blocks of a pool that the caller's VPCs have.
///
/// # Errors
/// `InvalidIpv6PoolID.NotFound`, and those of [`Context::list`].
pub(crate) fn associated_cidrs(
    ctx: &Context<'_>,
    request: &shapes::GetAssociatedIpv6PoolCidrsRequest,
) -> Result<shapes::GetAssociatedIpv6PoolCidrsResult, ApiError> {
    let pool = named(ctx, request.pool_id.as_deref().unwrap_or_default())?;
    let vpcs = ctx.vpcs(&[])?;
    let associations = vpcs.iter().flat_map(|vpc| {
        let of_pool = vpc.ipv6_cidrs.iter().filter(|cidr| cidr.pool == pool.id);
        of_pool.map(|cidr| shapes::Ipv6CidrAssociation {
            ipv6_cidr: Some(cidr.cidr.to_string()),
            associated_resource: Some(vpc.id.to_string()),
        })
    });
    let query = Query {
        filters: &[],
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (false, "poolId"),
    };
    let key = |association: &shapes::Ipv6CidrAssociation| association.ipv6_cidr.clone().unwrap_or_default();
    let (ipv6_cidr_associations, next_token) = ctx.list(associations, query, &[], key)?;
    Ok(shapes::GetAssociatedIpv6PoolCidrsResult { ipv6_cidr_associations, next_token })
}
