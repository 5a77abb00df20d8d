//! An account's first call in a region: the default VPC and its parts come into being.
//!
//! The account's record stays, so a default VPC that the user deletes does not come back by itself.

use crate::{Caller, Context, Ids, Settings, block, subnet, vpc, zones_of};
use gp_model::{
    Account, Change, InternetGateway, InternetGatewayId, Route, RouteOrigin, RouteTarget, Tags, Timestamp, Vpc, World,
};
use ipnet::IpNet;

/// The changes that an account's first call in a region brings, for whoever wants them before that call. Empty if
/// the account has them.
pub fn plan_provision(
    world: &World,
    caller: &Caller,
    now: Timestamp,
    ids: &mut dyn Ids,
    settings: &Settings,
) -> Vec<Change> {
    let action = gp_ec2::Action::GetCallerIdentity(Default::default());
    let request = gp_ec2::Request { action, version: None, dry_run: false, client_token: None };
    let mut ctx = Context::new(world, caller, &request, now, ids, settings);
    on_first_call(&mut ctx);
    ctx.into_changes()
}

/// Brings the account's record and default VPC, unless this is not its first call.
pub(crate) fn on_first_call(ctx: &mut Context<'_>) {
    let id = ctx.account();
    if ctx.world().tables().accounts.contains_key(&id) {
        return;
    }
    ctx.put(Account { id, provisioned_at: ctx.now });
    default_vpc(ctx);
}

/// A default VPC: 172.31.0.0/16, a /20 subnet in each zone, an internet gateway and the route to it.
pub(crate) fn default_vpc(ctx: &mut Context<'_>) -> Vpc {
    let parts = vpc::NewVpc { cidr: block::DEFAULT_VPC, ipv6: None, is_default: true, tags: Tags::new() };
    let vpc = vpc::make(ctx, parts);
    let gateway = InternetGateway {
        id: ctx.draw(InternetGatewayId::from_bits),
        owner: vpc.owner,
        attached_to: Some(vpc.id),
        tags: Tags::new(),
    };
    let main = ctx.world().route_table(vpc.main_route_table).cloned().expect("a VPC is made with its main table");
    ctx.edit(&*main, |table| {
        table.routes.push(Route {
            destination: IpNet::V4(block::ALL_IPV4).into(),
            target: RouteTarget::InternetGateway(gateway.id),
            origin: RouteOrigin::CreateRoute,
        });
    });
    ctx.put(gateway);
    let blocks = block::DEFAULT_VPC.subnets(block::DEFAULT_SUBNET_LEN).expect("a /16 has subnets of that size");
    for (facts, cidr) in zones_of(ctx.region(), ctx.settings).into_iter().zip(blocks) {
        subnet::make(ctx, &vpc, subnet::NewSubnet::default_for(facts.zone, cidr));
    }
    vpc
}
