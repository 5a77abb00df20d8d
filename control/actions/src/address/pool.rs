//! Draws from the region's public addresses.

use crate::Context;
use gp_ec2::ApiError;
use std::net::Ipv4Addr;

/// A free public address, chosen at random.
///
/// # Errors
/// `InsufficientAddressCapacity` if every one is taken.
pub(super) fn draw(ctx: &mut Context<'_>) -> Result<Ipv4Addr, ApiError> {
    let all: Vec<_> = ctx.settings.public_pool.addresses(ctx.region()).collect();
    let start = usize::try_from(ctx.bits() % (all.len().max(1) as u128)).unwrap_or_default();
    let (before, after) = all.split_at(start);
    let free = after.iter().chain(before).find(|address| !ctx.world().is_public_ip_taken(**address));
    free.copied().ok_or_else(|| {
        let message = format!("The region's {} public IPv4 addresses are all in use.", all.len());
        ApiError::client("InsufficientAddressCapacity", message)
    })
}

/// May the region hand out this address?
pub(super) fn has(ctx: &Context<'_>, wanted: Ipv4Addr) -> bool {
    ctx.settings.public_pool.addresses(ctx.region()).any(|address| address == wanted)
}
