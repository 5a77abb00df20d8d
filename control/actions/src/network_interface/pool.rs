//! A subnet's free addresses and prefixes: checks the ones that a caller names, draws the others at random.
//!
//! Draws keep out of the subnet's CIDR reservations, but that prefixes are drawn from what is reserved for prefixes as
//! long as that lasts.
//!
//! The caller must put what it takes into the world before it opens the next pool.

use super::free::{Reserved, nth_of};
use gp_ec2::ApiError;
use gp_model::{ENI_IPV4_PREFIX_LEN, ENI_IPV6_PREFIX_LEN, Subnet, World, nth_v4, nth_v6, overlaps};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// Draws from a block of 2^64 addresses never come near this many misses unless it is all but full.
const IPV6_DRAWS: usize = 1000;

/// Addresses of a /28.
const PREFIX_ADDRESSES: u64 = 16;
/// Addresses of an IPv4 block that are never free.
const KEPT_BY_AWS: u64 = 5;

/// Why an address can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressFault {
    OutOfRange,
    Reserved(IpAddr),
    InUse(IpNet),
    /// No free address.
    Full,
    /// No free prefix, though there are as many free addresses.
    NoPrefix,
    /// Fewer free addresses than a prefix has.
    TooFew,
    /// The subnet has no block of that family.
    NoIpv4,
    NoIpv6,
}

impl From<AddressFault> for ApiError {
    fn from(fault: AddressFault) -> Self {
        let refuse = |code: &'static str, message: String| ApiError::client(code, message);
        match fault {
            AddressFault::OutOfRange => {
                refuse("InvalidParameterValue", "Address does not fall within the subnet's address range".to_owned())
            }
            AddressFault::Reserved(address) => {
                refuse("InvalidParameterValue", format!("Address {address} is in subnet's reserved address range."))
            }
            AddressFault::InUse(net) => refuse("InvalidIPAddress.InUse", format!("Address {} is in use.", short(net))),
            AddressFault::Full => {
                let message = "The specified subnet does not have enough free addresses to satisfy the request.";
                refuse("InsufficientFreeAddressesInSubnet", message.to_owned())
            }
            AddressFault::NoPrefix => {
                let message = "The specified subnet does not have enough free cidr blocks to satisfy the request.";
                refuse("InsufficientCidrBlocks", message.to_owned())
            }
            AddressFault::TooFew => {
                refuse("InvalidParameterValue", "There aren't sufficient free Ipv4 addresses or prefixes".to_owned())
            }
            AddressFault::NoIpv4 => {
                let message = "The specified subnet does not have an IPv4 CIDR block.";
                refuse("InvalidParameterCombination", message.to_owned())
            }
            AddressFault::NoIpv6 => {
                let message = "The specified subnet does not have an IPv6 CIDR block.";
                refuse("InvalidParameterCombination", message.to_owned())
            }
        }
    }
}

/// A single address without its length.
fn short(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

/// What is free in a subnet, less what was taken from this pool.
pub(super) struct Pool<'a> {
    world: World,
    subnet: &'a Subnet,
    bits: &'a mut dyn FnMut() -> u128,
    taken: BTreeSet<IpAddr>,
    taken_prefixes: Vec<IpNet>,
    reserved: Reserved,
}

impl<'a> Pool<'a> {
    pub(super) fn new(world: World, subnet: &'a Subnet, bits: &'a mut dyn FnMut() -> u128) -> Self {
        let reserved = Reserved::of_subnet(&world, subnet.id);
        Self { world, subnet, bits, taken: BTreeSet::new(), taken_prefixes: Vec::new(), reserved }
    }

    // === Single addresses ===

    /// Takes that address.
    ///
    /// # Errors
    /// Why it can't be had.
    pub(super) fn take(&mut self, address: IpAddr) -> Result<(), AddressFault> {
        check_range(self.subnet, address)?;
        if !self.is_free(address) {
            return Err(AddressFault::InUse(IpNet::from(address)));
        }
        self.taken.insert(address);
        Ok(())
    }

