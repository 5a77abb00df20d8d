//! Makes an ENI: the part that CreateNetworkInterface and RunInstances share.

use super::pool::Pool;
use super::{AddressFault, AddressLimits, AddressRequest, usage};
use crate::network_interface::address_request::Wanted;
use crate::{Context, lookup};
use gp_ec2::{ApiError, shapes};
use gp_model::{
    ConnectionTracking, Eni, EniId, InterfaceType, Mac, SecurityGroupId, ServiceAttachment, ServiceAttachmentId,
    Subnet, Tags, VpcId, World,
};
use std::net::IpAddr;
use std::sync::Arc;

/// Where services attach theirs, as AWS shows it.
const SERVICE_DEVICE_INDEX: u32 = 1;

/// An ENI to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewEni {
    pub(crate) subnet: Arc<Subnet>,
    pub(crate) groups: Vec<SecurityGroupId>,
    pub(crate) description: String,
    pub(crate) addresses: AddressRequest,
    pub(crate) connection_tracking: ConnectionTracking,
    pub(crate) tags: Tags,
    pub(crate) kind: EniKind,
}

/// What sets an ENI apart from an ordinary one, which is the default.
#[derive(Debug, Clone)]
pub(crate) struct EniKind {
    pub(crate) interface_type: InterfaceType,
    pub(crate) source_dest_check: bool,
    /// Is the first IPv6 address kept as long as the ENI is attached?
    pub(crate) primary_ipv6: bool,
    /// Who holds it from the start.
    pub(crate) service: Option<Service>,
}

/// The service that a requester-managed ENI is for.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) requester: String,
    /// `amazon-aws`, `amazon-elb`, …
    pub(crate) instance_owner: String,
}

impl Default for EniKind {
    fn default() -> Self {
        Self { interface_type: InterfaceType::Interface, source_dest_check: true, primary_ipv6: false, service: None }
    }
}

/// Why an ENI can't be made. RunInstances has its own words for a full subnet.
#[derive(Debug)]
pub(crate) enum NewEniError {
    Address(AddressFault),
    Refused(ApiError),
}

impl From<NewEniError> for ApiError {
    fn from(error: NewEniError) -> Self {
        match error {
            NewEniError::Address(fault) => fault.into(),
            NewEniError::Refused(error) => error,
        }
    }
}

impl From<AddressFault> for NewEniError {
    fn from(fault: AddressFault) -> Self {
        Self::Address(fault)
    }
}

impl From<ApiError> for NewEniError {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

impl NewEni {
    /// Makes the ENI, not attached, and puts it into the plan.
    ///
    /// # Errors
    /// Where an address can't be had, the limits or the account's or the VPC's quota forbid it.
    pub(crate) fn create(self, ctx: &mut Context<'_>, limits: AddressLimits) -> Result<Eni, NewEniError> {
        check_quota(ctx)?;
        let addresses = self.addresses_in_full()?;
        let ipv4 = usize::from(self.subnet.cidr.is_some()) + addresses.secondary.len() + addresses.ipv4_prefixes.len();
        let ipv6 = addresses.ipv6.len() + addresses.ipv6_prefixes.len();
        limits.check(ipv4, ipv6, addresses.wants_prefixes())?;
        let service_attachment = self.kind.service.as_ref().map(|service| {
            Box::new(ServiceAttachment {
                id: ctx.draw(ServiceAttachmentId::from_bits),
                instance_owner: service.instance_owner.clone(),
                device_index: SERVICE_DEVICE_INDEX,
                attached_at: ctx.now,
            })
        });
        let requester_managed = self.kind.service.is_some();
        let requester = self.kind.service.map_or_else(|| ctx.caller.principal.clone(), |service| service.requester);
        let mut eni = Eni {
            id: ctx.draw(EniId::from_bits),
            owner: ctx.account(),
            vpc: self.subnet.vpc,
            subnet: self.subnet.id,
            zone: self.subnet.zone.clone(),
            mac: draw_mac(ctx, &self.subnet),
            description: self.description.into(),
            interface_type: self.kind.interface_type,
            requester: Some(requester.into()),
            requester_managed,
            private_ipv4: Default::default(),
            ipv6: Vec::new(),
            ipv4_prefixes: Vec::new(),
            ipv6_prefixes: Vec::new(),
            groups: self.groups.into(),
            source_dest_check: self.kind.source_dest_check,
            associate_public_ip: false,
            public_ipv4: None,
            last_public_ipv4: None,
            primary_ipv6: self.kind.primary_ipv6 || self.addresses.primary_ipv6,
            attachment: None,
            service_attachment,
            last_attachment: None,
            connection_tracking: self.connection_tracking,
            created_at: ctx.now,
            tags: self.tags,
        };
        let world = ctx.world().clone();
        fill(&mut eni, &addresses, world, &self.subnet, &mut || ctx.bits())?;
        if eni.primary_ipv6 {
            check_primary_ipv6(&eni)?;
        }
        ctx.put(eni.clone());
        usage::check(ctx, eni.vpc)?;
        Ok(eni)
    }

