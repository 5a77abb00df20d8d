//! DescribeInternetGateways, and a gateway as replies show it.

use crate::Context;
use crate::filter::{Filter, each, one};
use crate::page::Query;
use crate::tag_spec::tag_list;
use gp_ec2::{ApiError, shapes};
use gp_model::InternetGateway;

/// # Errors
/// `InvalidInternetGatewayID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeInternetGatewaysRequest,
) -> Result<shapes::DescribeInternetGatewaysResult, ApiError> {
    let gateways = ctx.internet_gateways(&request.internet_gateway_ids)?;
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.internet_gateway_ids.is_empty(), "internetGatewayIds"),
    };
    let key = |gateway: &shapes::InternetGateway| gateway.internet_gateway_id.clone().unwrap_or_default();
    let shapes = gateways.iter().map(|gateway| shape(gateway));
    let (internet_gateways, next_token) = ctx.list(shapes, query, FILTERS, key)?;
    Ok(shapes::DescribeInternetGatewaysResult { internet_gateways, next_token })
}

const FILTERS: &[Filter<shapes::InternetGateway>] = &[
    ("attachment.state", |g| each(&g.attachments, |a| a.state.clone())),
    ("attachment.vpc-id", |g| each(&g.attachments, |a| a.vpc_id.clone())),
    ("internet-gateway-id", |g| one(&g.internet_gateway_id)),
    ("owner-id", |g| one(&g.owner_id)),
];

pub(super) fn shape(gateway: &InternetGateway) -> shapes::InternetGateway {
    // `available`, and not `attached`, is what AWS answers for internet gateways.
    let attachment = |vpc: gp_model::VpcId| shapes::InternetGatewayAttachment {
        state: Some("available".into()),
        vpc_id: Some(vpc.to_string()),
    };
    shapes::InternetGateway {
        attachments: gateway.attached_to.map(attachment).into_iter().collect(),
        internet_gateway_id: Some(gateway.id.to_string()),
        owner_id: Some(gateway.owner.to_string()),
        tags: tag_list(&gateway.tags),
    }
}