    /// Keeps addresses out of the draw that are dealt with elsewhere.
    pub(super) fn reserve(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.taken.extend(addresses);
    }

    /// Does nobody hold it?
    fn is_free(&self, address: IpAddr) -> bool {
        !self.taken.contains(&address)
            && !self.taken_prefixes.iter().any(|prefix| prefix.contains(&address))
            && self.world.eni_at(self.subnet.vpc, address).is_none()
    }

    /// Takes any free IPv4 address.
    ///
    /// # Errors
    /// [`AddressFault::Full`], or [`AddressFault::NoIpv4`].
    pub(super) fn draw_v4(&mut self) -> Result<Ipv4Addr, AddressFault> {
        let net = self.subnet.cidr.ok_or(AddressFault::NoIpv4)?;
        let size = block_count(u32::from(net.max_prefix_len() - net.prefix_len()));
        let start = nth_v4(net, self.below(size) as u32);
        let behind = self.first_free(start..=net.broadcast());
        let address = behind.or_else(|| self.first_free(net.network()..=start)).ok_or(AddressFault::Full)?;
        self.taken.insert(IpAddr::V4(address));
        Ok(address)
    }

    /// The first address of a range that can be had. The held ones are walked beside: each costs a step and no look-up.
    fn first_free(&self, range: RangeInclusive<Ipv4Addr>) -> Option<Ipv4Addr> {
        let (first, last) = (*range.start(), *range.end());
        let mut held = self.world.addresses_held(self.subnet.vpc, IpAddr::V4(first)..=IpAddr::V4(last)).peekable();
        (u32::from(first)..=u32::from(last)).map(Ipv4Addr::from).find(|address| {
            let address = IpAddr::V4(*address);
            held.next_if_eq(&address).is_none()
                && !self.subnet.is_reserved(address)
                && self.reserved.leaves(address)
                && self.is_free(address)
        })
    }

    /// Takes any free IPv6 address.
    ///
    /// # Errors
    /// [`AddressFault::Full`], or [`AddressFault::NoIpv6`].
    pub(super) fn draw_v6(&mut self) -> Result<Ipv6Addr, AddressFault> {
        let net = self.subnet.ipv6_cidrs.first().ok_or(AddressFault::NoIpv6)?.cidr;
        let blocks = self.reserved.rest_of(net);
        for _ in 0..IPV6_DRAWS {
            let address = nth_of(&blocks, (self.bits)()).ok_or(AddressFault::Full)?;
            if self.take(IpAddr::V6(address)).is_ok() {
                return Ok(address);
            }
        }
        Err(AddressFault::Full)
    }

    // === Prefixes ===

    /// Takes that prefix.
    ///
    /// # Errors
    /// Why it can't be had.
    pub(super) fn take_prefix(&mut self, prefix: IpNet) -> Result<(), AddressFault> {
        if !self.subnet.blocks().any(|block| block.contains(&prefix)) {
            return Err(AddressFault::OutOfRange);
        }
        if let Some(address) = self.reserved_in(prefix) {
            return Err(AddressFault::Reserved(address));
        }
        if !self.is_free_prefix(prefix, &self.held()) {
            return Err(AddressFault::InUse(prefix));
        }
        self.taken_prefixes.push(prefix);
        Ok(())
    }

    /// The reserved addresses are the first four and the last of a block, so they stand at a prefix's ends.
    fn reserved_in(&self, prefix: IpNet) -> Option<IpAddr> {
        [prefix.network(), prefix.broadcast()].into_iter().find(|address| self.subnet.is_reserved(*address))
    }

    /// Every single address that an ENI of the subnet holds.
    fn held(&self) -> BTreeSet<IpAddr> {
        let enis = self.world.enis_of_subnet(self.subnet.id);
        enis.flat_map(|eni| eni.addresses()).chain(self.taken.iter().copied()).collect()
    }

    fn is_free_prefix(&self, prefix: IpNet, held: &BTreeSet<IpAddr>) -> bool {
        self.world.eni_with_prefix(self.subnet.vpc, prefix).is_none()
            && !self.taken_prefixes.iter().any(|taken| overlaps(taken, &prefix))
            && held.range(prefix.network()..=prefix.broadcast()).next().is_none()
    }

