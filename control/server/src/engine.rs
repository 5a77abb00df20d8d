//! The loop of every change: plan on the head, commit, wait until it is durable, wait until the host obeys.
//!
//! Plan and commit happen under one lock, so concurrent writers queue instead of undoing each other's plans. The lock
//! is not held while anything is waited for: the next plan builds on the head that the last one left.

use crate::Settings;
use crate::chance::{self, Randomness};
use crate::counters::Counters;
use crate::unattached::Unattached;
use gp_actions::Caller;
use gp_compile::HostReport;
use gp_ec2::{ApiError, Reply, Request};
use gp_model::{Change, EniAttachmentId, Generation, NatGatewayId, Record, Region, Transaction, World};
use gp_store::{Commit, CommitError, Snapshot, Store};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

/// How often a change is planned anew because its region changed underneath. With a store that only this process
/// writes it never is; with a shared one, a lost race is rare and ten in a row mean that something is wrong.
const MAX_PLANS: u32 = 10;
/// Longest wait for the disk. A disk that is slower than this is as good as none.
const DURABLE_WAIT: Duration = Duration::from_secs(10);

pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) settings: Settings,
    pub(crate) counters: Counters,
    /// The generation that the host obeys; `None` until it has said so once.
    applied: watch::Receiver<Option<Generation>>,
    /// Held while planning and committing; see the module's page.
    planning: Mutex<Randomness>,
    /// Why the store takes no more writes, once that has happened.
    store_failure: OnceLock<String>,
    pub(crate) unattached: Unattached,
}

/// An answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    /// The generation that the host has not applied yet, though the wait for it is over.
    pub(crate) not_yet_applied: Option<Generation>,
}

/// What planning gives.
struct Planned<T> {
    changes: Vec<Change>,
    /// What they make of the world that was planned on, if the planner has it.
    world: Option<World>,
    value: T,
}

/// What a plan came to under the lock.
enum Step<T> {
    Commit(Commit, T),
    /// Nothing to commit; the outcome rests on the head of this generation.
    Settled(Generation, Result<T, ApiError>),
}

impl Engine {
    pub(crate) fn new(store: Arc<dyn Store>, settings: Settings, applied: watch::Receiver<Option<Generation>>) -> Self {
        Self {
            store,
            settings,
            counters: Counters::default(),
            applied,
            planning: Mutex::new(Randomness),
            store_failure: OnceLock::new(),
            unattached: Unattached::default(),
        }
    }

    /// Answers one request.
    ///
    /// Dropping the future on the way is harmless: a commit that was made becomes durable and reaches the host
    /// without it.
    ///
    /// # Errors
    /// AWS's refusal, or ours (5xx).
    pub(crate) async fn call(&self, caller: &Caller, request: &Request) -> Result<Answer, ApiError> {
        if only_reads(request.action.name()) {
            let world = self.store.snapshot().world(&caller.region);
            let plan = self.guarded(|| self.plan(&world, caller, request, &mut Randomness))?;
            // An account's first call brings its default VPC and goes the way of changes.
            if plan.changes.is_empty() {
                return Ok(Answer { reply: plan.reply, not_yet_applied: None });
            }
        }
        self.check_region(&caller.region)?;
        let plan = |world: &World, chance: &mut Randomness| {
            self.plan(world, caller, request, chance).map(|plan| {
                let waits_for = (attachments_of(&plan.changes), passing_gateways_of(&plan.changes));
                Planned { changes: plan.changes, world: plan.world, value: (plan.reply, waits_for) }
            })
        };
        let (generation, (reply, (attachments, passing))) = self.carry_out(&caller.region, plan).await?;
        // Also where nothing had to be changed: a repeated call may meet a change that is still on its way.
        let mut not_yet_applied = self.obeyed(generation).await.err();
        if not_yet_applied.is_none() && !passing.is_empty() {
            not_yet_applied = self.settled(&caller.region, &passing).await.err();
        }
        self.check_attached(&caller.region, &attachments).await?;
        Ok(Answer { reply, not_yet_applied })
    }

    fn plan(
        &self,
        world: &World,
        caller: &Caller,
        request: &Request,
        chance: &mut Randomness,
    ) -> Result<gp_actions::Plan, ApiError> {
        gp_actions::plan(world, caller, request, chance::now(), chance, &self.settings.planner)
    }

