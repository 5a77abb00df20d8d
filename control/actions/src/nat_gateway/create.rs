//! CreateNatGateway.

use super::address::{check_count, parse_addresses};
use super::describe::shape;
use crate::address::stand_for;
use crate::context::{refuse_unsupported, token_mismatch};
use crate::network_interface::managed::{self, ManagedEni};
use crate::network_interface::{AddressFault, AddressRequest, NewEniError, Wanted};
use crate::{Context, lookup};
use gp_ec2::ApiError;
use gp_ec2::shapes::{CreateNatGatewayRequest, CreateNatGatewayResult};
use gp_model::{
    Address, Eni, InterfaceType, NatConnectivity, NatGateway, NatGatewayAddress, NatGatewayId, NatGatewayState, Subnet,
};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// The account that NAT gateways' ENIs are requested by, as AWS shows it.
const REQUESTER: &str = "727180483921";

/// A gateway's checked parameters.
struct Wish {
    subnet: Arc<Subnet>,
    connectivity: NatConnectivity,
    /// Of a public gateway: one for each of its addresses, the primary first.
    allocations: Vec<String>,
    addresses: AddressRequest,
}

/// Why a gateway fails that the call has accepted.
struct Failure {
    code: &'static str,
    message: String,
}

/// # Errors
/// `InvalidSubnetID.NotFound`, `NatGatewayLimitExceeded`, `MissingParameter`, `InvalidParameterCombination`, what a
/// named private address is refused for; `UnsupportedOperation` for a regional gateway.
pub(crate) fn create(
    ctx: &mut Context<'_>,
    request: &CreateNatGatewayRequest,
) -> Result<CreateNatGatewayResult, ApiError> {
    let tags = ctx.tags_for(&request.tag_specifications, "natgateway")?;
    if let Some(created) = ctx.replayed()? {
        let gateways = ctx.nat_gateways(&created).map_err(|_gone| token_mismatch())?;
        let gateway = gateways.first().ok_or_else(token_mismatch)?;
        return Ok(reply(ctx, request, gateway));
    }
    refuse_unsupported(&[
        ("AvailabilityMode=regional", request.availability_mode.as_deref() == Some("regional")),
        ("VpcId", request.vpc_id.is_some()),
        ("AvailabilityZoneAddress", !request.availability_zone_addresses.is_empty()),
    ])?;
    let wish = wish(ctx, request)?;
    check_quota(ctx, &wish.subnet)?;
    let id = ctx.draw(NatGatewayId::from_bits);
    let mut gateway = NatGateway {
        id,
        owner: ctx.account(),
        vpc: wish.subnet.vpc,
        subnet: wish.subnet.id,
        eni: None,
        connectivity: wish.connectivity,
        state: NatGatewayState::Pending,
        failure: None,
        addresses: Vec::new(),
        ports_per_destination: None,
        created_at: ctx.now,
        deleted_at: None,
        tags,
    };
    if let Err(Failure { code, message }) = build(ctx, &mut gateway, wish)? {
        gateway.failure = Some((code.to_owned(), message));
    }
    ctx.put(gateway.clone());
    ctx.remember([id]);
    Ok(reply(ctx, request, &gateway))
}

fn reply(ctx: &Context<'_>, request: &CreateNatGatewayRequest, gateway: &NatGateway) -> CreateNatGatewayResult {
    let nat_gateway = Some(shape(ctx, gateway));
    CreateNatGatewayResult { client_token: request.client_token.clone(), nat_gateway }
}

fn wish(ctx: &Context<'_>, request: &CreateNatGatewayRequest) -> Result<Wish, ApiError> {
    let connectivity = match request.connectivity_type.as_deref() {
        Some("private") => NatConnectivity::Private,
        _ => NatConnectivity::Public,
    };
    let given = request.subnet_id.as_deref().ok_or_else(|| ApiError::missing_parameter("SubnetId"))?;
    let subnet = ctx.subnet(given)?;
    let secondary = request.secondary_allocation_ids.iter().cloned();
    let allocations: Vec<_> = request.allocation_id.iter().cloned().chain(secondary).collect();
    match connectivity {
        NatConnectivity::Public if request.allocation_id.is_none() => {
            return Err(ApiError::missing_parameter("AllocationId"));
        }
        NatConnectivity::Private if !allocations.is_empty() => {
            return Err(combination("A private NAT gateway can't have Elastic IP addresses."));
        }
        _ => {}
    }
    let addresses = AddressRequest {
        primary: parse_addresses(request.private_ip_address.as_slice())?.first().copied(),
        secondary: secondary_addresses(request, connectivity)?,
        ..Default::default()
    };
    check_count(ctx, connectivity, 1 + addresses.secondary.len())?;
    Ok(Wish { subnet, connectivity, allocations, addresses })
}