    /// Takes any free /28.
    ///
    /// # Errors
    /// [`AddressFault::NoPrefix`], [`AddressFault::TooFew`] or [`AddressFault::NoIpv4`].
    pub(super) fn draw_v4_prefix(&mut self) -> Result<Ipv4Net, AddressFault> {
        let net = self.subnet.cidr.ok_or(AddressFault::NoIpv4)?;
        let room = ENI_IPV4_PREFIX_LEN.checked_sub(net.prefix_len()).ok_or(AddressFault::TooFew)?;
        let nth = |n: u64| Ipv4Net::new_assert(nth_v4(net, (n as u32) << 4), ENI_IPV4_PREFIX_LEN);
        let drawn = self.draw_prefix(block_count(u32::from(room)), nth);
        drawn.map_err(|fault| if self.free_ipv4() < PREFIX_ADDRESSES { AddressFault::TooFew } else { fault })
    }

    /// How many IPv4 addresses nobody holds.
    fn free_ipv4(&self) -> u64 {
        let size = self.subnet.cidr.map_or(0, |net| block_count(u32::from(net.max_prefix_len() - net.prefix_len())));
        let slots = self.world.ipv4_slots_of_subnet(self.subnet.id) as u64;
        let taken = self.taken.iter().filter(|address| address.is_ipv4()).count() as u64;
        let prefixes = self.taken_prefixes.iter().filter(|prefix| prefix.addr().is_ipv4()).count() as u64;
        size.saturating_sub(KEPT_BY_AWS + slots + taken + prefixes * PREFIX_ADDRESSES)
    }

    /// Takes any free /80.
    ///
    /// # Errors
    /// [`AddressFault::NoPrefix`], or [`AddressFault::NoIpv6`].
    pub(super) fn draw_v6_prefix(&mut self) -> Result<Ipv6Net, AddressFault> {
        let net = self.subnet.ipv6_cidrs.first().ok_or(AddressFault::NoIpv6)?.cidr;
        let room = ENI_IPV6_PREFIX_LEN.checked_sub(net.prefix_len()).ok_or(AddressFault::NoPrefix)?;
        let nth = |n: u64| Ipv6Net::new_assert(nth_v6(net, u128::from(n) << 48), ENI_IPV6_PREFIX_LEN);
        self.draw_prefix(block_count(u32::from(room)), nth)
    }

    fn draw_prefix<N: Into<IpNet> + Copy>(&mut self, count: u64, nth: impl Fn(u64) -> N) -> Result<N, AddressFault> {
        let start = self.below(count);
        let held = self.held();
        let find = |may_be: &dyn Fn(&IpNet) -> bool| {
            let mut prefixes = (0..count).map(|step| nth((start + step) % count));
            prefixes.find(|prefix| {
                let prefix = (*prefix).into();
                may_be(&prefix) && self.reserved_in(prefix).is_none() && self.is_free_prefix(prefix, &held)
            })
        };
        let kept = find(&|prefix| self.reserved.keeps_for_prefixes(prefix));
        let prefix = kept.or_else(|| find(&|prefix| self.reserved.leaves_prefix(prefix)));
        let prefix = prefix.ok_or(AddressFault::NoPrefix)?;
        self.taken_prefixes.push(prefix.into());
        Ok(prefix)
    }

    fn below(&mut self, count: u64) -> u64 {
        ((self.bits)() % u128::from(count)) as u64
    }
}

/// # Errors
/// Where the address is not one of the subnet's that an ENI may hold.
pub(super) fn check_range(subnet: &Subnet, address: IpAddr) -> Result<(), AddressFault> {
    if !subnet.contains(address) {
        return Err(AddressFault::OutOfRange);
    }
    if subnet.is_reserved(address) {
        return Err(AddressFault::Reserved(address));
    }
    Ok(())
}

/// Blocks of a size within one that is 2^`bits` times as large.
fn block_count(bits: u32) -> u64 {
    1 << bits.min(32)
}
