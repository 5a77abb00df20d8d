//! What would let a packet pass the gateways between a VPC and the outside.

use super::remedy::{Remedy, remedy};
use crate::stage::nat_gateway::addresses_for_new;
use crate::{DropReason, Path, Resource};
use gp_model::{NatGatewayId, World};
use std::net::IpAddr;

/// Is it one of the gateways' reasons for which there is a remedy?
pub(super) fn knows(reason: DropReason) -> bool {
    matches!(
        reason,
        DropReason::NoPublicAddress
            | DropReason::NoSuchPublicAddress
            | DropReason::NoInternetGateway
            | DropReason::EgressOnly
            | DropReason::NatIdleTimeout
            | DropReason::NatPortExhausted
            | DropReason::NatNoConnection
    )
}

pub(super) fn remedies(world: &World, path: &Path, reason: DropReason, resource: Option<Resource>) -> Vec<Remedy> {
    match (reason, resource) {
        (DropReason::NoPublicAddress, _) => public_address(world, path),
        (DropReason::NoSuchPublicAddress, _) => vec![elastic_address(world, path)],
        (DropReason::NoInternetGateway, Some(Resource::Vpc { id })) => vec![remedy(
            format!("Attach an internet gateway to {id}:"),
            format!("aws ec2 attach-internet-gateway --internet-gateway-id igw-… --vpc-id {id}"),
        )],
        (DropReason::EgressOnly, _) => {
            vec![remedy(
                "Route the receiver's subnet through an internet gateway if it is to be reached from outside.",
                None,
            )]
        }
        (DropReason::NatIdleTimeout, _) => {
            vec![remedy(
                "Open the connection anew, and have it send something (TCP keepalive) every 350 seconds.",
                None,
            )]
        }
        (DropReason::NatPortExhausted, Some(Resource::NatGateway { id })) => vec![more_ports(world, id)],
        (DropReason::NatNoConnection, _) => {
            vec![remedy(
                "A NAT gateway can't be reached from outside: use an Elastic IP address or a load balancer.",
                None,
            )]
        }
        _ => Vec::new(),
    }
}

/// The source has no public address: it gets one, or takes a way that needs none.
fn public_address(world: &World, path: &Path) -> Vec<Remedy> {
    let source = path.translated().src;
    let sender = path.ingress().eni().filter(|id| world.eni(*id).is_some_and(|eni| eni.holds(source)));
    let (Some(eni), IpAddr::V4(private)) = (sender, source) else {
        return vec![remedy("Only a source with a public address passes an internet gateway.", None)];
    };
    let command = format!(
        "aws ec2 associate-address --allocation-id eipalloc-… --network-interface-id {eni} --private-ip-address {private}"
    );
    vec![
        remedy(format!("Give {private} an Elastic IP address:"), command),
        remedy("Or route the subnet through a NAT gateway instead of the internet gateway.", None),
    ]
}

/// An allocated address that is associated with nothing.
fn elastic_address(world: &World, path: &Path) -> Remedy {
    let destination = path.translated().dst;
    let allocation = match destination {
        IpAddr::V4(public) => world.address_with_public_ip(public).map(|address| address.id),
        IpAddr::V6(_) => None,
    };
    match allocation {
        Some(id) => remedy(
            format!("Associate {destination} with a network interface:"),
            format!("aws ec2 associate-address --allocation-id {id} --network-interface-id eni-…"),
        ),
        None => {
            remedy(format!("{destination} is in use by nobody; automatic addresses change with every start."), None)
        }
    }
}

fn more_ports(world: &World, id: NatGatewayId) -> Remedy {
    let addresses = world.nat_gateway(id).map_or(0, |gateway| addresses_for_new(gateway).count());
    remedy(
        format!("Give {id} more addresses than its {addresses}, or spread the connections over more destinations:"),
        format!("aws ec2 associate-nat-gateway-address --nat-gateway-id {id} --allocation-ids eipalloc-…"),
    )
}
