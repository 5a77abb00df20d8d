//! Route tables, their routes and what they are associated with.

use super::Tags;
use crate::{AccountId, InternetGatewayId, RouteTableAssociationId, RouteTableId, SubnetId, VpcId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    pub id: RouteTableId,
    pub owner: AccountId,
    pub vpc: VpcId,
    /// Static routes in the order they were made. The local routes are not stored: they follow from the VPC's
    /// blocks (see [`crate::World::routes`]), so that they can't disagree with them.
    pub routes: Vec<Route>,
    pub associations: Vec<RouteTableAssociation>,
    pub tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub destination: IpNet,
    pub target: RouteTarget,
    pub origin: RouteOrigin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteTarget {
    Local,
    InternetGateway(InternetGatewayId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteOrigin {
    CreateRouteTable,
    CreateRoute,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTableAssociation {
    pub id: RouteTableAssociationId,
    /// Absent on the main association.
    pub subnet: Option<SubnetId>,
    pub main: bool,
}
