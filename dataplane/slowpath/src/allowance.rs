//! What an instance allows its ENIs: the bandwidth of each network card, and how many connections are tracked.
//!
//! Bandwidth lies in buckets that the fast path takes from, too (see `gp_abi::Bucket`). An instance keeps them while it
//! is stopped, and earns nothing meanwhile; they are given back when the instance has gone. Source: EC2 user guide,
//! "Amazon EC2 instance network bandwidth".

use crate::connections::PER_ENI_MAX;
use crate::engine::Work;
use crate::kernel::{Kernel, KernelError};
use crate::ports::Side;
use bytemuck::Zeroable;
use gp_abi::{
    AllowanceKey, AllowanceValue, BUCKET_IN, BUCKET_INTERNET_IN, BUCKET_INTERNET_OUT, BUCKET_OUT,
    BUCKETS_PER_ALLOWANCE, Bucket,
};
use gp_catalog::Bandwidth;
use gp_model::{EniId, InstanceId, InstanceState};
use gp_trace::{DropReason, Path, Tracker};
use std::collections::{HashMap, HashSet};

/// What passes at once after a rest, in parts of a second at peak: more than the tick of the kernel's coarse clock, which
/// is 10 ms at most.
const BURST_PARTS: u64 = 50;
/// And four frames of the largest size.
const BURST_BYTES_MIN: u64 = 4 * 65_536;

/// An ENI's share in what its instance has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    pub instance: InstanceId,
    /// Index of the network card.
    pub card: u32,
    /// Connections tracked for all the instance's ENIs together.
    pub connections_max: u32,
    /// Of the card; `None`: as much as the host carries.
    pub bandwidth: Option<Bandwidth>,
}

/// Where allowances are, and which drops in user space were on account of them.
#[derive(Debug, Default)]
pub(crate) struct AllowanceTable {
    slots: HashMap<(InstanceId, u32), AllowanceValue>,
    free: Vec<u32>,
    /// The kernel's own table has been read.
    is_read: bool,
    dropped: HashMap<EniId, BandwidthDrops>,
}

/// Packets that found no bandwidth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BandwidthDrops {
    pub out: u64,
    pub r#in: u64,
}

impl AllowanceTable {
    pub fn dropped_of(&self, eni: EniId) -> BandwidthDrops {
        self.dropped.get(&eni).copied().unwrap_or_default()
    }

    fn count(&mut self, eni: EniId, reason: DropReason) {
        let dropped = self.dropped.entry(eni).or_default();
        match reason {
            DropReason::BandwidthInAllowance => dropped.r#in += 1,
            _ => dropped.out += 1,
        }
    }
}

