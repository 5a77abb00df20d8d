//! Makes the host equal to its view, again and again: compare, act, report. It takes no orders but the view.
//!
//! Interfaces and flows of running instances are made right before a generation is reported as applied; booting and
//! ending an instance happens on worker threads, and their outcome is reported when they are done.

use crate::boot::{self, BootPlan};
use crate::boots::BootLine;
use crate::changed::{all_instances, changed_instances};
use crate::config::AgentConfig;
use crate::drain::Drains;
use crate::error::{AgentError, chain};
use crate::guest::{self, Guest};
use crate::live::{Outcome, RunningInstance};
use crate::plumbing::Plumbing;
use crate::uplink::Uplinks;
use gp_compile::{HostReport, HostView, InstanceOutcome};
use gp_model::{EniId, Generation, Instance, InstanceId, InstanceState, Region, World};
use gp_slowpath::{Engine, Now};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

/// Takes what the host says. Called by the reconciler's own thread, which must not be kept.
pub type Reports = Box<dyn Fn(HostReport) + Send + Sync>;

/// What this host knows about one instance.
enum Slot {
    /// It waits for its turn to boot, or boots.
    Starting,
    Running(Box<RunningInstance>),
    /// A worker ends it.
    Ending,
    /// A boot failed or is over; the report is on its way and the same boot isn't tried again.
    Failed {
        boot: u32,
    },
    /// It could not be ended; that is tried again soon. Nothing is reported before it has gone.
    Unended,
}

/// What a worker has done.
pub enum Done {
    Started {
        instance: InstanceId,
        region: Region,
        plan: Box<BootPlan>,
        result: Result<Arc<dyn Guest>, AgentError>,
    },
    Ended {
        instance: InstanceId,
        region: Region,
        boot: u32,
        outcome: Option<InstanceOutcome>,
        result: Result<(), AgentError>,
    },
}

impl Done {
    fn subject(&self) -> (Region, InstanceId) {
        match self {
            Self::Started { instance, region, .. } | Self::Ended { instance, region, .. } => {
                (region.clone(), *instance)
            }
        }
    }
}

pub struct Reconciler {
    config: AgentConfig,
    pub plumbing: Arc<Plumbing>,
    pub uplinks: Option<Uplinks>,
    engine: Arc<Engine>,
    reports: Reports,
    boots: BootLine,
    done: mpsc::Sender<Done>,
    runtime: tokio::runtime::Handle,
    slots: BTreeMap<InstanceId, Slot>,
    applied: Arc<AtomicU64>,
    /// The view of the last round: what has changed since is looked at, and nothing else.
    last: Option<HostView>,
    /// What a worker has done something to since the last round.
    touched: BTreeSet<(Region, InstanceId)>,
    drains: Drains,
    /// Something could not be made right; all of it is tried again soon.
    is_behind: bool,
}

impl Reconciler {
    pub fn new(
        config: AgentConfig,
        plumbing: Arc<Plumbing>,
        engine: Arc<Engine>,
        reports: Reports,
        boots: BootLine,
        done: mpsc::Sender<Done>,
        applied: Arc<AtomicU64>,
    ) -> Self {
        let runtime = tokio::runtime::Handle::current();
        Self {
            config,
            plumbing,
            uplinks: None,
            engine,
            reports,
            boots,
            done,
            runtime,
            slots: BTreeMap::new(),
            applied,
            last: None,
            touched: BTreeSet::new(),
            drains: Drains::default(),
            is_behind: false,
        }
    }

    /// Takes over what a former process of this name left running. Call before the first [`Reconciler::reconcile`].
    pub fn adopt(&mut self, view: &HostView) {
        let mut wanted = BTreeSet::new();
        for world in view.regions.values() {
            for instance in world.tables().instances.values() {
                if let Some(adopted) = self.adopt_instance(world, instance) {
                    wanted.extend(adopted.enis.keys().copied());
                    self.slots.insert(instance.id, Slot::Running(Box::new(adopted)));
                }
            }
        }
        self.end_orphans(view);
        match self.plumbing.plugged() {
            Ok(plugged) => {
                for stray in plugged.into_iter().filter(|eni| !wanted.contains(eni)) {
                    if let Err(error) = self.plumbing.unplug(stray) {
                        error!(eni = %stray, error = chain(&error), "a stray interface can't be removed");
                    }
                }
            }
            Err(error) => error!(error = chain(&error), "stray interfaces can't be found"),
        }
    }