/// The private addresses beside the primary one. A public gateway has one for each further Elastic IP address.
fn secondary_addresses(
    request: &CreateNatGatewayRequest,
    connectivity: NatConnectivity,
) -> Result<Wanted<Ipv4Addr>, ApiError> {
    let listed = parse_addresses(&request.secondary_private_ip_addresses)?;
    let elastic = request.secondary_allocation_ids.len();
    match (connectivity, request.secondary_private_ip_address_count) {
        (NatConnectivity::Public, Some(_)) => {
            Err(combination("SecondaryPrivateIpAddressCount is for private NAT gateways only."))
        }
        (NatConnectivity::Private, Some(_)) if !listed.is_empty() => {
            let message = "The parameters SecondaryPrivateIpAddresses and SecondaryPrivateIpAddressCount may not be \
                           specified together";
            Err(combination(message))
        }
        (NatConnectivity::Private, Some(count)) => usize::try_from(count)
            .map(Wanted::Count)
            .map_err(|_| ApiError::invalid_value(count, "SecondaryPrivateIpAddressCount", "Expecting a number.")),
        (NatConnectivity::Public, None) if listed.is_empty() => Ok(Wanted::Count(elastic)),
        (NatConnectivity::Public, None) if listed.len() != elastic => {
            Err(combination("There must be as many SecondaryPrivateIpAddresses as SecondaryAllocationIds."))
        }
        (_, None) => Ok(Wanted::Listed(listed)),
    }
}

fn combination(message: &str) -> ApiError {
    ApiError::client("InvalidParameterCombination", message)
}

fn check_quota(ctx: &Context<'_>, subnet: &Subnet) -> Result<(), ApiError> {
    let world = ctx.world();
    let counts = |gateway: &Arc<NatGateway>| {
        let lives = !matches!(gateway.state, NatGatewayState::Failed | NatGatewayState::Deleted);
        let zone = world.subnet(gateway.subnet).map(|subnet| &subnet.zone);
        lives && gateway.owner == ctx.account() && zone == Some(&subnet.zone)
    };
    let limit = ctx.settings.quotas.nat_gateways_per_zone;
    if world.tables().nat_gateways.values().filter(|gateway| counts(gateway)).count() < limit {
        return Ok(());
    }
    let message = format!("Performing this operation would exceed the limit of {limit} NAT gateways");
    Err(ApiError::client("NatGatewayLimitExceeded", message))
}

/// Gives the gateway its ENI and its addresses; on a failure it has neither.
fn build(ctx: &mut Context<'_>, gateway: &mut NatGateway, wish: Wish) -> Result<Result<(), Failure>, ApiError> {
    if wish.connectivity == NatConnectivity::Public && ctx.world().gateway_of_vpc(gateway.vpc).is_none() {
        let message = format!("Network {} has no Internet gateway attached", gateway.vpc);
        return Ok(Err(Failure { code: "Gateway.NotAttached", message }));
    }
    let elastic = match elastic(ctx, &wish.allocations) {
        Ok(elastic) => elastic,
        Err(failure) => return Ok(Err(failure)),
    };
    let eni = match interface(ctx, gateway.id, wish) {
        Ok(eni) => eni,
        Err(NewEniError::Address(AddressFault::Full)) => {
            let message = "Subnet has insufficient free addresses to create this NAT gateway".to_owned();
            return Ok(Err(Failure { code: "InsufficientFreeAddressesInSubnet", message }));
        }
        Err(error) => return Err(error.into()),
    };
    gateway.eni = Some(eni.id);
    for (n, private_ip) in eni.private_ipv4.iter().copied().enumerate() {
        let elastic = elastic.get(n);
        let association = elastic.map(|address| stand_for(ctx, address, &eni, private_ip));
        gateway.addresses.push(NatGatewayAddress {
            private_ip,
            allocation: elastic.map(|address| address.id),
            association,
            drains_until: None,
        });
    }
    Ok(Ok(()))
}

/// The Elastic IP addresses, if all of them are there and free.
fn elastic(ctx: &Context<'_>, ids: &[String]) -> Result<Vec<Arc<Address>>, Failure> {
    let mut addresses: Vec<Arc<Address>> = Vec::with_capacity(ids.len());
    for id in ids {
        let Ok(address) = ctx.address(id) else {
            let message = lookup::ADDRESS.not_found(&[id]).message;
            return Err(Failure { code: "InvalidAllocationID.NotFound", message });
        };
        if address.association.is_some() || addresses.iter().any(|other| other.id == address.id) {
            let message = format!("Elastic IP address {id} is already associated");
            return Err(Failure { code: "Resource.AlreadyAssociated", message });
        }
        addresses.push(address);
    }
    Ok(addresses)
}

fn interface(ctx: &mut Context<'_>, id: NatGatewayId, wish: Wish) -> Result<Eni, NewEniError> {
    let managed = ManagedEni {
        subnet: wish.subnet,
        interface_type: InterfaceType::NatGateway,
        description: format!("Interface for NAT Gateway {id}"),
        requester_id: REQUESTER.to_owned(),
        instance_owner: "amazon-aws".to_owned(),
        groups: Vec::new(),
        addresses: wish.addresses,
        source_dest_check: false,
    };
    managed::create(ctx, managed)
}