impl<K: Kernel> Work<'_, K> {
    /// The slot of an ENI's allowance of bandwidth, made if it is new; 0 where nothing limits it.
    pub fn allot(&mut self, allowance: &Allowance) -> Result<u32, KernelError> {
        let Some(bandwidth) = allowance.bandwidth else { return Ok(0) };
        self.read_allowances()?;
        let id = (allowance.instance, allowance.card);
        let known = self.state.allowances.slots.get(&id).copied();
        let slot = match known {
            Some(known) => known.slot,
            None => self.state.allowances.free.pop().ok_or(KernelError::Full)?,
        };
        for (bucket, fresh) in buckets(&bandwidth) {
            let index = slot * BUCKETS_PER_ALLOWANCE + bucket;
            let fresh = Bucket { refilled_ns: self.now.monotonic_ns, ..fresh };
            let old = known.and_then(|known| Some((known, self.kernel.bucket(index)?)));
            let bucket = old.map_or(fresh, |(known, old)| went_on(&old, known.is_resting != 0, &fresh));
            if old.is_none_or(|(_, old)| old != bucket) {
                self.kernel.set_bucket(index, &bucket);
            }
        }
        let kept = self.keep_allowance(id, AllowanceValue { slot, is_resting: 0 });
        if kept.is_err() && known.is_none() {
            self.state.allowances.free.push(slot);
        }
        kept.map(|()| slot)
    }

    /// The ENI has gone. An instance without any on this card earns nothing until one comes back.
    pub fn release(&mut self, side: &Side) {
        if let Some(eni) = side.ingress.eni() {
            self.state.allowances.dropped.remove(&eni);
        }
        let Some(Allowance { instance, card, .. }) = side.allowance else { return };
        let is_of_card = |side: &Side| side.allowance.is_some_and(|allowance| allowance.card == card);
        if side.slot == 0 || self.state.ports.of_instance(instance).any(is_of_card) {
            return;
        }
        for index in row(side.slot) {
            self.kernel.refill_bucket(index, self.now.monotonic_ns);
        }
        let resting = AllowanceValue { slot: side.slot, is_resting: 1 };
        if let Err(error) = self.keep_allowance((instance, card), resting) {
            self.failed("keep an allowance", &error);
        }
    }

    /// Gives back what instances have left that are no more.
    pub fn sweep_allowances(&mut self) {
        if let Err(error) = self.read_allowances() {
            return self.failed("read the allowances", &error);
        }
        let is_kept = |instance: InstanceId| {
            let mut worlds = self.state.view.regions.values();
            let found = worlds.find_map(|world| world.instance(instance));
            let is_there = found.is_some_and(|instance| instance.state != InstanceState::Terminated);
            is_there || self.state.ports.of_instance(instance).next().is_some()
        };
        let slots = self.state.allowances.slots.iter();
        let gone: Vec<_> = slots.filter(|(id, _)| !is_kept(id.0)).map(|(id, value)| (*id, value.slot)).collect();
        for (id, slot) in gone {
            match self.kernel.remove_allowance(&key(id)) {
                Ok(()) => {
                    self.state.allowances.slots.remove(&id);
                    self.state.allowances.free.push(slot);
                }
                Err(error) => self.failed("forget an allowance", &error),
            }
        }
    }

    /// Takes a packet that the slow path sends on from the buckets of both ends, as the fast path would.
    ///
    /// # Errors
    /// One has nothing left: the drop, which is counted for its ENI.
    pub fn charge(&mut self, path: &Path, from: &Side, to: &Side, ip_bytes: u64) -> Result<(), DropReason> {
        let buckets = gp_compile::buckets_of(path, &from.host_side(), &to.host_side());
        let now_ns = self.now.monotonic_ns;
        let is_empty = |index: &u32| *index != 0 && !self.kernel.take_bandwidth(*index, ip_bytes, now_ns);
        let Some(empty) = buckets.into_iter().find(is_empty) else { return Ok(()) };
        let reason = gp_compile::drop_reason_of(empty);
        let side = if reason == DropReason::BandwidthInAllowance { to } else { from };
        if let Some(eni) = side.ingress.eni() {
            self.state.allowances.count(eni, reason);
        }
        Err(reason)
    }

    /// Is there room for one more connection of this tracker?
    pub fn has_room(&mut self, tracker: Tracker) -> bool {
        match tracker {
            Tracker::Eni(eni) => {
                if self.unpromised(eni) == 0 {
                    self.take_back_grants(eni);
                }
                self.unpromised(eni) > 0
            }
            _ => self.state.connections.has_room(tracker),
        }
    }

    /// Further connections that are tracked for an ENI: what all those of its instance have left together.
    pub fn connections_free(&self, eni: EniId) -> usize {
        let connections = &self.state.connections;
        let allowance = self.state.ports.get(eni).and_then(|side| side.allowance);
        let Some(Allowance { instance, connections_max, .. }) = allowance else {
            return PER_ENI_MAX.saturating_sub(connections.len_of(Tracker::Eni(eni)));
        };
        let enis = self.state.ports.of_instance(instance).filter_map(|side| side.ingress.eni());
        let tracked: usize = enis.map(|eni| connections.len_of(Tracker::Eni(eni))).sum();
        (connections_max as usize).saturating_sub(tracked)
    }

    fn keep_allowance(&mut self, id: (InstanceId, u32), value: AllowanceValue) -> Result<(), KernelError> {
        if self.state.allowances.slots.get(&id) != Some(&value) {
            self.kernel.insert_allowance(&key(id), &value)?;
            self.state.allowances.slots.insert(id, value);
        }
        Ok(())
    }

    /// Takes over what an earlier process has allotted, once.
    fn read_allowances(&mut self) -> Result<(), KernelError> {
        if self.state.allowances.is_read {
            return Ok(());
        }
        let mut found = HashMap::new();
        self.kernel.scan_allowances(&mut |key, value| {
            let instance = InstanceId::from_bits(u128::from_be_bytes(key.instance));
            found.insert((instance, key.card), *value);
        })?;
        let taken: HashSet<u32> = found.values().map(|value| value.slot).collect();
        let table = &mut self.state.allowances;
        // The lowest are given first.
        table.free = (1..=self.kernel.allowances_max()).rev().filter(|slot| !taken.contains(slot)).collect();
        (table.slots, table.is_read) = (found, true);
        Ok(())
    }
}

fn key((instance, card): (InstanceId, u32)) -> AllowanceKey {
    AllowanceKey { instance: instance.bits().to_be_bytes(), card, reserved: 0 }
}

fn row(slot: u32) -> std::ops::Range<u32> {
    slot * BUCKETS_PER_ALLOWANCE..(slot + 1) * BUCKETS_PER_ALLOWANCE
}

/// Full ones, as at launch.
fn buckets(bandwidth: &Bandwidth) -> [(u32, Bucket); BUCKETS_PER_ALLOWANCE as usize] {
    let Bandwidth { baseline_bits, peak_bits, internet_bits } = *bandwidth;
    let whole = full(baseline_bits / 8, peak_bits / 8);
    // What goes to the internet has no credits of its own.
    let internet = full(internet_bits / 8, internet_bits / 8);
    [(BUCKET_OUT, whole), (BUCKET_IN, whole), (BUCKET_INTERNET_OUT, internet), (BUCKET_INTERNET_IN, internet)]
}

fn full(baseline_rate: u64, peak_rate: u64) -> Bucket {
    let burst = (peak_rate / BURST_PARTS).max(BURST_BYTES_MIN);
    let credit_max = peak_rate.saturating_sub(baseline_rate).saturating_mul(Bandwidth::CREDIT_SECS);
    Bucket { tokens: burst, credit: credit_max, peak_rate, burst, baseline_rate, credit_max, ..Zeroable::zeroed() }
}

/// What was there goes on under the limits of now: another type's, perhaps.
fn went_on(old: &Bucket, was_resting: bool, fresh: &Bucket) -> Bucket {
    let tokens = old.tokens.cast_signed().min(fresh.burst.cast_signed()).cast_unsigned();
    let refilled_ns = if was_resting { fresh.refilled_ns } else { old.refilled_ns };
    Bucket { tokens, refilled_ns, credit: old.credit.min(fresh.credit_max), ..*fresh }
}

impl Allowance {
    /// That of an ENI on a card of an instance of this type.
    pub fn of(kind: &gp_catalog::InstanceType, instance: InstanceId, card: u32) -> Self {
        Self { instance, card, connections_max: kind.connections_max(), bandwidth: kind.bandwidth(card) }
    }
}
