//! What an instance type can carry: ENIs, their places, and addresses on each.

use crate::trunk;
use gp_catalog::InstanceType;
use gp_ec2::ApiError;
use gp_model::{Eni, World};

/// Most addresses of either family on an ENI that no instance type limits yet.
const UNATTACHED_ADDRESSES: usize = 50;

/// Addresses that one ENI may hold; a delegated prefix counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressLimits {
    pub(crate) ipv4: usize,
    pub(crate) ipv6: usize,
    pub(crate) prefixes: bool,
}

impl AddressLimits {
    pub(crate) const UNATTACHED: Self = Self { ipv4: UNATTACHED_ADDRESSES, ipv6: UNATTACHED_ADDRESSES, prefixes: true };

    pub(crate) fn of_type(kind: &InstanceType) -> Self {
        Self { ipv4: kind.ipv4_per_eni as usize, ipv6: kind.ipv6_per_eni as usize, prefixes: kind.supports_prefixes() }
    }

    /// The limits of the instance that the ENI is attached to, if it is.
    pub(crate) fn of_eni(world: &World, eni: &Eni) -> Self {
        let instance = eni.attachment.as_ref().and_then(|attachment| world.instance(attachment.instance));
        let kind = instance.and_then(|instance| gp_catalog::catalog().get(&instance.instance_type));
        kind.map_or(Self::UNATTACHED, Self::of_type)
    }

    /// # Errors
    /// `PrivateIpAddressLimitExceeded`; `UnsupportedOperation` for prefixes on a type that takes none.
    pub(crate) fn check(&self, ipv4: usize, ipv6: usize, has_prefixes: bool) -> Result<(), ApiError> {
        const CODE: &str = "PrivateIpAddressLimitExceeded";
        if has_prefixes && !self.prefixes {
            return Err(ApiError::unsupported("The instance type does not support IP prefixes on its interfaces."));
        }
        if ipv4 > self.ipv4 {
            return Err(ApiError::client(CODE, "Number of private addresses will exceed limit."));
        }
        if ipv6 > self.ipv6 {
            return Err(ApiError::client(CODE, "Number of IPv6 addresses will exceed limit."));
        }
        Ok(())
    }

    /// As [`AddressLimits::check`], for what an ENI holds.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn check_eni(&self, eni: &Eni) -> Result<(), ApiError> {
        let has_prefixes = !eni.ipv4_prefixes.is_empty() || !eni.ipv6_prefixes.is_empty();
        self.check(ipv4_slots(eni), ipv6_slots(eni), has_prefixes)
    }
}

/// IPv4 addresses and prefixes of the ENI.
pub(super) fn ipv4_slots(eni: &Eni) -> usize {
    eni.private_ipv4.len() + eni.ipv4_prefixes.len()
}

/// IPv6 addresses and prefixes of the ENI.
pub(super) fn ipv6_slots(eni: &Eni) -> usize {
    eni.ipv6.len() + eni.ipv6_prefixes.len()
}

/// Can one instance of the type carry all these attached ENIs?
///
/// # Errors
/// Those of [`check_places`], [`AddressLimits::check`] and [`trunk::check_carries`].
pub(crate) fn check_fits<'a>(
    world: &World,
    kind: &InstanceType,
    enis: impl IntoIterator<Item = &'a Eni>,
) -> Result<(), ApiError> {
    let enis: Vec<&Eni> = enis.into_iter().collect();
    trunk::check_carries(world, kind, enis.iter().copied())?;
    let place = |eni: &&Eni| eni.attachment.as_ref().map_or((0, 0), |a| (a.network_card_index, a.device_index));
    check_places(kind, &enis.iter().map(place).collect::<Vec<_>>())?;
    let limits = AddressLimits::of_type(kind);
    enis.into_iter().try_for_each(|eni| limits.check_eni(eni))
}

/// Has the type that many places? A place is a network card's index and a device index.
///
/// # Errors
/// `AttachmentLimitExceeded` for too many, in all or on one card; `InvalidParameterValue` for a card or a device
/// index that the type has not.
pub(crate) fn check_places(kind: &InstanceType, places: &[(u32, u32)]) -> Result<(), ApiError> {
    let count = places.len();
    if count > kind.max_enis as usize {
        return Err(too_many(count, &kind.name));
    }
    let mut on_card = vec![0_u32; kind.cards.len()];
    for &(index, device) in places {
        let (Some(card), Some(used)) = (kind.cards.get(index as usize), on_card.get_mut(index as usize)) else {
            let why = format!("Instance type {} has {} network card(s).", kind.name, kind.cards.len());
            return Err(ApiError::invalid_value(index, "NetworkCardIndex", why));
        };
        *used += 1;
        if *used > card.max_enis {
            return Err(too_many(count, &kind.name));
        }
        if device >= card.max_enis {
            let why = format!("The largest device index of instance type {} is {}.", kind.name, card.max_enis - 1);
            return Err(ApiError::invalid_value(device, "DeviceIndex", why));
        }
    }
    Ok(())
}

fn too_many(count: usize, kind: &str) -> ApiError {
    ApiError::client("AttachmentLimitExceeded", format!("Interface count {count} exceeds the limit for {kind}"))
}
