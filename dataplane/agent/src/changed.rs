//! Which instances a new view concerns: those that are not the same as before, or whose ENIs or subnets are not.
//!
//! A view that follows another knows what has changed since. If that is too long ago the tables are compared; these are
//! persistent maps, which share nearly all of their nodes.

use gp_compile::HostView;
use gp_model::{Eni, EniId, InstanceId, RecordKey, Region, SubnetId, Table, World};
use imbl::ordmap::DiffItem;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The instances of all regions that may have to be made different, gone ones included.
pub fn changed_instances(old: &HostView, new: &HostView) -> BTreeSet<(Region, InstanceId)> {
    let mut changed = BTreeSet::new();
    let regions: BTreeSet<_> = old.regions.keys().chain(new.regions.keys()).collect();
    for region in regions {
        let (old, new) = (old.regions.get(region), new.regions.get(region));
        if old.zip(new).is_some_and(|(old, new)| Arc::ptr_eq(old, new)) {
            continue;
        }
        let ids = changed_in(old.map(|world| &**world), new.map(|world| &**world));
        changed.extend(ids.into_iter().map(|id| (region.clone(), id)));
    }
    changed
}

/// Every instance of the view.
pub fn all_instances(view: &HostView) -> BTreeSet<(Region, InstanceId)> {
    let ids = |(region, world): (&Region, &Arc<World>)| {
        world.tables().instances.keys().map(|id| (region.clone(), *id)).collect::<Vec<_>>()
    };
    view.regions.iter().flat_map(ids).collect()
}

fn changed_in(old: Option<&World>, new: Option<&World>) -> BTreeSet<InstanceId> {
    if let Some((old, new)) = old.zip(new)
        && let Some(keys) = new.changed_since(old)
    {
        return noted(old, new, &keys);
    }
    compared(old, new)
}

/// What records of these keys concern.
fn noted(old: &World, new: &World, keys: &[RecordKey]) -> BTreeSet<InstanceId> {
    let mut changed = BTreeSet::new();
    let mut subnets = BTreeSet::new();
    for key in keys {
        match key {
            RecordKey::Instance(id) => drop(changed.insert(*id)),
            RecordKey::Eni(id) => changed.extend([old, new].into_iter().filter_map(|world| holder(world.eni(*id)?))),
            RecordKey::Subnet(id) => drop(subnets.insert(*id)),
            RecordKey::TrunkAssociation(id) => {
                let sides = [old, new].into_iter().filter_map(|world| world.tables().trunk_associations.get(id));
                changed.extend(sides.filter_map(|association| holder(new.eni(association.trunk)?)));
            }
            _ => {}
        }
    }
    let enis = subnets.iter().flat_map(|subnet| new.enis_of_subnet(*subnet));
    changed.extend(enis.filter_map(|eni| holder(eni)));
    changed
}

fn compared(old: Option<&World>, new: Option<&World>) -> BTreeSet<InstanceId> {
    let mut changed = BTreeSet::new();
    each_difference(old.map(|w| &w.tables().instances), new.map(|w| &w.tables().instances), |id, _, _| {
        changed.insert(*id);
    });
    each_difference(old.map(|w| &w.tables().enis), new.map(|w| &w.tables().enis), |_, old, new| {
        changed.extend([old, new].into_iter().flatten().filter_map(&holder));
    });
    let mut trunks: BTreeSet<EniId> = BTreeSet::new();
    each_difference(
        old.map(|w| &w.tables().trunk_associations),
        new.map(|w| &w.tables().trunk_associations),
        |_, old, new| {
            trunks.extend([old, new].into_iter().flatten().map(|association| association.trunk));
        },
    );
    changed.extend(trunks.iter().filter_map(|trunk| holder(new?.eni(*trunk)?)));
    let mut subnets: BTreeSet<SubnetId> = BTreeSet::new();
    each_difference(old.map(|w| &w.tables().subnets), new.map(|w| &w.tables().subnets), |id, _, _| {
        subnets.insert(*id);
    });
    if !subnets.is_empty() {
        let enis = new.into_iter().flat_map(|world| world.tables().enis.values());
        let enis = enis.filter(|eni| subnets.contains(&eni.subnet));
        changed.extend(enis.filter_map(|eni| holder(eni)));
    }
    changed
}

fn holder(eni: &Eni) -> Option<InstanceId> {
    eni.attachment.as_ref().map(|attachment| attachment.instance)
}

fn each_difference<I: Ord + Clone, V: PartialEq>(
    old: Option<&Table<I, V>>,
    new: Option<&Table<I, V>>,
    mut see: impl FnMut(&I, Option<&V>, Option<&V>),
) {
    let empty = Table::new();
    for item in old.unwrap_or(&empty).diff(new.unwrap_or(&empty)) {
        match item {
            DiffItem::Add(id, new) => see(id, None, Some(new)),
            DiffItem::Update { old: (id, old), new: (_, new) } => see(id, Some(old), Some(new)),
            DiffItem::Remove(id, old) => see(id, Some(old), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_model::{Change, EniAttachment, EniAttachmentId, Record, Timestamp};
    use gp_worlds::Scenario;

    fn attached(world: &World, eni: EniId, instance: Option<u128>) -> Change {
        let mut eni = (**world.eni(eni).unwrap()).clone();
        eni.attachment = instance.map(|instance| EniAttachment {
            id: EniAttachmentId::from_bits(instance),
            instance: InstanceId::from_bits(instance),
            instance_owner: eni.owner,
            device_index: 0,
            network_card_index: 0,
            attached_at: Timestamp(0),
            delete_on_termination: true,
        });
        Change::Put(eni.into())
    }

    #[test]
    fn what_was_noted_is_what_a_comparison_finds() {
        let text = "vpc v 10.0.0.0/16; subnet s v 10.0.1.0/24; sg g v; eni a s 10.0.1.10 sg g; eni b s 10.0.1.11 sg g";
        let scenario: Scenario = text.parse().unwrap();
        let (a, b) = (scenario.eni("a"), scenario.eni("b"));
        let mut world = scenario.world.clone();
        [attached(&world, a, None), attached(&world, b, Some(9))].into_iter().for_each(|change| world.apply(change));
        let first = world.clone();
        let subnet = world.eni(a).unwrap().subnet;
        let mut wide = (**world.subnet(subnet).unwrap()).clone();
        wide.map_public_ip_on_launch = !wide.map_public_ip_on_launch;
        let instances = |numbers: &[u128]| numbers.iter().map(|n| InstanceId::from_bits(*n)).collect::<BTreeSet<_>>();
        let steps: [(Vec<Change>, &[u128]); 5] = [
            (vec![attached(&world, a, Some(1))], &[1]),
            // Moved: the one that had it is concerned as well.
            (vec![attached(&world, a, Some(2))], &[1, 2]),
            (vec![Change::Put(Record::from(wide))], &[2, 9]),
            (vec![attached(&world, a, None), attached(&world, b, None)], &[2, 9]),
            (vec![Change::Delete(RecordKey::Eni(a))], &[]),
        ];
        for (number, (changes, expected)) in steps.into_iter().enumerate() {
            let before = world.clone();
            changes.into_iter().for_each(|change| world.apply(change));
            assert!(world.changed_since(&before).is_some());
            let changed = changed_in(Some(&before), Some(&world));
            assert_eq!(changed, instances(expected), "step {number}");
            assert_eq!(changed, compared(Some(&before), Some(&world)), "step {number}");
        }
        // Over several steps: whoever held one for a time between has nothing of it any more.
        assert_eq!(changed_in(Some(&first), Some(&world)), instances(&[9]));
    }
}
