//! A VPC's blocks: AssociateVpcCidrBlock and DisassociateVpcCidrBlock.

use super::describe::{association, ipv6_association};
use super::ipv6::{WantedIpv6, draw_ipv6};
use crate::context::refuse_unsupported;
use crate::{Context, block, lookup, network_acl, security_group};
use gp_ec2::{ApiError, shapes};
use gp_model::{Vpc, VpcCidr, VpcCidrAssociationId};
use ipnet::{IpNet, Ipv4Net};

/// A VPC's smallest and largest IPv4 block.
const LENGTHS: std::ops::RangeInclusive<u8> = 16..=28;

/// Parses an IPv4 block and checks that a VPC may have it.
///
/// # Errors
/// `InvalidParameterValue`, `InvalidVpc.Range`.
pub(super) fn parse_vpc_block(text: &str) -> Result<Ipv4Net, ApiError> {
    let cidr = block::parse_ipv4(text, "cidrBlock")?;
    let never = block::NEVER_IN_A_VPC.iter().any(|never| block::overlap(*never, cidr));
    if !LENGTHS.contains(&cidr.prefix_len()) || never {
        return Err(ApiError::client("InvalidVpc.Range", format!("The CIDR '{text}' is invalid.")));
    }
    Ok(cidr)
}

/// Gives a VPC a further block: an IPv4 block of the caller's choice, or an IPv6 block that the region provides or that is
/// of a pool of the operator's own.
///
/// # Errors
/// `InvalidVpc.Range`, `InvalidVpc.Conflict`, `CidrLimitExceeded`, `InvalidParameterCombination`,
/// `MissingParameter`, `UnsupportedOperation`; for a pool those of [`draw_ipv6`].
pub(crate) fn associate_cidr(
    ctx: &mut Context<'_>,
    request: &shapes::AssociateVpcCidrBlockRequest,
) -> Result<shapes::AssociateVpcCidrBlockResult, ApiError> {
    refuse_unsupported(&[
        ("Ipv4IpamPoolId", request.ipv4_ipam_pool_id.is_some()),
        ("Ipv4NetmaskLength", request.ipv4_netmask_length.is_some()),
        ("Ipv6IpamPoolId", request.ipv6_ipam_pool_id.is_some()),
        ("Ipv6NetmaskLength", request.ipv6_netmask_length.is_some()),
    ])?;
    let vpc = ctx.vpc(request.vpc_id.as_deref().unwrap_or_default())?;
    let wanted = WantedIpv6 {
        amazon_provided: request.amazon_provided_ipv6_cidr_block == Some(true),
        pool: request.ipv6_pool.as_deref(),
        cidr: request.ipv6_cidr_block.as_deref(),
        border_group: request.ipv6_cidr_block_network_border_group.as_deref(),
    };
    let mut result = shapes::AssociateVpcCidrBlockResult { vpc_id: Some(vpc.id.to_string()), ..Default::default() };
    match (request.cidr_block.as_deref(), wanted.is_any()) {
        (Some(_), true) => {
            let message = "Only one of cidrBlock, amazonProvidedIpv6CidrBlock or ipv6Pool can be specified";
            return Err(ApiError::client("InvalidParameterCombination", message));
        }
        (Some(text), false) => {
            let cidr =
                VpcCidr { cidr: check_secondary(ctx, &vpc, text)?, id: ctx.draw(VpcCidrAssociationId::from_bits) };
            result.cidr_block_association = Some(association(&cidr, "associating"));
            ctx.edit(&*vpc, |vpc| vpc.cidrs.push(cidr));
        }
        (None, _) => {
            check_limit(&vpc, vpc.ipv6_cidrs.len(), ctx.settings.quotas.ipv6_cidrs_per_vpc)?;
            let Some(cidr) = draw_ipv6(ctx, wanted)? else {
                let message =
                    "The request must contain exactly one of: cidrBlock, amazonProvidedIpv6CidrBlock, ipv6Pool";
                return Err(ApiError::client("MissingParameter", message));
            };
            result.ipv6_cidr_block_association = Some(ipv6_association(&cidr, "associating"));
            let first = vpc.ipv6_cidrs.is_empty();
            let vpc = ctx.edit(&*vpc, |vpc| vpc.ipv6_cidrs.push(cidr));
            if first {
                network_acl::allow_ipv6(ctx, &vpc);
                security_group::allow_ipv6(ctx, &vpc);
            }
        }
    }
    Ok(result)
}

fn check_limit(vpc: &Vpc, has: usize, limit: usize) -> Result<(), ApiError> {
    if has < limit {
        return Ok(());
    }
    let message = format!("This network {} has met its maximum number of allowed CIDRs: {limit}", vpc.id);
    Err(ApiError::client("CidrLimitExceeded", message))
}

