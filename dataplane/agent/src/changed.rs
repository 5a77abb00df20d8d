//! Which instances a new view concerns: those that are not the same as before, or whose ENIs or subnets are not.
//!
//! The tables are persistent maps, so two views that follow one another share nearly all of their nodes, and the
//! comparison costs what has changed and not what there is.

use gp_compile::HostView;
use gp_model::{Eni, EniId, InstanceId, Region, SubnetId, Table, World};
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
