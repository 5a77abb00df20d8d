//! CreateVpc and CreateDefaultVpc.

use super::ipv6::{WantedIpv6, draw_ipv6};
use super::{NewVpc, cidr, describe::ipv6_association, describe::shape, make};
use crate::context::refuse_unsupported;
use crate::{Context, provision};
use gp_ec2::{ApiError, shapes};
use gp_model::Vpc;

/// Tenancy `default` and an encryption control that is absent are what there is; IPAM pools are refused.
///
/// # Errors
/// `VpcLimitExceeded`, `InvalidVpc.Range`, `InvalidParameterValue`, `MissingParameter`, `UnsupportedOperation`; for a pool
/// of IPv6 addresses those of [`draw_ipv6`].
pub(crate) fn create(
    ctx: &mut Context<'_>,
    request: &shapes::CreateVpcRequest,
) -> Result<shapes::CreateVpcResult, ApiError> {
    refuse_unsupported(&[
        ("Ipv4IpamPoolId", request.ipv4_ipam_pool_id.is_some()),
        ("Ipv4NetmaskLength", request.ipv4_netmask_length.is_some()),
        ("Ipv6IpamPoolId", request.ipv6_ipam_pool_id.is_some()),
        ("Ipv6NetmaskLength", request.ipv6_netmask_length.is_some()),
        ("VpcEncryptionControl", request.vpc_encryption_control.is_some()),
    ])?;
    let Some(text) = request.cidr_block.as_deref() else {
        let message = "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.";
        return Err(ApiError::client("MissingParameter", message));
    };
    check_tenancy(request.instance_tenancy.as_deref())?;
    let cidr = cidr::parse_vpc_block(text)?;
    let tags = ctx.tags_for(&request.tag_specifications, "vpc")?;
    check_quota(ctx)?;
    let wanted = WantedIpv6 {
        amazon_provided: request.amazon_provided_ipv6_cidr_block == Some(true),
        pool: request.ipv6_pool.as_deref(),
        cidr: request.ipv6_cidr_block.as_deref(),
        border_group: request.ipv6_cidr_block_network_border_group.as_deref(),
    };
    let ipv6 = draw_ipv6(ctx, wanted)?;
    let vpc = make(ctx, NewVpc { cidr, ipv6, is_default: false, tags });
    Ok(shapes::CreateVpcResult { vpc: Some(pending(&vpc)) })
}

/// # Errors
/// `DefaultVpcAlreadyExists`, `VpcLimitExceeded`.
pub(crate) fn create_default(ctx: &mut Context<'_>) -> Result<shapes::CreateDefaultVpcResult, ApiError> {
    if ctx.default_vpc().is_some() {
        let message = "A Default VPC already exists for this account in this region.";
        return Err(ApiError::client("DefaultVpcAlreadyExists", message));
    }
    check_quota(ctx)?;
    let vpc = provision::default_vpc(ctx);
    Ok(shapes::CreateDefaultVpcResult { vpc: Some(pending(&vpc)) })
}

/// AWS answers the creation before the VPC is available, and clients know to wait.
fn pending(vpc: &Vpc) -> shapes::Vpc {
    shapes::Vpc {
        state: Some("pending".into()),
        block_public_access_states: None,
        ipv6_cidr_block_association_set: vpc.ipv6_cidrs.iter().map(|c| ipv6_association(c, "associating")).collect(),
        ..shape(vpc)
    }
}

fn check_tenancy(tenancy: Option<&str>) -> Result<(), ApiError> {
    match tenancy {
        None | Some("default") => Ok(()),
        Some("dedicated") => {
            Err(ApiError::unsupported("The instance tenancy dedicated is not supported by Groundplane."))
        }
        Some(other) => {
            Err(ApiError::invalid_value(other, "InstanceTenancy", "A VPC's tenancy is default or dedicated."))
        }
    }
}

fn check_quota(ctx: &Context<'_>) -> Result<(), ApiError> {
    if ctx.vpcs(&[])?.len() < ctx.settings.quotas.vpcs {
        return Ok(());
    }
    Err(ApiError::client("VpcLimitExceeded", "The maximum number of VPCs has been reached."))
}