/// May the VPC have this further IPv4 block?
fn check_secondary(ctx: &Context<'_>, vpc: &Vpc, text: &str) -> Result<Ipv4Net, ApiError> {
    let cidr = parse_vpc_block(text)?;
    check_limit(vpc, vpc.cidrs.len(), ctx.settings.quotas.ipv4_cidrs_per_vpc)?;
    let existing: Vec<_> = vpc.cidrs.iter().map(|c| c.cidr).collect();
    if existing.iter().any(|other| block::overlap(*other, cidr)) {
        let message = format!("The CIDR '{text}' conflicts with another CIDR block of the VPC {}", vpc.id);
        return Err(ApiError::client("InvalidVpc.Conflict", message));
    }
    if block::restricted_with(&existing).iter().any(|restricted| block::overlap(*restricted, cidr)) {
        let message = format!(
            "The CIDR '{text}' is restricted. Use a CIDR from the same private address range as the current VPC CIDR, \
             or use a publicly-routable CIDR. For additional restrictions, see \
             https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html"
        );
        return Err(ApiError::client("InvalidVpc.Range", message));
    }
    let new = IpNet::V4(cidr);
    let routed = ctx.world().route_tables_of_vpc(vpc.id).flat_map(|table| &table.routes);
    // The local route of the new block must not take over what a static route says.
    if let Some(route) =
        routed.into_iter().find(|route| route.destination.block().is_some_and(|block| new.contains(&block)))
    {
        let message = format!(
            "The CIDR '{text}' conflicts with the route to {} in a route table of the VPC {}",
            route.destination, vpc.id
        );
        return Err(ApiError::client("InvalidVpc.Conflict", message));
    }
    Ok(cidr)
}

/// Takes a block from a VPC.
///
/// # Errors
/// `InvalidVpcCidrBlockAssociationID.NotFound`; `OperationNotPermitted` for the primary block; `DependencyViolation`
/// for a block that a subnet is in.
pub(crate) fn disassociate_cidr(
    ctx: &mut Context<'_>,
    request: &shapes::DisassociateVpcCidrBlockRequest,
) -> Result<shapes::DisassociateVpcCidrBlockResult, ApiError> {
    let text = request.association_id.as_deref().unwrap_or_default();
    let words = lookup::VPC_CIDR_ASSOCIATION;
    let id: VpcCidrAssociationId = words.parse(text)?;
    let has = |vpc: &Vpc| vpc.cidrs.iter().any(|c| c.id == id) || vpc.ipv6_cidrs.iter().any(|c| c.id == id);
    let vpc = ctx.vpcs(&[])?.into_iter().find(|vpc| has(vpc)).ok_or_else(|| words.not_found(&[text]))?;
    if vpc.cidrs[0].id == id {
        let message = format!(
            "The vpc CIDR block with association ID {id} may not be disassociated. It is the primary IPv4 CIDR block \
             of the VPC"
        );
        return Err(ApiError::client("OperationNotPermitted", message));
    }
    let block = vpc.cidrs.iter().filter(|c| c.id == id).map(|c| IpNet::V4(c.cidr));
    let block = block.chain(vpc.ipv6_cidrs.iter().filter(|c| c.id == id).map(|c| IpNet::V6(c.cidr))).next();
    let mut result = shapes::DisassociateVpcCidrBlockResult { vpc_id: Some(vpc.id.to_string()), ..Default::default() };
    if let Some(cidr) = vpc.cidrs.iter().find(|c| c.id == id) {
        check_unused(ctx, &vpc, IpNet::V4(cidr.cidr), id)?;
        result.cidr_block_association = Some(association(cidr, "disassociating"));
    }
    if let Some(cidr) = vpc.ipv6_cidrs.iter().find(|c| c.id == id) {
        check_unused(ctx, &vpc, IpNet::V6(cidr.cidr), id)?;
        result.ipv6_cidr_block_association = Some(ipv6_association(cidr, "disassociating"));
    }
    ctx.edit(&*vpc, |vpc| {
        vpc.cidrs.retain(|c| c.id != id);
        vpc.ipv6_cidrs.retain(|c| c.id != id);
    });
    if let Some(block) = block {
        remove_replaced_local_routes(ctx, &vpc, block);
    }
    Ok(result)
}

/// What stands in a local route's place goes with it.
fn remove_replaced_local_routes(ctx: &mut Context<'_>, vpc: &Vpc, block: IpNet) {
    let tables: Vec<_> = ctx.world().route_tables_of_vpc(vpc.id).cloned().collect();
    for table in tables {
        ctx.edit(&*table, |table| table.routes.retain(|route| route.destination != block.into()));
    }
}

fn check_unused(ctx: &Context<'_>, vpc: &Vpc, cidr: IpNet, id: VpcCidrAssociationId) -> Result<(), ApiError> {
    let mut used = ctx.world().subnets_of_vpc(vpc.id).flat_map(|subnet| subnet.blocks().collect::<Vec<_>>());
    if !used.any(|block| cidr.contains(&block)) {
        return Ok(());
    }
    let message = format!("The vpc CIDR block with association ID {id} has dependencies and cannot be disassociated.");
    Err(ApiError::client("DependencyViolation", message))
}
