//! Egress-only internet gateways: IPv6 out of a VPC for connections that are opened inside.
//!
//! One is made for a VPC and stays with it. What it does to packets is a stage of the trace.
//! Source: VPC user guide, "Egress-only internet gateways".

use crate::Context;
use crate::context::token_mismatch;
use crate::page::Query;
use crate::tag_spec::tag_list;
use gp_ec2::{ApiError, shapes};
use gp_model::{EgressOnlyInternetGateway, EgressOnlyInternetGatewayId, RecordKey};

#[cfg(test)]
mod tests;

/// # Errors
/// `InvalidVpcID.NotFound`; `InvalidParameterValue` where the VPC has one; `EgressOnlyInternetGatewayLimitExceeded`:
/// an account may have as many as VPCs.
pub(crate) fn create(
    ctx: &mut Context<'_>,
    request: &shapes::CreateEgressOnlyInternetGatewayRequest,
) -> Result<shapes::CreateEgressOnlyInternetGatewayResult, ApiError> {
    let tags = ctx.tags_for(&request.tag_specifications, "egress-only-internet-gateway")?;
    let answer = |gateway: &EgressOnlyInternetGateway| shapes::CreateEgressOnlyInternetGatewayResult {
        client_token: request.client_token.clone(),
        egress_only_internet_gateway: Some(shape(gateway)),
    };
    if let Some(created) = ctx.replayed()? {
        let gateways = ctx.egress_only_internet_gateways(&created).map_err(|_gone| token_mismatch())?;
        return gateways.first().map(|gateway| answer(gateway)).ok_or_else(token_mismatch);
    }
    let vpc = ctx.vpc(request.vpc_id.as_deref().unwrap_or_default())?;
    if ctx.world().egress_only_gateway_of_vpc(vpc.id).is_some() {
        let message = format!("Network {} already has an egress only internet gateway attached", vpc.id);
        return Err(ApiError::client("InvalidParameterValue", message));
    }
    if ctx.egress_only_internet_gateways(&[])?.len() >= ctx.settings.quotas.vpcs {
        let message = "The maximum number of egress-only internet gateways has been reached.";
        return Err(ApiError::client("EgressOnlyInternetGatewayLimitExceeded", message));
    }
    let id = ctx.draw(EgressOnlyInternetGatewayId::from_bits);
    let gateway = EgressOnlyInternetGateway { id, owner: ctx.account(), vpc: vpc.id, tags };
    ctx.put(gateway.clone());
    ctx.remember([gateway.id]);
    Ok(answer(&gateway))
}

/// # Errors
/// `InvalidGatewayID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeEgressOnlyInternetGatewaysRequest,
) -> Result<shapes::DescribeEgressOnlyInternetGatewaysResult, ApiError> {
    let gateways = ctx.egress_only_internet_gateways(&request.egress_only_internet_gateway_ids)?;
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.egress_only_internet_gateway_ids.is_empty(), "egressOnlyInternetGatewayIds"),
    };
    let key = |g: &shapes::EgressOnlyInternetGateway| g.egress_only_internet_gateway_id.clone().unwrap_or_default();
    let shapes = gateways.iter().map(|gateway| shape(gateway));
    let (egress_only_internet_gateways, next_token) = ctx.list(shapes, query, &[], key)?;
    Ok(shapes::DescribeEgressOnlyInternetGatewaysResult { egress_only_internet_gateways, next_token })
}

/// Routes to it stay, as black holes.
///
/// # Errors
/// `InvalidGatewayID.NotFound`.
pub(crate) fn delete(
    ctx: &mut Context<'_>,
    request: &shapes::DeleteEgressOnlyInternetGatewayRequest,
) -> Result<shapes::DeleteEgressOnlyInternetGatewayResult, ApiError> {
    let given = request.egress_only_internet_gateway_id.as_deref().unwrap_or_default();
    let gateway = ctx.egress_only_internet_gateway(given)?;
    ctx.delete(RecordKey::EgressOnlyInternetGateway(gateway.id));
    Ok(shapes::DeleteEgressOnlyInternetGatewayResult { return_code: Some(true) })
}

fn shape(gateway: &EgressOnlyInternetGateway) -> shapes::EgressOnlyInternetGateway {
    shapes::EgressOnlyInternetGateway {
        attachments: vec![shapes::InternetGatewayAttachment {
            state: Some("attached".to_owned()),
            vpc_id: Some(gateway.vpc.to_string()),
        }],
        egress_only_internet_gateway_id: Some(gateway.id.to_string()),
        tags: tag_list(&gateway.tags),
    }
}
