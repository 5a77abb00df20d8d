//! Which instances a new view concerns: those that are not the same as before, or whose ENIs or subnets are not.

use gp_compile::HostView;
use gp_model::{Eni, InstanceId, RecordKey, Region, World};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The instances of all regions that may have to be made different, gone ones included.
pub fn changed_instances(old: &HostView, new: &HostView) -> BTreeSet<(Region, InstanceId)> {
    let mut changed = BTreeSet::new();
    for (old, new) in old.changed_regions(new) {
        changed.extend(changed_in(&old, &new).into_iter().map(|id| (new.region.clone(), id)));
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

fn changed_in(old: &World, new: &World) -> BTreeSet<InstanceId> {
    let mut changed = BTreeSet::new();
    let mut subnets = Vec::new();
    for key in new.changed_since(old) {
        match key {
            RecordKey::Instance(id) => drop(changed.insert(id)),
            RecordKey::Eni(id) => changed.extend([old, new].into_iter().filter_map(|world| holder(world.eni(id)?))),
            RecordKey::Subnet(id) => subnets.push(id),
            RecordKey::TrunkAssociation(id) => {
                let sides = [old, new].into_iter().filter_map(|world| world.tables().trunk_associations.get(&id));
                changed.extend(sides.filter_map(|association| holder(new.eni(association.trunk)?)));
            }
            _ => {}
        }
    }
    let enis = subnets.into_iter().flat_map(|subnet| new.enis_of_subnet(subnet));
    changed.extend(enis.filter_map(|eni| holder(eni)));
    changed
}

fn holder(eni: &Eni) -> Option<InstanceId> {
    eni.attachment.as_ref().map(|attachment| attachment.instance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gp_model::{Change, EniAttachment, EniAttachmentId, EniId, Record, Timestamp};
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
    fn a_change_concerns_who_has_and_who_had_what_is_changed() {
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
            assert_eq!(changed_in(&before, &world), instances(expected), "step {number}");
        }
        // Over several steps: whoever held one for a time between has nothing of it any more.
        assert_eq!(changed_in(&first, &world), instances(&[9]));
    }
}
