//! One host's agent: makes the host equal to its view and reports what it has applied.
//!
//! ```text
//! HostView → reconciler → sandboxes, links, flows → HostReport
//! ```
//!
//! Everything it makes lives in a network namespace and a BPF file system of its own, below its run directory. Killed at
//! any moment it leaves flows and instances running, and the next process of the same name takes them over.

mod boot;
mod boots;
mod changed;
mod config;
mod down;
mod drain;
mod ena;
mod eni_plan;
mod error;
mod guest;
mod inquiry;
mod live;
mod nat;
mod plumbing;
mod reconciler;
mod uplink;

pub use config::{AgentConfig, instance_dir};
pub use down::down;
pub use error::AgentError;
pub use inquiry::InquiryError;
pub use reconciler::Reports;
pub use uplink::{UplinkConfig, Way, check_region, check_uplink};

use boots::BootLine;
use gp_compile::HostView;
use gp_linux::{NetNs, PacketSender, Tap, TapDrops};
use gp_maps::{Capacity, Fastpath};
use gp_slowpath::{Engine, HostKernel, Now, UpcallRunner};
use plumbing::Plumbing;
use reconciler::Reconciler;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};
use uplink::Uplinks;

/// Name of the TAP that upcalls come through, in Groundplane's namespace.
const UPCALL_TAP: &str = "upcall";
/// The largest frame that the kernel lets a TAP carry.
const UPCALL_MTU: u32 = 65_521;
/// ENIs whose numbers differ by a multiple of this share a queue of upcalls, and so what one of them does to it.
const UPCALL_QUEUES: usize = 64;
/// Results of workers that may wait for the reconciler.
const DONE_QUEUE: usize = 256;
/// Between sweeps of idle flows and connections, whose shortest timeout is 10 s.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3);
/// Between looks after the instances.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A running agent. Dropping it changes nothing on the host.
#[derive(Debug)]
pub struct Agent {
    config: AgentConfig,
    engine: Arc<Engine>,
    view: watch::Receiver<HostView>,
    applied: Arc<AtomicU64>,
    /// Ends first, so that nothing is begun any more.
    _reconciler: ReconcilerThread,
    /// Reads the TAP for as long as the agent lives.
    _upcalls: UpcallRunner,
}

impl Agent {
    /// Takes over what an earlier process left, and follows the view from then on. Call inside a multi-threaded runtime.
    ///
    /// # Errors
    /// The host's part of it can't be made: rights, kernel, or a path in use.
    pub fn start(config: AgentConfig, view: watch::Receiver<HostView>, reports: Reports) -> Result<Self, AgentError> {
        let netns = NetNs::ensure_pinned(&config.netns_pin())?;
        // A new namespace takes this over from the host, where it may be on. Ours must never route by itself.
        netns.set_sysctl("ipv4/ip_forward", "0")?;
        gp_linux::mount::ensure_bpffs(&config.bpffs())?;
        let fastpath = netns.run(|| Fastpath::load(Some(&config.map_pins()), Capacity::default()))??;
        let tap = Tap::ensure(&netns, UPCALL_TAP, UPCALL_MTU, UPCALL_QUEUES)?;
        tap.steer(fastpath.queue_program_fd())?;
        fastpath.settings().set_upcall_ifindex(tap.ifindex)?;
        let sender = PacketSender::open(&netns)?;
        let kernel = HostKernel::new(&fastpath, sender, TapDrops::open(&netns, UPCALL_TAP)?);
        let engine = Arc::new(Engine::new(kernel));
        let plumbing = Arc::new(Plumbing::new(netns, fastpath, engine.clone(), config.bandwidth_limits)?);

        let applied = Arc::new(AtomicU64::new(0));
        let (done, finished) = mpsc::channel(DONE_QUEUE);
        let boots = BootLine::open()?;
        let mut reconciler =
            Reconciler::new(config.clone(), plumbing, engine.clone(), reports, boots, done, applied.clone());
        let first = view.borrow().clone();
        reconciler.uplinks = Uplinks::start(&config, reconciler.plumbing.clone(), &first)?;
        reconciler.adopt(&first);
        engine.apply(first, Now::read());
        let (flows, connections) = engine.adopt(Now::read())?;
        info!(flows, connections, "taken over from the kernel");
        let upcalls = UpcallRunner::start(engine.clone(), tap.queues)?;
        spawn_sweeper(&engine)?;
        let reconciler = spawn_reconciler(reconciler, view.clone(), finished)?;
        Ok(Self { config, engine, view, applied, _reconciler: reconciler, _upcalls: upcalls })
    }
}

/// Sweeps have a thread of their own: a change must not wait until a large table has been read. It ends with the engine.
fn spawn_sweeper(engine: &Arc<Engine>) -> Result<(), AgentError> {
    let engine = Arc::downgrade(engine);
    let sweep = move || {
        loop {
            std::thread::sleep(SWEEP_INTERVAL);
            let Some(engine) = engine.upgrade() else { return };
            if let Err(error) = engine.expire(Now::read()) {
                warn!(error = error::chain(&error), "idle flows can't be swept");
            }
        }
    };
    spawn_thread("sweeper", sweep).map(drop)
}

/// Dropping it ends the thread, once that has done what it is doing.
#[derive(Debug)]
struct ReconcilerThread {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for ReconcilerThread {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // One that panicked has ended, too.
            let _ = thread.join();
        }
    }
}

/// The reconciler has a thread of its own, since its work blocks; it waits by the runtime.
fn spawn_reconciler(
    mut reconciler: Reconciler,
    mut view: watch::Receiver<HostView>,
    mut finished: mpsc::Receiver<reconciler::Done>,
) -> Result<ReconcilerThread, AgentError> {
    let (stop, mut stopped) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    // An interval and not a pause: a busy API must not keep the reconciler from looking after its instances.
    let mut rounds = {
        let _guard = runtime.enter();
        tokio::time::interval(LOOK_INTERVAL)
    };
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    view.mark_changed();
    let work = move || {
        loop {
            let event = runtime.block_on(async {
                tokio::select! {
                    biased;
                    _ = &mut stopped => None,
                    changed = view.changed() => changed.ok().map(|()| Event::View),
                    done = finished.recv() => done.map(Event::Done),
                    _ = rounds.tick() => Some(Event::Look),
                }
            });
            match event {
                None => return,
                // Looking must not mark a view as seen that came meanwhile: it would never be applied.
                Some(Event::Look) => reconciler.look_after(&view.borrow().clone()),
                Some(Event::View) => reconciler.reconcile(&view.borrow_and_update().clone()),
                Some(Event::Done(done)) => {
                    reconciler.finish(done);
                    // Forty instances that boot together are done together.
                    while let Ok(done) = finished.try_recv() {
                        reconciler.finish(done);
                    }
                    reconciler.reconcile(&view.borrow_and_update().clone());
                }
            }
        }
    };
    Ok(ReconcilerThread { stop: Some(stop), thread: Some(spawn_thread("reconciler", work)?) })
}

fn spawn_thread(name: &'static str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, AgentError> {
    let failed = |source| AgentError::File { what: format!("starting the thread {name}"), source };
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(failed)
}

enum Event {
    View,
    Done(reconciler::Done),
    Look,
}
