//! DeleteNatGateway.

use crate::Context;
use gp_ec2::ApiError;
use gp_ec2::shapes::{DeleteNatGatewayRequest, DeleteNatGatewayResult};
use gp_model::NatGatewayState;

/// No packet passes any more; once the host has obeyed, its ENI goes, and its Elastic IP addresses are free again and stay
/// allocated. Routes to it stay as black holes. Deleting it again changes nothing.
///
/// # Errors
/// `NatGatewayNotFound`.
pub(crate) fn delete(
    ctx: &mut Context<'_>,
    request: &DeleteNatGatewayRequest,
) -> Result<DeleteNatGatewayResult, ApiError> {
    let gateway = ctx.nat_gateway(request.nat_gateway_id.as_deref().unwrap_or_default())?;
    if !matches!(gateway.state, NatGatewayState::Deleting | NatGatewayState::Deleted) {
        ctx.edit(&*gateway, |gateway| gateway.state = NatGatewayState::Deleting);
    }
    Ok(DeleteNatGatewayResult { nat_gateway_id: Some(gateway.id.to_string()) })
}