    /// A region is made by the first change in it; one that the host can't serve is not begun.
    ///
    /// # Errors
    /// `UnsupportedOperation` with the host's reason.
    fn check_region(&self, region: &Region) -> Result<(), ApiError> {
        if self.store.snapshot().regions.contains_key(region) {
            return Ok(());
        }
        self.settings.region_gate.check(region).map_err(|reason| {
            ApiError::client(
                "UnsupportedOperation",
                format!("The region {region} can't be used on this host: {reason}"),
            )
        })
    }

    /// Commits what `plan` makes of the region's newest world, and waits until it is durable. Gives the generation
    /// in which the outcome holds. A refusal, too, is given only when what it rests on is durable.
    ///
    /// # Errors
    /// The plan's own, or ours (5xx).
    pub(crate) async fn change<T>(
        &self,
        region: &Region,
        mut plan: impl FnMut(&World, &mut Randomness) -> Result<(Vec<Change>, T), ApiError>,
    ) -> Result<(Generation, T), ApiError> {
        let plan = |world: &World, chance: &mut Randomness| {
            plan(world, chance).map(|(changes, value)| Planned { changes, world: None, value })
        };
        self.carry_out(region, plan).await
    }

    async fn carry_out<T>(
        &self,
        region: &Region,
        mut plan: impl FnMut(&World, &mut Randomness) -> Result<Planned<T>, ApiError>,
    ) -> Result<(Generation, T), ApiError> {
        for _ in 0..MAX_PLANS {
            match self.step(region, &mut plan).await {
                Step::Settled(generation, outcome) => {
                    self.durable(generation).await?;
                    return outcome.map(|value| (generation, value));
                }
                Step::Commit(commit, value) => match commit.await {
                    Ok(generation) => {
                        self.counters.commits.add_one();
                        return Ok((generation, value));
                    }
                    Err(CommitError::Conflict { .. }) => self.counters.conflicts.add_one(),
                    Err(error) => return Err(self.refuse_commit(&error)),
                },
            }
        }
        Err(ApiError::unavailable("The region is changing too fast to add this change to it. Try again."))
    }

    /// Where the host could not give an ENI to its instance: takes the attachment back, and says why.
    ///
    /// # Errors
    /// `IncorrectState` with the host's reason.
    async fn check_attached(&self, region: &Region, attachments: &[EniAttachmentId]) -> Result<(), ApiError> {
        let Some(report) = attachments.iter().find_map(|id| self.unattached.take(*id)) else { return Ok(()) };
        let undone =
            self.change(region, |world, _chance| Ok((gp_actions::plan_report(world, &report, chance::now()), ())));
        let (generation, ()) = undone.await?;
        // The host holds nothing of it: whether it has read that yet does not matter.
        let _ = self.obeyed(generation).await;
        let HostReport::Unattached { eni, reason, .. } = report else { return Ok(()) };
        let message = format!("The host could not attach the network interface '{eni}': {reason}");
        Err(ApiError::client("IncorrectState", message))
    }

    /// Plans and commits once, under the lock.
    async fn step<T>(
        &self,
        region: &Region,
        plan: &mut impl FnMut(&World, &mut Randomness) -> Result<Planned<T>, ApiError>,
    ) -> Step<T> {
        let mut chance = self.planning.lock().await;
        let head = self.store.head();
        let world = head.world(region);
        match self.guarded(|| plan(&world, &mut chance)) {
            Ok(Planned { changes, world: planned, value }) if !changes.is_empty() => {
                let transaction = Transaction { region: region.clone(), changes };
                Step::Commit(self.store.commit_planned(head.generation, transaction, planned), value)
            }
            settled => Step::Settled(head.generation, settled.map(|planned| planned.value)),
        }
    }

    /// Planning is pure, so a panic in it leaves nothing half done: it costs the request and not the server.
    fn guarded<T>(&self, plan: impl FnOnce() -> Result<T, ApiError>) -> Result<T, ApiError> {
        catch_unwind(AssertUnwindSafe(plan)).unwrap_or_else(|_panic| {
            self.counters.panics.add_one();
            tracing::error!("planning a request has panicked; this is a bug");
            Err(ApiError::internal("An internal error has occurred"))
        })
    }

