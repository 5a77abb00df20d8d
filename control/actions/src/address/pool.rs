//! Draws from the region's public addresses: from those that anybody gets, or from a pool that is asked for by its id.

use crate::Context;
use gp_ec2::ApiError;
use gp_model::{Address, ByoipPool};
use std::net::Ipv4Addr;

/// What AWS calls the addresses that anybody gets.
pub(super) const AMAZON: &str = "amazon";

/// A free public address, chosen at random; not the one to avoid, as long as there is another.
///
/// # Errors
/// `InsufficientAddressCapacity` if every one is taken.
pub(super) fn draw(ctx: &mut Context<'_>, avoided: Option<Ipv4Addr>) -> Result<Ipv4Addr, ApiError> {
    let all: Vec<_> = ctx.settings.public_pool.addresses(ctx.region()).collect();
    draw_from(ctx, &all, avoided, "The region")
}

/// A free address of a pool.
///
/// # Errors
/// `InsufficientAddressCapacity` if every one is taken.
pub(super) fn draw_of_pool(ctx: &mut Context<'_>, pool: &ByoipPool) -> Result<Ipv4Addr, ApiError> {
    let all: Vec<_> = addresses_of(pool).collect();
    draw_from(ctx, &all, None, &format!("The pool {}", pool.id))
}

fn draw_from(
    ctx: &mut Context<'_>,
    all: &[Ipv4Addr],
    avoided: Option<Ipv4Addr>,
    whose: &str,
) -> Result<Ipv4Addr, ApiError> {
    let start = usize::try_from(ctx.bits() % (all.len().max(1) as u128)).unwrap_or_default();
    let (before, after) = all.split_at(start);
    let others = after.iter().chain(before).copied().filter(|address| Some(*address) != avoided);
    let free = others
        .chain(avoided.filter(|address| all.contains(address)))
        .find(|address| !ctx.world().is_public_ip_taken(*address));
    free.ok_or_else(|| {
        let message = format!("{whose}'s {} public IPv4 addresses are all in use.", all.len());
        ApiError::client("InsufficientAddressCapacity", message)
    })
}

/// The pool with that id; none for the addresses that anybody gets.
///
/// # Errors
/// `InvalidPublicIpv4PoolID.NotFound`.
pub(super) fn named<'a>(ctx: &Context<'a>, id: Option<&str>) -> Result<Option<&'a ByoipPool>, ApiError> {
    let Some(id) = id.filter(|id| *id != AMAZON) else { return Ok(None) };
    let pool = ctx.settings.public_pool.byoip(ctx.region()).iter().find(|pool| pool.id == id);
    pool.map(Some).ok_or_else(|| no_such_pool(id))
}

pub(super) fn no_such_pool(id: &str) -> ApiError {
    ApiError::client("InvalidPublicIpv4PoolID.NotFound", format!("The pool ID '{id}' does not exist"))
}

/// The pool that an address is in, or `amazon`; nothing for one that the region can't hand out.
pub(super) fn pool_of(ctx: &Context<'_>, wanted: Ipv4Addr) -> Option<String> {
    let pools = &ctx.settings.public_pool;
    let brought = pools.byoip(ctx.region()).iter().find(|pool| pool.block.contains(&wanted));
    let brought = brought.map(|pool| pool.id.clone());
    brought.or_else(|| pools.addresses(ctx.region()).any(|a| a == wanted).then(|| AMAZON.to_owned()))
}

/// Does the address count towards the account's quota? Those that the operator brought don't, as on AWS.
pub(super) fn counts(address: &Address) -> bool {
    address.pool == AMAZON
}

/// Every address of a pool, the first and the last one too.
fn addresses_of(pool: &ByoipPool) -> impl Iterator<Item = Ipv4Addr> + use<> {
    let (first, last) = (u32::from(pool.block.network()), u32::from(pool.block.broadcast()));
    (first..=last).map(Ipv4Addr::from)
}