    /// The request with what the subnet adds to it.
    fn addresses_in_full(&self) -> Result<AddressRequest, AddressFault> {
        let mut addresses = self.addresses.clone();
        let native = self.subnet.is_ipv6_native();
        if native && addresses.wants_ipv4() {
            return Err(AddressFault::NoIpv4);
        }
        if self.subnet.ipv6_cidrs.is_empty() && addresses.wants_ipv6() {
            return Err(AddressFault::NoIpv6);
        }
        let automatic = native || (self.subnet.assign_ipv6_address_on_creation && !self.subnet.ipv6_cidrs.is_empty());
        if automatic && !addresses.ipv6.is_said() && !addresses.ipv6_prefixes.is_said() {
            addresses.ipv6 = Wanted::Count(1);
        }
        Ok(addresses)
    }
}

/// Gives a new ENI its addresses. What the request names comes before what is drawn, so that a draw can't take it.
fn fill(
    eni: &mut Eni,
    addresses: &AddressRequest,
    world: World,
    subnet: &Subnet,
    bits: &mut dyn FnMut() -> u128,
) -> Result<(), AddressFault> {
    let mut pool = Pool::new(world, subnet, bits);
    for address in addresses.primary.iter().chain(listed(&addresses.secondary)) {
        pool.take(IpAddr::V4(*address))?;
    }
    for address in listed(&addresses.ipv6) {
        pool.take(IpAddr::V6(*address))?;
    }
    eni.ipv4_prefixes = prefixes(&addresses.ipv4_prefixes, &mut pool, Pool::draw_v4_prefix)?;
    eni.ipv6_prefixes = prefixes(&addresses.ipv6_prefixes, &mut pool, Pool::draw_v6_prefix)?;
    match addresses.primary {
        Some(address) => eni.private_ipv4.push(address),
        None if subnet.is_ipv6_native() => {}
        None => eni.private_ipv4.push(pool.draw_v4()?),
    }
    match &addresses.secondary {
        Wanted::Count(count) => {
            for _ in 0..*count {
                eni.private_ipv4.push(pool.draw_v4()?);
            }
        }
        secondary => eni.private_ipv4.extend_from_slice(listed(secondary)),
    }
    eni.ipv6 = match &addresses.ipv6 {
        Wanted::Count(count) => (0..*count).map(|_| pool.draw_v6()).collect::<Result<_, _>>()?,
        ipv6 => listed(ipv6).to_vec(),
    };
    Ok(())
}

fn listed<T>(wanted: &Wanted<T>) -> &[T] {
    match wanted {
        Wanted::Listed(listed) => listed,
        Wanted::Unsaid | Wanted::Count(_) => &[],
    }
}

/// Takes or draws prefixes of one family.
///
/// # Errors
/// The first that can't be had.
pub(super) fn prefixes<'p, N: Copy + Into<ipnet::IpNet>>(
    wanted: &Wanted<N>,
    pool: &mut Pool<'p>,
    draw: impl Fn(&mut Pool<'p>) -> Result<N, AddressFault>,
) -> Result<Vec<N>, AddressFault> {
    match wanted {
        Wanted::Count(count) => (0..*count).map(|_| draw(pool)).collect(),
        Wanted::Unsaid => Ok(Vec::new()),
        Wanted::Listed(listed) => {
            for prefix in listed {
                pool.take_prefix((*prefix).into())?;
            }
            Ok(listed.clone())
        }
    }
}

/// # Errors
/// `InvalidParameterCombination` for an ENI that has no address to be the primary IPv6 address.
pub(super) fn check_primary_ipv6(eni: &Eni) -> Result<(), ApiError> {
    if !eni.ipv6.is_empty() {
        return Ok(());
    }
    let message = "A primary IPv6 address requires that an IPv6 address is assigned to the network interface.";
    Err(ApiError::client("InvalidParameterCombination", message))
}

fn check_quota(ctx: &Context<'_>) -> Result<(), ApiError> {
    if ctx.world().enis_of_owner(ctx.account()) < ctx.settings.quotas.enis {
        return Ok(());
    }
    let message = "The maximum number of network interfaces has been reached.";
    Err(ApiError::client("NetworkInterfaceLimitExceeded", message))
}

/// A locally administered unicast address that no ENI of the subnet has.
fn draw_mac(ctx: &mut Context<'_>, subnet: &Subnet) -> Mac {
    const FIRST_OCTETS: [u8; 4] = [0x02, 0x06, 0x0a, 0x0e];
    loop {
        let bits = ctx.bits().to_be_bytes();
        let first = FIRST_OCTETS[usize::from(bits[10]) % FIRST_OCTETS.len()];
        let mac = Mac([first, bits[11], bits[12], bits[13], bits[14], bits[15]]);
        if ctx.world().eni_with_mac(subnet.id, mac).is_none() {
            return mac;
        }
    }
}

/// The groups that a request names for an ENI of a subnet; the VPC's default group if it names none.
///
/// # Errors
/// `InvalidGroup.NotFound`, `InvalidGroupId.Malformed`, `InvalidParameter` for a group of another VPC, and
/// `SecurityGroupsPerInterfaceLimitExceeded`.
pub(crate) fn resolve_groups(
    ctx: &Context<'_>,
    ids: &[String],
    subnet: &Subnet,
) -> Result<Vec<SecurityGroupId>, ApiError> {
    if ids.is_empty() {
        return Ok(vec![default_group(ctx, subnet.vpc)?]);
    }
    let mut groups = Vec::new();
    for id in ids {
        let group = ctx.security_group(id)?;
        if group.vpc != subnet.vpc {
            let message = format!("Security group {id} and subnet {} belong to different networks.", subnet.id);
            return Err(ApiError::client("InvalidParameter", message));
        }
        if !groups.contains(&group.id) {
            groups.push(group.id);
        }
    }
    if groups.len() > ctx.settings.quotas.security_groups_per_eni {
        let message = "The maximum number of security groups per interface has been reached.";
        return Err(ApiError::client("SecurityGroupsPerInterfaceLimitExceeded", message));
    }
    Ok(groups)
}

fn default_group(ctx: &Context<'_>, vpc: VpcId) -> Result<SecurityGroupId, ApiError> {
    let vpc_entity = ctx.world().vpc(vpc).ok_or_else(|| lookup::VPC.not_found(&[&vpc.to_string()]))?;
    Ok(vpc_entity.default_security_group)
}

/// The timeouts of a request, in seconds.
///
/// # Errors
/// `InvalidParameterValue` outside the ranges of EC2's `ConnectionTrackingSpecification`.
pub(crate) fn connection_tracking(
    given: Option<&shapes::ConnectionTrackingSpecificationRequest>,
) -> Result<ConnectionTracking, ApiError> {
    let Some(given) = given else { return Ok(ConnectionTracking::default()) };
    let checked = |secs: Option<i64>, name: &str, range: std::ops::RangeInclusive<i64>| match secs {
        Some(secs) if !range.contains(&secs) => {
            let why = format!("Expecting {} to {} seconds.", range.start(), range.end());
            Err(ApiError::invalid_value(secs, name, why))
        }
        secs => Ok(secs.map(|secs| secs as u32)),
    };
    Ok(ConnectionTracking {
        tcp_established_secs: checked(given.tcp_established_timeout, "TcpEstablishedTimeout", 60..=432_000)?,
        udp_stream_secs: checked(given.udp_stream_timeout, "UdpStreamTimeout", 60..=180)?,
        udp_secs: checked(given.udp_timeout, "UdpTimeout", 30..=60)?,
    })
}
