//! A subnet's blocks: what may be one, AssociateSubnetCidrBlock and DisassociateSubnetCidrBlock.

use super::describe::ipv6_association;
use super::reservation;
use crate::context::refuse_unsupported;
use crate::{Context, block, lookup};
use gp_ec2::{ApiError, shapes};
use gp_model::{Subnet, SubnetCidrAssociationId, SubnetIpv6Cidr, Vpc};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A subnet's smallest and largest IPv4 block.
const IPV4_LENGTHS: std::ops::RangeInclusive<u8> = 16..=28;
/// A subnet's smallest and largest IPv6 block; in between in steps of 4.
const IPV6_LENGTHS: std::ops::RangeInclusive<u8> = 44..=64;

/// # Errors
/// `InvalidParameterValue`, `InvalidSubnet.Range`, `InvalidSubnet.Conflict`.
pub(super) fn check_ipv4(ctx: &Context<'_>, vpc: &Vpc, text: &str) -> Result<Ipv4Net, ApiError> {
    let cidr = block::parse_ipv4(text, "cidrBlock")?;
    let inside = vpc.cidrs.iter().any(|c| c.cidr.contains(&cidr));
    if !IPV4_LENGTHS.contains(&cidr.prefix_len()) || !inside {
        return Err(out_of_range(text));
    }
    refuse_overlap(ctx, vpc, cidr.into(), text)?;
    Ok(cidr)
}

/// # Errors
/// `InvalidParameterValue`, `InvalidSubnet.Range`, `InvalidSubnet.Conflict`.
pub(super) fn check_ipv6(ctx: &Context<'_>, vpc: &Vpc, text: &str) -> Result<Ipv6Net, ApiError> {
    let cidr = block::parse_ipv6(text, "ipv6CidrBlock")?;
    let inside = vpc.ipv6_cidrs.iter().any(|c| c.cidr.contains(&cidr));
    if !IPV6_LENGTHS.contains(&cidr.prefix_len()) || cidr.prefix_len() % 4 != 0 || !inside {
        return Err(out_of_range(text));
    }
    refuse_overlap(ctx, vpc, cidr.into(), text)?;
    Ok(cidr)
}

fn out_of_range(text: &str) -> ApiError {
    ApiError::client("InvalidSubnet.Range", format!("The CIDR '{text}' is invalid."))
}

fn refuse_overlap(ctx: &Context<'_>, vpc: &Vpc, cidr: IpNet, text: &str) -> Result<(), ApiError> {
    if !overlaps_a_subnet(ctx, vpc, cidr) {
        return Ok(());
    }
    let message = format!("The CIDR '{text}' conflicts with another subnet");
    Err(ApiError::client("InvalidSubnet.Conflict", message))
}

/// Does any subnet of the VPC have an address of this block?
pub(super) fn overlaps_a_subnet(ctx: &Context<'_>, vpc: &Vpc, cidr: IpNet) -> bool {
    ctx.world().subnets_of_vpc(vpc.id).any(|subnet| subnet.blocks().any(|block| block::overlap(block, cidr)))
}

/// Gives a subnet an IPv6 block. A subnet has one at most.
///
/// # Errors
/// `InvalidSubnetID.NotFound`, `InvalidSubnet.Range`, `InvalidSubnet.Conflict`, `MissingParameter`,
/// `InvalidParameterValue`, `UnsupportedOperation`.
pub(crate) fn associate_cidr(
    ctx: &mut Context<'_>,
    request: &shapes::AssociateSubnetCidrBlockRequest,
) -> Result<shapes::AssociateSubnetCidrBlockResult, ApiError> {
    refuse_unsupported(&[
        ("Ipv6IpamPoolId", request.ipv6_ipam_pool_id.is_some()),
        ("Ipv6NetmaskLength", request.ipv6_netmask_length.is_some()),
    ])?;
    let subnet = ctx.subnet(request.subnet_id.as_deref().unwrap_or_default())?;
    let Some(text) = request.ipv6_cidr_block.as_deref() else {
        let message = "Either 'ipv6CidrBlock' or 'ipv6IpamPoolId' should be provided.";
        return Err(ApiError::client("MissingParameter", message));
    };
    let vpc = ctx.vpc(&subnet.vpc.to_string())?;
    let cidr = check_ipv6(ctx, &vpc, text)?;
    if !subnet.ipv6_cidrs.is_empty() {
        let message = format!("The subnet {} already has an IPv6 CIDR block", subnet.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    let cidr = SubnetIpv6Cidr { id: ctx.draw(SubnetCidrAssociationId::from_bits), cidr };
    let association = ipv6_association(&cidr, "associating");
    ctx.edit(&*subnet, |subnet| subnet.ipv6_cidrs.push(cidr));
    Ok(shapes::AssociateSubnetCidrBlockResult {
        ipv6_cidr_block_association: Some(association),
        subnet_id: Some(subnet.id.to_string()),
    })
}

/// Takes a subnet's IPv6 block.
///
/// # Errors
/// `InvalidSubnetCidrBlockAssociationID.NotFound`; `OperationNotPermitted` for an IPv6-only subnet;
/// `DependencyViolation` while an ENI has an address of the block.
pub(crate) fn disassociate_cidr(
    ctx: &mut Context<'_>,
    request: &shapes::DisassociateSubnetCidrBlockRequest,
) -> Result<shapes::DisassociateSubnetCidrBlockResult, ApiError> {
    let text = request.association_id.as_deref().unwrap_or_default();
    let words = lookup::SUBNET_CIDR_ASSOCIATION;
    let id: SubnetCidrAssociationId = words.parse(text)?;
    let find = |subnet: &Subnet| subnet.ipv6_cidrs.iter().find(|c| c.id == id).cloned();
    let found = ctx.subnets(&[])?.into_iter().find_map(|subnet| find(&subnet).map(|cidr| (subnet, cidr)));
    let Some((subnet, cidr)) = found else { return Err(words.not_found(&[text])) };
    if subnet.is_ipv6_native() {
        let message = format!("The IPv6 CIDR block of the IPv6-only subnet {} may not be disassociated", subnet.id);
        return Err(ApiError::client("OperationNotPermitted", message));
    }
    let uses = |eni: &gp_model::Eni| {
        eni.ipv6.iter().any(|a| cidr.cidr.contains(a))
            || eni.ipv6_prefixes.iter().any(|prefix| cidr.cidr.contains(prefix))
    };
    if ctx.world().enis_of_subnet(subnet.id).any(|eni| uses(eni)) {
        let message =
            format!("The subnet CIDR block with association ID {id} has dependencies and cannot be disassociated.");
        return Err(ApiError::client("DependencyViolation", message));
    }
    reservation::drop_of_subnet(ctx, subnet.id, |reserved| IpNet::V6(cidr.cidr).contains(reserved));
    ctx.edit(&*subnet, |subnet| {
        subnet.ipv6_cidrs.retain(|c| c.id != id);
        // There is nothing left to assign from.
        subnet.assign_ipv6_address_on_creation = false;
    });
    Ok(shapes::DisassociateSubnetCidrBlockResult {
        ipv6_cidr_block_association: Some(ipv6_association(&cidr, "disassociating")),
        subnet_id: Some(subnet.id.to_string()),
    })
}
