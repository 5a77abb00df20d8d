//! DeleteVpc.

use crate::Context;
use gp_ec2::{ApiError, shapes};
use gp_model::{RecordKey, Vpc};

/// Takes a VPC away with its main route table, default group and default list.
///
/// # Errors
/// `DependencyViolation` while anything else is in the VPC.
pub(crate) fn delete(ctx: &mut Context<'_>, request: &shapes::DeleteVpcRequest) -> Result<(), ApiError> {
    let vpc = ctx.vpc(request.vpc_id.as_deref().unwrap_or_default())?;
    if has_dependents(ctx, &vpc) {
        let message = format!("The vpc '{}' has dependencies and cannot be deleted.", vpc.id);
        return Err(ApiError::client("DependencyViolation", message));
    }
    ctx.delete(RecordKey::RouteTable(vpc.main_route_table));
    ctx.delete(RecordKey::SecurityGroup(vpc.default_security_group));
    ctx.delete(RecordKey::NetworkAcl(vpc.default_network_acl));
    ctx.delete(RecordKey::Vpc(vpc.id));
    Ok(())
}

fn has_dependents(ctx: &Context<'_>, vpc: &Vpc) -> bool {
    let world = ctx.world();
    // An ENI is always in a subnet, so subnets answer for ENIs, instances and NAT gateways too.
    world.subnets_of_vpc(vpc.id).next().is_some()
        || world.gateway_of_vpc(vpc.id).is_some()
        || world.egress_only_gateway_of_vpc(vpc.id).is_some()
        || world.groups_of_vpc(vpc.id).any(|group| group.id != vpc.default_security_group)
        || world.route_tables_of_vpc(vpc.id).any(|table| table.id != vpc.main_route_table)
        || world.network_acls_of_vpc(vpc.id).any(|acl| acl != vpc.default_network_acl)
}
