//! DeleteSubnet.

use super::reservation;
use crate::Context;
use gp_ec2::{ApiError, shapes};
use gp_model::RecordKey;

/// The subnet's associations with a route table and a network ACL go with it, and its CIDR reservations.
///
/// # Errors
/// `InvalidSubnetID.NotFound`; `DependencyViolation` while an ENI is in the subnet.
pub(crate) fn delete(ctx: &mut Context<'_>, request: &shapes::DeleteSubnetRequest) -> Result<(), ApiError> {
    let subnet = ctx.subnet(request.subnet_id.as_deref().unwrap_or_default())?;
    if ctx.world().enis_of_subnet(subnet.id).next().is_some() {
        let message = format!("The subnet '{}' has dependencies and cannot be deleted.", subnet.id);
        return Err(ApiError::client("DependencyViolation", message));
    }
    let tables: Vec<_> = ctx.world().route_tables_of_vpc(subnet.vpc).cloned().collect();
    for table in tables {
        ctx.edit(&*table, |table| table.associations.retain(|a| a.subnet != Some(subnet.id)));
    }
    reservation::drop_of_subnet(ctx, subnet.id, |_| true);
    ctx.delete(RecordKey::Subnet(subnet.id));
    Ok(())
}