    /// Waits until a generation is durable.
    async fn durable(&self, generation: Generation) -> Result<(), ApiError> {
        if let Some(reason) = self.store_failure() {
            return Err(store_failed(reason));
        }
        let mut watch = self.store.watch();
        let reached = watch.wait_for(|snapshot| snapshot.generation >= generation);
        match timeout(DURABLE_WAIT, reached).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(ApiError::unavailable("The store does not answer. Try again.")),
        }
    }

    fn refuse_commit(&self, error: &CommitError) -> ApiError {
        tracing::error!(%error, "a commit has failed");
        match error {
            CommitError::Failed { reason } => store_failed(self.store_failure.get_or_init(|| reason.clone())),
            _ => ApiError::internal("An internal error has occurred"),
        }
    }

    /// Why the store takes no more writes, if that has happened.
    pub(crate) fn store_failure(&self) -> Option<&str> {
        self.store_failure.get().map(String::as_str)
    }

    /// The generation that the host obeys, once it has said so.
    pub(crate) fn applied(&self) -> Option<Generation> {
        *self.applied.borrow()
    }

    /// Waits until NAT gateways are in the state that they are on their way to, and the host obeys that.
    ///
    /// # Errors
    /// As [`Engine::obeyed`].
    async fn settled(&self, region: &Region, gateways: &[NatGatewayId]) -> Result<(), Generation> {
        let mut watch = self.store.watch();
        let are_settled = |snapshot: &Snapshot| {
            let world = snapshot.regions.get(region);
            let is_passing = |id: &NatGatewayId| world?.nat_gateway(*id).filter(|gateway| gateway.is_passing());
            gateways.iter().all(|id| is_passing(id).is_none())
        };
        let generation = match timeout(self.settings.limits.host_wait, watch.wait_for(are_settled)).await {
            Ok(Ok(snapshot)) => snapshot.generation,
            _ => return Err(self.store.snapshot().generation),
        };
        self.obeyed(generation).await
    }

    /// Waits until the host obeys a generation, however long that takes. Says whether it ever will.
    pub(crate) async fn reaches_host(&self, generation: Generation) -> bool {
        let reached = |applied: &Option<Generation>| applied.is_some_and(|applied| applied >= generation);
        self.applied.clone().wait_for(reached).await.is_ok()
    }

    /// Waits until the host obeys a generation.
    ///
    /// # Errors
    /// The generation, if the wait was too long. The change stands; whoever asked must be told.
    pub(crate) async fn obeyed(&self, generation: Generation) -> Result<(), Generation> {
        let mut applied = self.applied.clone();
        let reached = applied.wait_for(|applied| applied.is_some_and(|applied| applied >= generation));
        if let Ok(Ok(_)) = timeout(self.settings.limits.host_wait, reached).await {
            return Ok(());
        }
        self.counters.answered_before_applied.add_one();
        let applied = self.applied().map(|applied| applied.0);
        tracing::warn!(generation = generation.0, applied, "answering before the host has applied the change");
        Err(generation)
    }
}

/// The NAT gateways that a transaction sends on their way to another state.
fn passing_gateways_of(changes: &[Change]) -> Vec<NatGatewayId> {
    let passing = |change: &Change| match change {
        Change::Put(Record::NatGateway(gateway)) => gateway.is_passing().then_some(gateway.id),
        _ => None,
    };
    changes.iter().filter_map(passing).collect()
}

/// The attachments that a transaction writes.
fn attachments_of(changes: &[Change]) -> Vec<EniAttachmentId> {
    let attachment = |change: &Change| match change {
        Change::Put(Record::Eni(eni)) => eni.attachment.as_ref().map(|attachment| attachment.id),
        _ => None,
    };
    changes.iter().filter_map(attachment).collect()
}

fn store_failed(reason: &str) -> ApiError {
    ApiError::internal(format!("The store takes no more writes until a restart: {reason}"))
}

/// EC2 names its reading actions by these verbs. A wrong guess costs time and nothing else: what such an action
/// would change is committed all the same.
fn only_reads(action: &str) -> bool {
    ["Describe", "Get", "List", "Search"].iter().any(|verb| action.starts_with(verb))
}
