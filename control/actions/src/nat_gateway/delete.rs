//! DeleteNatGateway.

use crate::Context;
use crate::network_interface::managed;
use gp_ec2::ApiError;
use gp_ec2::shapes::{DeleteNatGatewayRequest, DeleteNatGatewayResult};
use gp_model::NatGatewayState;

/// Its ENI goes, its Elastic IP addresses are free again and stay allocated, routes to it stay as black holes. The
/// gateway is seen as deleted for an hour; deleting it again changes nothing.
///
/// # Errors
/// `NatGatewayNotFound`.
pub(crate) fn delete(
    ctx: &mut Context<'_>,
    request: &DeleteNatGatewayRequest,
) -> Result<DeleteNatGatewayResult, ApiError> {
    let gateway = ctx.nat_gateway(request.nat_gateway_id.as_deref().unwrap_or_default())?;
    let now = ctx.now;
    if gateway.state != NatGatewayState::Deleted {
        if let Some(eni) = gateway.eni {
            managed::release(ctx, eni)?;
        }
        ctx.edit(&*gateway, |gateway| {
            gateway.state = NatGatewayState::Deleted;
            gateway.eni = None;
            gateway.deleted_at = Some(now);
            for address in &mut gateway.addresses {
                address.association = None;
            }
        });
    }
    Ok(DeleteNatGatewayResult { nat_gateway_id: Some(gateway.id.to_string()) })
}