    /// Ends guests that a former process left and that the view does not know: their store is gone.
    fn end_orphans(&self, view: &HostView) {
        let entries = std::fs::read_dir(self.config.instances_dir()).into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<InstanceId>().ok());
        for id in ids.filter(|id| !is_known(view, *id)) {
            warn!(instance = %id, "nobody knows this instance; it is removed");
            let place = self.config.instance(id);
            if let Err(error) = guest::end(guest::adopt(&place).as_deref(), &place, true) {
                error!(instance = %id, error = chain(&error), "a forgotten instance can't be removed");
            }
        }
    }

    /// A running guest of the boot that is wanted, with its interfaces plugged again.
    fn adopt_instance(&self, world: &World, instance: &Instance) -> Option<RunningInstance> {
        let place = self.config.instance(instance.id);
        let guest = guest::adopt(&place)?;
        let boot = place.recorded_boot()?;
        // The former process may have ended between the boot and this record of it.
        if let Err(error) = place.record_first_boot() {
            warn!(instance = %instance.id, %error, "its first boot can't be recorded");
        }
        let mut enis = BTreeMap::new();
        for plan in boot::eni_plans(world, instance) {
            let plugged = guest.seat(&plan).and_then(|seat| self.plumbing.plug(&plan, &seat));
            // The former process may have ended between the two.
            match plugged.and_then(|()| guest.plugged(&plan)) {
                Ok(()) => drop(enis.insert(plan.eni, plan)),
                Err(error) => warn!(eni = %plan.eni, error = chain(&error), "the interface can't be taken over"),
            }
        }
        // It may have ended while it took another one away.
        let tidy = |plan| self.plumbing.tidy(&guest.seat(plan)?, enis.values());
        if let Some(Err(error)) = enis.values().next().map(tidy) {
            warn!(instance = %instance.id, error = chain(&error), "what is left of former interfaces can't be removed");
        }
        info!(instance = %instance.id, "taken over");
        Some(RunningInstance::new(boot, guest, enis))
    }

    /// Makes the host equal to the view and reports its generation as applied.
    pub fn reconcile(&mut self, view: &HostView) {
        for (region, id) in self.concerned(view) {
            let world = view.regions.get(&region);
            match world.and_then(|world| Some((world, world.instance(id)?))) {
                Some((world, instance)) => self.reconcile_instance(&region, world, instance),
                None => self.end_stranger(view, id),
            }
        }
        if let Some(uplinks) = &mut self.uplinks {
            self.is_behind |= !uplinks.ensure(view);
        }
        self.last = Some(view.clone());
        self.engine.apply(view.clone(), Now::read());
        self.applied.store(view.generation.0, Ordering::Release);
        self.report(HostReport::Applied { generation: view.generation });
        self.report_drained();
    }

    /// Tells which draining addresses no connection uses any more, in the view that packets obey.
    fn report_drained(&mut self) {
        let Some(last) = &self.last else { return };
        let unused = self.drains.newly_unused(last, &self.engine);
        unused.into_iter().for_each(|report| self.report(report));
    }

    /// The instances that may not be as the view says: all of them at first and after a failure.
    fn concerned(&mut self, view: &HostView) -> BTreeSet<(Region, InstanceId)> {
        let mut concerned = std::mem::take(&mut self.touched);
        let is_behind = std::mem::take(&mut self.is_behind);
        match self.last.as_ref().filter(|_| !is_behind) {
            Some(last) => concerned.extend(changed_instances(last, view)),
            None => concerned.extend(all_instances(view)),
        }
        concerned
    }

    fn reconcile_instance(&mut self, region: &Region, world: &World, instance: &Instance) {
        match instance.state {
            InstanceState::Pending | InstanceState::Running => self.ensure_running(region, world, instance),
            InstanceState::Stopping => self.end(region, instance, Some(InstanceOutcome::Stopped), false),
            InstanceState::ShuttingDown => self.end(region, instance, Some(InstanceOutcome::Terminated), true),
            InstanceState::Stopped | InstanceState::Terminated => {
                // One that failed to boot has files, too.
                if matches!(self.slots.get(&instance.id), Some(Slot::Running(_) | Slot::Failed { .. })) {
                    self.end(region, instance, None, instance.state == InstanceState::Terminated);
                }
            }
        }
    }

    fn ensure_running(&mut self, region: &Region, world: &World, instance: &Instance) {
        match self.slots.get_mut(&instance.id) {
            None => self.start_afresh(region, world, instance),
            Some(Slot::Failed { boot }) if *boot != instance.boot => self.start_afresh(region, world, instance),
            Some(Slot::Running(running)) if running.boot != instance.boot => self.end(region, instance, None, false),
            Some(Slot::Running(running)) => {
                let Outcome { is_behind, unattached } =
                    running.ensure_enis(&self.plumbing, boot::eni_plans(world, instance));
                let outcome = running_outcome(&*running.guest);
                self.is_behind |= is_behind;
                for (plan, reason) in unattached {
                    let (eni, attachment) = (plan.eni, plan.attachment);
                    self.report(HostReport::Unattached { region: region.clone(), eni, attachment, reason });
                }
                if instance.state == InstanceState::Pending {
                    self.report_instance(region, instance.id, instance.boot, outcome);
                }
            }
            // A worker has it; its outcome comes with a further round.
            Some(Slot::Starting | Slot::Ending | Slot::Unended | Slot::Failed { .. }) => {}
        }
    }

    /// Starts an instance; what still runs of an earlier boot is ended first, and the start comes with a further round.
    fn start_afresh(&mut self, region: &Region, world: &World, instance: &Instance) {
        if guest::adopt(&self.config.instance(instance.id)).is_some() {
            self.end(region, instance, None, false);
        } else {
            self.start(region, world, instance);
        }
    }

    fn start(&mut self, region: &Region, world: &World, instance: &Instance) {
        let plan = Box::new(BootPlan::new(&self.config, world, instance));
        self.slots.insert(instance.id, Slot::Starting);
        let (plumbing, done) = (self.plumbing.clone(), self.done.clone());
        let (id, region) = (instance.id, region.clone());
        self.boots.push(move || {
            let result = plan.start(&plumbing);
            // Nobody listens once the agent ends; the next one adopts the instance.
            let _ = done.blocking_send(Done::Started { instance: id, region, plan, result });
        });
    }

    /// Ends an instance whatever it is doing; `outcome` is reported when it is done.
    fn end(&mut self, region: &Region, instance: &Instance, outcome: Option<InstanceOutcome>, remove: bool) {
        let running = match self.slots.remove(&instance.id) {
            Some(Slot::Running(running)) => {
                running.enis.keys().for_each(|eni| self.unplug(*eni, instance.id));
                Some(running.guest)
            }
            // Once the worker is done, a further round comes here again.
            Some(busy @ (Slot::Starting | Slot::Ending | Slot::Unended)) => {
                self.slots.insert(instance.id, busy);
                return;
            }
            Some(Slot::Failed { .. }) | None => guest::adopt(&self.config.instance(instance.id)),
        };
        self.slots.insert(instance.id, Slot::Ending);
        let place = self.config.instance(instance.id);
        let (done, region, id, boot) = (self.done.clone(), region.clone(), instance.id, instance.boot);
        self.runtime.spawn_blocking(move || {
            let result = guest::end(running.as_deref(), &place, remove);
            let _ = done.blocking_send(Done::Ended { instance: id, region, boot, outcome, result });
        });
    }

    /// Ends the guest of an instance that the view doesn't have any more.
    fn end_stranger(&mut self, view: &HostView, id: InstanceId) {
        if is_known(view, id) {
            return;
        }
        let stranger = match self.slots.remove(&id) {
            Some(Slot::Running(stranger)) => stranger,
            // Once the worker is done, a further round comes here again.
            Some(busy @ (Slot::Starting | Slot::Ending)) => {
                self.slots.insert(id, busy);
                return;
            }
            Some(Slot::Failed { .. } | Slot::Unended) | None => return,
        };
        stranger.enis.keys().for_each(|eni| self.unplug(*eni, id));
        let place = self.config.instance(id);
        self.runtime.spawn_blocking(move || {
            if let Err(error) = guest::end(Some(&*stranger.guest), &place, true) {
                error!(instance = %id, error = chain(&error), "a forgotten instance can't be removed");
            }
        });
    }

    /// Takes a worker's result. The caller reconciles again afterwards, since the world may have moved on meanwhile.
    pub fn finish(&mut self, done: Done) {
        self.touched.insert(done.subject());
        match done {
            Done::Started { instance, region, plan, result: Ok(guest) } => {
                let enis = plan.enis.iter().map(|eni| (eni.eni, eni.clone())).collect();
                let slot = RunningInstance::new(plan.boot, guest, enis);
                let outcome = running_outcome(&*slot.guest);
                self.slots.insert(instance, Slot::Running(Box::new(slot)));
                info!(%instance, "running");
                self.report_instance(&region, instance, plan.boot, outcome);
            }
            Done::Started { instance, region, plan, result: Err(error) } => {
                let reason = chain(&error);
                error!(%instance, reason, "can't be started");
                self.slots.insert(instance, Slot::Failed { boot: plan.boot });
                self.report_instance(&region, instance, plan.boot, InstanceOutcome::Failed { reason });
            }
            Done::Ended { instance, region, boot, outcome, result } => {
                self.slots.remove(&instance);
                if let Err(error) = result {
                    error!(%instance, error = chain(&error), "can't be ended");
                    self.slots.insert(instance, Slot::Unended);
                } else if let Some(outcome) = outcome {
                    info!(%instance, ?outcome, "ended");
                    // The view does not know yet. Until it does, this must not look like an instance that is to be booted.
                    self.slots.insert(instance, Slot::Failed { boot });
                    self.report_instance(&region, instance, boot, outcome);
                }
            }
        }
    }

    /// Finds instances and drained addresses that ended by themselves, and tries again what failed.
    pub fn look_after(&mut self, view: &HostView) {
        self.report_drained();
        let known = self.slots.len();
        self.slots.retain(|_, slot| !matches!(slot, Slot::Unended));
        self.is_behind |= self.slots.len() < known;
        if self.is_behind {
            self.reconcile(view);
        }
        for slot in self.slots.values() {
            if let Slot::Running(instance) = slot {
                instance.guest.look_after();
            }
        }
        let ended: Vec<_> = self
            .slots
            .iter()
            .filter(|(_, slot)| matches!(slot, Slot::Running(instance) if !instance.guest.is_running()))
            .map(|(id, _)| *id)
            .collect();
        for id in ended {
            for (region, world) in &view.regions {
                if let Some(instance) = world.instance(id) {
                    warn!(instance = %id, "ended by itself");
                    self.end(region, instance, Some(InstanceOutcome::Stopped), false);
                }
            }
        }
    }

    fn unplug(&self, eni: EniId, instance: InstanceId) {
        if let Err(error) = self.plumbing.unplug_from(eni, instance) {
            error!(%eni, error = chain(&error), "the interface can't be removed");
        }
    }

    fn report_instance(&self, region: &Region, instance: InstanceId, boot: u32, outcome: InstanceOutcome) {
        self.report(HostReport::Instance { region: region.clone(), instance, boot, outcome });
    }

    fn report(&self, report: HostReport) {
        (self.reports)(report);
    }
}

/// That it runs, and how.
fn running_outcome(guest: &dyn Guest) -> InstanceOutcome {
    match guest.emulated_because() {
        Some(reason) => InstanceOutcome::Emulated { reason },
        None => InstanceOutcome::Running,
    }
}

fn is_known(view: &HostView, id: InstanceId) -> bool {
    view.regions.values().any(|world| world.instance(id).is_some())
}

/// The newest generation that was applied.
pub fn applied(counter: &AtomicU64) -> Generation {
    Generation(counter.load(Ordering::Acquire))
}
