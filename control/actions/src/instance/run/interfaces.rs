//! The ENIs of a launch: from `NetworkInterface.N`, or the single one that the instance-level parameters describe.

use super::placement::{default_subnet, named_subnet, zone};
use crate::context::refuse_unsupported;
use crate::network_interface::{
    AddressFault, AddressLimits, AddressRequest, EniKind, NewEni, NewEniError, WireAddresses, check_changeable,
    check_free, check_places, check_zone, connection_tracking, resolve_groups,
};
use crate::{Context, trunk};
use gp_catalog::InstanceType;
use gp_ec2::ApiError;
use gp_ec2::shapes::{InstanceNetworkInterfaceSpecification, RunInstancesRequest};
use gp_model::{ConnectionTracking, Eni, Subnet, Tags, Zone};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One ENI of each instance of the launch.
#[derive(Debug, Clone)]
pub(super) struct Interface {
    pub(super) source: Source,
    pub(super) device_index: u32,
    pub(super) network_card_index: u32,
    pub(super) delete_on_termination: bool,
    /// Of a new ENI: is an automatic public address wanted?
    pub(super) associate_public_ip: bool,
}

impl Interface {
    fn existing(&self) -> Option<&Eni> {
        match &self.source {
            Source::Existing(eni) => Some(eni),
            Source::New(_) => None,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Source {
    Existing(Arc<Eni>),
    New(Box<NewEni>),
}

/// The ENIs that every instance gets, the primary first.
///
/// # Errors
/// The refusals of subnets, groups, addresses and existing ENIs, and of interfaces that don't go together.
pub(super) fn plan(
    ctx: &Context<'_>,
    request: &RunInstancesRequest,
    kind: &InstanceType,
    tags: &Tags,
) -> Result<Vec<Interface>, ApiError> {
    let zone = zone(ctx, request.placement.as_ref())?;
    if request.network_interfaces.is_empty() {
        return Ok(vec![single(ctx, request, zone.as_ref(), tags)?]);
    }
    refuse_both_levels(request)?;
    let specs = &request.network_interfaces;
    let mut interfaces = Vec::with_capacity(specs.len());
    for spec in specs {
        refuse_of_interface(spec, specs.len())?;
        interfaces.push(specified(ctx, spec, zone.as_ref(), tags)?);
    }
    interfaces.sort_by_key(|interface| (interface.network_card_index, interface.device_index));
    check_together(&interfaces)?;
    let places: Vec<_> = interfaces.iter().map(|i| (i.network_card_index, i.device_index)).collect();
    check_places(kind, &places)?;
    let existing: Vec<&Eni> = interfaces.iter().filter_map(Interface::existing).collect();
    existing.iter().try_for_each(|eni| AddressLimits::of_type(kind).check_eni(eni))?;
    trunk::check_carries(ctx.world(), kind, existing)?;
    Ok(interfaces)
}

// === Without NetworkInterface.N ===

fn single(
    ctx: &Context<'_>,
    request: &RunInstancesRequest,
    zone: Option<&Zone>,
    tags: &Tags,
) -> Result<Interface, ApiError> {
    let subnet = match request.subnet_id.as_deref().filter(|id| !id.is_empty()) {
        Some(id) => named_subnet(ctx, id, zone)?,
        None => default_subnet(ctx, zone)?,
    };
    let groups = [groups_by_name(ctx, request, &subnet)?, request.security_group_ids.clone()].concat();
    let addresses = AddressRequest::parse(WireAddresses {
        private_ip_address: request.private_ip_address.as_deref(),
        ipv6_addresses: &request.ipv6_addresses,
        ipv6_address_count: request.ipv6_address_count,
        ..Default::default()
    })?;
    let associate_public_ip = subnet.map_public_ip_on_launch;
    let new = NewEni {
        groups: resolve_groups(ctx, &groups, &subnet)?,
        subnet,
        description: String::new(),
        addresses,
        connection_tracking: ConnectionTracking::default(),
        tags: tags.clone(),
        kind: EniKind { primary_ipv6: request.enable_primary_ipv6 == Some(true), ..EniKind::default() },
    };
    Ok(Interface {
        source: Source::New(Box::new(new)),
        device_index: 0,
        network_card_index: 0,
        delete_on_termination: true,
        associate_public_ip,
    })
}

/// Ids of the groups that the request names. Names are of the default VPC only.
fn groups_by_name(ctx: &Context<'_>, request: &RunInstancesRequest, subnet: &Subnet) -> Result<Vec<String>, ApiError> {
    if request.security_groups.is_empty() {
        return Ok(Vec::new());
    }
    let default = ctx.default_vpc().filter(|vpc| vpc.id == subnet.vpc);
    let Some(vpc) = default else {
        let message = "The parameter groupName cannot be used with the parameter subnet";
        return Err(ApiError::client("InvalidParameterCombination", message));
    };
    let find = |name: &String| {
        let group = ctx.world().group_named(vpc.id, name).filter(|group| group.name == *name);
        group.map(|group| group.id.to_string()).ok_or_else(|| {
            let message = format!("The security group '{name}' does not exist in default VPC '{}'", vpc.id);
            ApiError::client("InvalidGroup.NotFound", message)
        })
    };
    request.security_groups.iter().map(find).collect()
}

// === With NetworkInterface.N ===

/// # Errors
/// `InvalidParameterCombination` where the instance and its interfaces both say the same thing.
fn refuse_both_levels(request: &RunInstancesRequest) -> Result<(), ApiError> {
    let groups = !request.security_group_ids.is_empty() || !request.security_groups.is_empty();
    let said = [
        ("an instance-level subnet ID", request.subnet_id.is_some()),
        ("an instance-level security groups", groups),
        ("an instance-level private address", request.private_ip_address.is_some()),
        ("an instance-level IPv6 address", !request.ipv6_addresses.is_empty() || request.ipv6_address_count.is_some()),
    ];
    match said.iter().find(|(_, said)| *said) {
        None => Ok(()),
        Some((what, _)) => {
            Err(combination(format!("Network interfaces and {what} may not be specified on the same request")))
        }
    }
}

fn combination(message: String) -> ApiError {
    ApiError::client("InvalidParameterCombination", message)
}

fn refuse_of_interface(spec: &InstanceNetworkInterfaceSpecification, count: usize) -> Result<(), ApiError> {
    if spec.associate_public_ip_address == Some(true) && count > 1 {
        let message = "The associatePublicIPAddress parameter cannot be specified when launching with multiple network \
                       interfaces.";
        return Err(combination(message.to_owned()));
    }
    if spec.associate_public_ip_address == Some(true) && spec.device_index.is_some_and(|index| index != 0) {
        let message = "The associatePublicIPAddress parameter can only be specified for the network interface with \
                       DeviceIndex 0.";
        return Err(combination(message.to_owned()));
    }
    let srd = spec.ena_srd_specification.as_ref().and_then(|srd| srd.ena_srd_enabled);
    refuse_unsupported(&[
        ("NetworkInterface.AssociateCarrierIpAddress", spec.associate_carrier_ip_address == Some(true)),
        ("NetworkInterface.InterfaceType", spec.interface_type.as_deref().is_some_and(|kind| kind != "interface")),
        ("NetworkInterface.EnaSrdSpecification", srd == Some(true)),
        ("NetworkInterface.EnaQueueCount", spec.ena_queue_count.is_some()),
    ])
}

fn specified(
    ctx: &Context<'_>,
    spec: &InstanceNetworkInterfaceSpecification,
    zone: Option<&Zone>,
    tags: &Tags,
) -> Result<Interface, ApiError> {
    let invalid = |message: &str| ApiError::client("InvalidParameterValue", message);
    let Some(device_index) = spec.device_index else {
        return Err(invalid("Each network interface requires a device index."));
    };
    let index =
        |given: i64| u32::try_from(given).map_err(|_| invalid("Each network interface requires a device index."));
    let device_index = index(device_index)?;
    let network_card_index = index(spec.network_card_index.unwrap_or_default())?;
    let (source, delete_by_default) = match spec.network_interface_id.as_deref() {
        Some(id) => (existing(ctx, id, spec, zone)?, false),
        None => (new(ctx, spec, zone, tags)?, true),
    };
    let delete_on_termination = spec.delete_on_termination.unwrap_or(delete_by_default);
    let of_subnet = match &source {
        Source::New(new) => device_index == 0 && new.subnet.map_public_ip_on_launch,
        Source::Existing(eni) => eni.associate_public_ip,
    };
    let associate_public_ip = spec.associate_public_ip_address.unwrap_or(of_subnet);
    Ok(Interface { source, device_index, network_card_index, delete_on_termination, associate_public_ip })
}

fn existing(
    ctx: &Context<'_>,
    id: &str,
    spec: &InstanceNetworkInterfaceSpecification,
    zone: Option<&Zone>,
) -> Result<Source, ApiError> {
    let said = [
        ("a subnet", spec.subnet_id.is_some()),
        ("security groups", !spec.groups.is_empty()),
        ("a description", spec.description.is_some()),
        ("private addresses", wants_addresses(spec)),
        ("a public IP address", spec.associate_public_ip_address.is_some()),
        ("a deletion on termination", spec.delete_on_termination == Some(true)),
    ];
    if let Some((what, _)) = said.iter().find(|(_, said)| *said) {
        return Err(combination(format!("A network interface may not specify both a network interface ID and {what}")));
    }
    let eni = ctx.eni(id)?;
    check_free(&eni)?;
    check_changeable(&eni)?;
    if let Some(zone) = zone {
        check_zone(&eni, zone)?;
    }
    Ok(Source::Existing(eni))
}

fn wants_addresses(spec: &InstanceNetworkInterfaceSpecification) -> bool {
    let lists = [
        spec.private_ip_addresses.is_empty(),
        spec.ipv6_addresses.is_empty(),
        spec.ipv4_prefixes.is_empty(),
        spec.ipv6_prefixes.is_empty(),
    ];
    let counts = [
        spec.secondary_private_ip_address_count,
        spec.ipv6_address_count,
        spec.ipv4_prefix_count,
        spec.ipv6_prefix_count,
    ];
    spec.private_ip_address.is_some() || lists.contains(&false) || counts.iter().any(Option::is_some)
}

fn new(
    ctx: &Context<'_>,
    spec: &InstanceNetworkInterfaceSpecification,
    zone: Option<&Zone>,
    tags: &Tags,
) -> Result<Source, ApiError> {
    let subnet = match spec.subnet_id.as_deref().filter(|id| !id.is_empty()) {
        Some(id) => named_subnet(ctx, id, zone)?,
        None => default_subnet(ctx, zone)?,
    };
    let addresses = AddressRequest::parse(WireAddresses {
        private_ip_address: spec.private_ip_address.as_deref(),
        private_ip_addresses: &spec.private_ip_addresses,
        secondary_count: spec.secondary_private_ip_address_count,
        ipv4_prefixes: &spec.ipv4_prefixes,
        ipv4_prefix_count: spec.ipv4_prefix_count,
        ipv6_addresses: &spec.ipv6_addresses,
        ipv6_address_count: spec.ipv6_address_count,
        ipv6_prefixes: &spec.ipv6_prefixes,
        ipv6_prefix_count: spec.ipv6_prefix_count,
    })?;
    Ok(Source::New(Box::new(NewEni {
        groups: resolve_groups(ctx, &spec.groups, &subnet)?,
        subnet,
        description: spec.description.clone().unwrap_or_default(),
        addresses,
        connection_tracking: connection_tracking(spec.connection_tracking_specification.as_ref())?,
        tags: tags.clone(),
        kind: EniKind { primary_ipv6: spec.primary_ipv6 == Some(true), ..EniKind::default() },
    })))
}

/// Do the interfaces of one instance go together? They come ordered by place.
fn check_together(interfaces: &[Interface]) -> Result<(), ApiError> {
    let invalid = |message: &str| ApiError::client("InvalidParameterValue", message);
    let places: BTreeSet<_> = interfaces.iter().map(|i| (i.network_card_index, i.device_index)).collect();
    if places.len() < interfaces.len() {
        return Err(invalid("Each network interface requires a unique device index."));
    }
    let Some(primary) = interfaces.first().filter(|i| (i.network_card_index, i.device_index) == (0, 0)) else {
        return Err(combination("A network interface with device index 0 is required.".to_owned()));
    };
    let zone = zone_of(&primary.source);
    let mut ids = BTreeSet::new();
    for interface in interfaces {
        if zone_of(&interface.source) != zone {
            let message = "You may not attach a network interface to an instance if they are not in the same \
                           availability zone";
            return Err(combination(message.to_owned()));
        }
        if let Source::Existing(eni) = &interface.source
            && !ids.insert(eni.id)
        {
            return Err(combination(format!("The network interface {} may be specified only once.", eni.id)));
        }
    }
    Ok(())
}

fn zone_of(source: &Source) -> &Zone {
    match source {
        Source::Existing(eni) => &eni.zone,
        Source::New(new) => &new.subnet.zone,
    }
}

/// What names one ENI or one address can't serve several instances.
///
/// # Errors
/// `InvalidParameterCombination`.
pub(super) fn check_counts(interfaces: &[Interface], most: Option<i64>) -> Result<(), ApiError> {
    if most.is_none_or(|most| most <= 1) {
        return Ok(());
    }
    for interface in interfaces {
        match &interface.source {
            Source::Existing(_) => {
                let message = "Network interfaces may not be specified by ID when launching several instances.";
                return Err(combination(message.to_owned()));
            }
            Source::New(new) if new.addresses.names_any() => {
                let message = "Private addresses may not be specified when launching several instances.";
                return Err(combination(message.to_owned()));
            }
            Source::New(_) => {}
        }
    }
    Ok(())
}

/// The subnet of the primary ENI, which says how the instance is named.
///
/// # Errors
/// `InvalidSubnetID.NotFound`.
pub(super) fn home(ctx: &Context<'_>, interfaces: &[Interface]) -> Result<Arc<Subnet>, ApiError> {
    match interfaces.first().map(|primary| &primary.source) {
        Some(Source::New(new)) => Ok(new.subnet.clone()),
        Some(Source::Existing(eni)) => ctx.subnet(&eni.subnet.to_string()),
        None => Err(ApiError::internal("a launch without interfaces")),
    }
}

/// Makes the ENI. A full subnet has words of its own here.
///
/// # Errors
/// As [`NewEni::create`].
pub(super) fn create(ctx: &mut Context<'_>, new: NewEni, kind: &InstanceType) -> Result<Eni, ApiError> {
    let subnet = new.subnet.id;
    new.create(ctx, AddressLimits::of_type(kind)).map_err(|error| match error {
        NewEniError::Address(AddressFault::Full) => {
            let message = format!(
                "There are not enough free addresses in subnet '{subnet}' to satisfy the requested number of instances."
            );
            ApiError::client("InsufficientFreeAddressesInSubnet", message)
        }
        error => error.into(),
    })
}
