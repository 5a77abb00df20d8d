//! The IPv6 blocks that VPCs get: of the region's own, or of a pool that the operator brought.
//!
//! Source: API reference, CreateVpc and AssociateVpcCidrBlock; VPC user guide, "VPC CIDR blocks", "IPv6".

use crate::{Context, block};
use gp_ec2::ApiError;
use gp_model::{AMAZON_PROVIDED_IPV6, Ipv6Pool, VpcCidrAssociationId, VpcIpv6Cidr};
use ipnet::Ipv6Net;

/// A VPC's smallest and largest IPv6 block; in between in steps of 4.
const LENGTHS: std::ops::RangeInclusive<u8> = 44..=60;

/// What a request says about an IPv6 block.
#[derive(Clone, Copy)]
pub(super) struct WantedIpv6<'a> {
    pub amazon_provided: bool,
    pub pool: Option<&'a str>,
    pub cidr: Option<&'a str>,
    pub border_group: Option<&'a str>,
}

impl<'a> WantedIpv6<'a> {
    /// Is an IPv6 block asked for?
    pub fn is_any(&self) -> bool {
        self.amazon_provided || self.pool.is_some() || self.cidr.is_some()
    }

    /// The id of the pool of the operator's own that is asked for.
    fn own_pool(&self) -> Option<&'a str> {
        self.pool.filter(|pool| *pool != VpcIpv6Cidr::AMAZON)
    }
}

/// An IPv6 block that no VPC of the region has, if one is wanted.
///
/// # Errors
/// `InvalidParameterCombination`, `MissingParameter`, `InvalidParameterValue`; of a pool `InvalidIpv6PoolID.NotFound`,
/// `InvalidVpc.Range`, `InvalidCidr.InUse`, `InsufficientAddressCapacity`.
pub(super) fn draw_ipv6(ctx: &mut Context<'_>, wanted: WantedIpv6<'_>) -> Result<Option<VpcIpv6Cidr>, ApiError> {
    check_combination(wanted)?;
    if !wanted.is_any() {
        return Ok(None);
    }
    let region = ctx.region().as_str();
    if let Some(group) = wanted.border_group.filter(|group| *group != region) {
        let why = "The region has no such network border group.";
        return Err(ApiError::invalid_value(group, "Ipv6CidrBlockNetworkBorderGroup", why));
    }
    let pool = wanted.own_pool().map(|id| named(ctx, id)).transpose()?;
    let cidr = match (pool, wanted.cidr) {
        (Some(pool), Some(text)) => chosen(ctx, pool, text)?,
        (Some(pool), None) => {
            let length = block::IPV6_LEN.max(pool.block.prefix_len().next_multiple_of(4));
            any_of(ctx, pool.block, length).ok_or_else(|| {
                let message = format!("The pool {} has no free IPv6 CIDR block.", pool.id);
                ApiError::client("InsufficientAddressCapacity", message)
            })?
        }
        (None, _) => any_of(ctx, AMAZON_PROVIDED_IPV6, block::IPV6_LEN).ok_or_else(|| {
            ApiError::client("InsufficientAddressCapacity", "The region has no free IPv6 CIDR block.")
        })?,
    };
    let id = ctx.draw(VpcCidrAssociationId::from_bits);
    let pool = pool.map_or(VpcIpv6Cidr::AMAZON, |pool| &pool.id).to_owned();
    Ok(Some(VpcIpv6Cidr { id, cidr, pool, network_border_group: region.to_owned() }))
}

fn check_combination(wanted: WantedIpv6<'_>) -> Result<(), ApiError> {
    let refuse = |message: &str| Err(ApiError::client("InvalidParameterCombination", message));
    if wanted.border_group.is_some() && !wanted.amazon_provided {
        return refuse("The parameter Ipv6CidrBlockNetworkBorderGroup requires AmazonProvidedIpv6CidrBlock");
    }
    if wanted.amazon_provided && wanted.own_pool().is_some() {
        return refuse("The parameter Ipv6Pool cannot be used with the parameter AmazonProvidedIpv6CidrBlock");
    }
    match (wanted.cidr, wanted.pool) {
        (Some(_), None) if !wanted.amazon_provided => {
            Err(ApiError::client("MissingParameter", "The parameter Ipv6CidrBlock requires the parameter Ipv6Pool"))
        }
        (Some(_), _) if wanted.own_pool().is_none() => {
            refuse("The parameter Ipv6CidrBlock cannot be used for an Amazon-provided IPv6 CIDR block")
        }
        _ => Ok(()),
    }
}

/// The pool of the operator's own with that id.
///
/// # Errors
/// `InvalidIpv6PoolID.NotFound`.
pub(super) fn named<'a>(ctx: &Context<'a>, id: &str) -> Result<&'a Ipv6Pool, ApiError> {
    let pool = ctx.settings.public_pool.ipv6(ctx.region()).iter().find(|pool| pool.id == id);
    pool.ok_or_else(|| {
        ApiError::client("InvalidIpv6PoolID.NotFound", format!("The IPv6 pool ID '{id}' does not exist"))
    })
}

/// The block that the caller chose, if the pool has it and nobody else does.
fn chosen(ctx: &Context<'_>, pool: &Ipv6Pool, text: &str) -> Result<Ipv6Net, ApiError> {
    let cidr = block::parse_ipv6(text, "Ipv6CidrBlock")?;
    if !LENGTHS.contains(&cidr.prefix_len()) || cidr.prefix_len() % 4 != 0 {
        return Err(ApiError::client("InvalidVpc.Range", format!("The CIDR '{text}' is invalid.")));
    }
    if !pool.block.contains(&cidr) {
        let why = format!("The CIDR block is not in the pool {}.", pool.id);
        return Err(ApiError::invalid_value(text, "Ipv6CidrBlock", why));
    }
    match taken(ctx, cidr) {
        Some(other) => {
            let message = format!("The CIDR '{text}' conflicts with {other}, which is in use by another VPC.");
            Err(ApiError::client("InvalidCidr.InUse", message))
        }
        None => Ok(cidr),
    }
}

fn any_of(ctx: &mut Context<'_>, pool: Ipv6Net, length: u8) -> Option<Ipv6Net> {
    let bits = ctx.bits();
    block::free_ipv6(pool, length, bits, |block| taken(ctx, block))
}

/// A block of the region's VPCs that has addresses of this one.
fn taken(ctx: &Context<'_>, block: Ipv6Net) -> Option<Ipv6Net> {
    let blocks = ctx.world().tables().vpcs.values().flat_map(|vpc| vpc.ipv6_cidrs.iter().map(|c| c.cidr));
    blocks.into_iter().find(|other| block::overlap(*other, block))
}
