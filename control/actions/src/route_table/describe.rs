//! DescribeRouteTables, and a table as replies show it.

use super::association::associated;
use crate::Context;
use crate::filter::{Filter, each, one};
use crate::page::Query;
use crate::tag_spec::tag_list;
use gp_ec2::{ApiError, shapes};
use gp_model::{Route, RouteDestination, RouteOrigin, RouteTable, RouteTarget};
use ipnet::IpNet;

/// # Errors
/// `InvalidRouteTableID.NotFound`, and those of [`Context::list`].
pub(crate) fn describe(
    ctx: &Context<'_>,
    request: &shapes::DescribeRouteTablesRequest,
) -> Result<shapes::DescribeRouteTablesResult, ApiError> {
    let tables = ctx.route_tables(&request.route_table_ids)?;
    let query = Query {
        filters: &request.filters,
        max_results: request.max_results,
        next_token: &request.next_token,
        ids: (!request.route_table_ids.is_empty(), "routeTableIds"),
    };
    let key = |table: &shapes::RouteTable| table.route_table_id.clone().unwrap_or_default();
    let (route_tables, next_token) = ctx.list(tables.iter().map(|table| shape(ctx, table)), query, FILTERS, key)?;
    Ok(shapes::DescribeRouteTablesResult { route_tables, next_token })
}

const FILTERS: &[Filter<shapes::RouteTable>] = &[
    ("association.gateway-id", |t| each(&t.associations, |a| a.gateway_id.clone())),
    ("association.main", |t| each(&t.associations, |a| a.main)),
    ("association.route-table-association-id", |t| each(&t.associations, |a| a.route_table_association_id.clone())),
    ("association.route-table-id", |t| each(&t.associations, |a| a.route_table_id.clone())),
    ("association.subnet-id", |t| each(&t.associations, |a| a.subnet_id.clone())),
    ("owner-id", |t| one(&t.owner_id)),
    ("route-table-id", |t| one(&t.route_table_id)),
    ("route.destination-cidr-block", |t| each(&t.routes, |r| r.destination_cidr_block.clone())),
    ("route.destination-ipv6-cidr-block", |t| each(&t.routes, |r| r.destination_ipv6_cidr_block.clone())),
    ("route.destination-prefix-list-id", |t| each(&t.routes, |r| r.destination_prefix_list_id.clone())),
    ("route.egress-only-internet-gateway-id", |t| each(&t.routes, |r| r.egress_only_internet_gateway_id.clone())),
    ("route.gateway-id", |t| each(&t.routes, |r| r.gateway_id.clone())),
    ("route.instance-id", |t| each(&t.routes, |r| r.instance_id.clone())),
    ("route.nat-gateway-id", |t| each(&t.routes, |r| r.nat_gateway_id.clone())),
    ("route.origin", |t| each(&t.routes, |r| r.origin.clone())),
    ("route.state", |t| each(&t.routes, |r| r.state.clone())),
    ("vpc-id", |t| one(&t.vpc_id)),
];

pub(super) fn shape(ctx: &Context<'_>, table: &RouteTable) -> shapes::RouteTable {
    let associations = table.associations.iter().map(|association| shapes::RouteTableAssociation {
        main: Some(association.main),
        route_table_association_id: Some(association.id.to_string()),
        route_table_id: Some(table.id.to_string()),
        subnet_id: association.subnet.map(|subnet| subnet.to_string()),
        gateway_id: association.gateway.map(|gateway| gateway.to_string()),
        association_state: Some(associated()),
        ..Default::default()
    });
    shapes::RouteTable {
        associations: associations.collect(),
        propagating_vgws: Vec::new(),
        route_table_id: Some(table.id.to_string()),
        routes: ctx.world().routes(table).map(|route| route_shape(ctx, table, &route)).collect(),
        tags: tag_list(&table.tags),
        vpc_id: Some(table.vpc.to_string()),
        owner_id: Some(table.owner.to_string()),
    }
}

fn route_shape(ctx: &Context<'_>, table: &RouteTable, route: &Route) -> shapes::Route {
    let origin = match route.origin {
        RouteOrigin::CreateRouteTable => "CreateRouteTable",
        RouteOrigin::CreateRoute => "CreateRoute",
    };
    let active = gp_trace::route_is_active(ctx.world(), table.vpc, route.target);
    let mut shape = shapes::Route {
        origin: Some(origin.into()),
        state: Some(if active { "active" } else { "blackhole" }.into()),
        ..Default::default()
    };
    match route.destination {
        RouteDestination::Block(IpNet::V4(net)) => shape.destination_cidr_block = Some(net.to_string()),
        RouteDestination::Block(IpNet::V6(net)) => shape.destination_ipv6_cidr_block = Some(net.to_string()),
        RouteDestination::PrefixList(list) => shape.destination_prefix_list_id = Some(list.to_string()),
    }
    match route.target {
        RouteTarget::Local => shape.gateway_id = Some("local".to_owned()),
        RouteTarget::InternetGateway(id) => shape.gateway_id = Some(id.to_string()),
        RouteTarget::EgressOnlyInternetGateway(id) => shape.egress_only_internet_gateway_id = Some(id.to_string()),
        RouteTarget::NatGateway(id) => shape.nat_gateway_id = Some(id.to_string()),
        RouteTarget::NetworkInterface(id) => {
            shape.network_interface_id = Some(id.to_string());
            if let Some(attachment) = ctx.world().eni(id).and_then(|eni| eni.attachment.as_ref()) {
                shape.instance_id = Some(attachment.instance.to_string());
                shape.instance_owner_id = Some(attachment.instance_owner.to_string());
            }
        }
    }
    shape
}
