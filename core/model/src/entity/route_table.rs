//! Route tables, their routes and what they are associated with.

use super::Tags;
use crate::{
    AccountId, EgressOnlyInternetGatewayId, EniId, InternetGatewayId, NatGatewayId, PrefixListId,
    RouteTableAssociationId, RouteTableId, SubnetId, VpcId,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    pub id: RouteTableId,
    pub owner: AccountId,
    pub vpc: VpcId,
    /// Static routes in the order they were made. The local routes are not stored: they follow from the VPC's
    /// blocks (see [`crate::World::routes`]), so that they can't disagree with them. A route whose destination is one of
    /// these blocks takes the place of the local one.
    pub routes: Vec<Route>,
    pub associations: Vec<RouteTableAssociation>,
    pub tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub destination: RouteDestination,
    pub target: RouteTarget,
    pub origin: RouteOrigin,
}

/// What a route is for: one block, or each block of a managed prefix list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteDestination {
    Block(IpNet),
    PrefixList(PrefixListId),
}

impl RouteDestination {
    pub fn block(self) -> Option<IpNet> {
        match self {
            Self::Block(block) => Some(block),
            Self::PrefixList(_) => None,
        }
    }
}

impl From<IpNet> for RouteDestination {
    fn from(block: IpNet) -> Self {
        Self::Block(block)
    }
}

impl std::fmt::Display for RouteDestination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Block(block) => block.fmt(f),
            Self::PrefixList(id) => id.fmt(f),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteTarget {
    Local,
    InternetGateway(InternetGatewayId),
    EgressOnlyInternetGateway(EgressOnlyInternetGatewayId),
    NatGateway(NatGatewayId),
    NetworkInterface(EniId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteOrigin {
    CreateRouteTable,
    CreateRoute,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTableAssociation {
    pub id: RouteTableAssociationId,
    /// Absent on the main association and on a gateway's.
    pub subnet: Option<SubnetId>,
    /// The table routes what comes in by this gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<InternetGatewayId>,
    pub main: bool,
}
