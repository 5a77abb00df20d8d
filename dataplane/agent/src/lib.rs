//! One host's agent: makes the host equal to its view and reports what it has applied.
//!
//! ```text
//! HostView → reconciler → sandboxes, links, flows → HostReport
//! ```
//!
//! Everything it makes lives in a network namespace and a BPF file system of its own, below its run directory. Killed at
//! any moment it leaves flows and instances running, and the next process of the same name takes them over.

mod boot;
mod config;
mod down;
mod error;
mod inquiry;
mod plumbing;
mod reconciler;

pub use config::{AgentConfig, instance_dir};
pub use down::down;
pub use error::AgentError;
pub use inquiry::InquiryError;

use gp_compile::{HostReport, HostView};
use gp_linux::{NetNs, PacketSender, Tap};
use gp_maps::{Capacity, Fastpath};
use gp_slowpath::{Engine, HostKernel, Now, UpcallRunner};
use plumbing::Plumbing;
use reconciler::Reconciler;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

/// Name of the TAP that upcalls come through, in Groundplane's namespace.
const UPCALL_TAP: &str = "upcall";
/// The largest frame that the kernel lets a TAP carry.
const UPCALL_MTU: u32 = 65_521;
/// Results of workers that may wait for the reconciler.
const DONE_QUEUE: usize = 256;
/// Between sweeps of idle flows and looks after the instances.
const SWEEP_INTERVAL: Duration = Duration::from_secs(2);

/// A running agent. Dropping it changes nothing on the host.
#[derive(Debug)]
pub struct Agent {
    config: AgentConfig,
    engine: Arc<Engine>,
    view: watch::Receiver<HostView>,
    applied: Arc<AtomicU64>,
    /// Reads the TAP for as long as the agent lives.
    _upcalls: UpcallRunner,
}

impl Agent {
    /// Takes over what an earlier process left, and follows the view from then on. Call inside a multi-threaded runtime.
    ///
    /// # Errors
    /// The host's part of it can't be made: rights, kernel, or a path in use.
    pub fn start(
        config: AgentConfig,
        view: watch::Receiver<HostView>,
        reports: mpsc::Sender<HostReport>,
    ) -> Result<Self, AgentError> {
        let netns = NetNs::ensure_pinned(&config.netns_pin())?;
        gp_linux::mount::ensure_bpffs(&config.bpffs())?;
        let fastpath = netns.run(|| Fastpath::load(Some(&config.map_pins()), Capacity::default()))??;
        let tap = Tap::ensure(&netns, UPCALL_TAP, UPCALL_MTU)?;
        fastpath.settings().set_upcall_ifindex(tap.ifindex)?;
        let engine = Arc::new(Engine::new(HostKernel::new(&fastpath, PacketSender::open(&netns)?)));
        let plumbing = Arc::new(Plumbing::new(netns, fastpath, engine.clone())?);

        let applied = Arc::new(AtomicU64::new(0));
        let (done, finished) = mpsc::channel(DONE_QUEUE);
        let mut reconciler = Reconciler::new(config.clone(), plumbing, engine.clone(), reports, done, applied.clone());
        let first = view.borrow().clone();
        reconciler.adopt(&first);
        engine.apply(first, Now::read());
        let (flows, connections) = engine.adopt(Now::read())?;
        info!(flows, connections, "taken over from the kernel");
        let upcalls = UpcallRunner::start(engine.clone(), tap.fd)?;
        spawn_reconciler(reconciler, engine.clone(), view.clone(), finished)?;
        Ok(Self { config, engine, view, applied, _upcalls: upcalls })
    }
}

/// The reconciler has a thread of its own, since its work blocks; it waits by the runtime.
fn spawn_reconciler(
    mut reconciler: Reconciler,
    engine: Arc<Engine>,
    mut view: watch::Receiver<HostView>,
    mut finished: mpsc::Receiver<reconciler::Done>,
) -> Result<(), AgentError> {
    let runtime = tokio::runtime::Handle::current();
    view.mark_changed();
    let work = move || {
        loop {
            let event = runtime.block_on(async {
                tokio::select! {
                    changed = view.changed() => changed.ok().map(|()| Event::View),
                    done = finished.recv() => done.map(Event::Done),
                    () = tokio::time::sleep(SWEEP_INTERVAL) => Some(Event::Sweep),
                }
            });
            let current = view.borrow_and_update().clone();
            match event {
                None => return,
                Some(Event::View) => reconciler.reconcile(&current),
                Some(Event::Done(done)) => {
                    reconciler.finish(done);
                    reconciler.reconcile(&current);
                }
                Some(Event::Sweep) => {
                    if let Err(error) = engine.expire(Now::read()) {
                        warn!(error = error::chain(&error), "idle flows can't be swept");
                    }
                    reconciler.look_after(&current);
                }
            }
        }
    };
    std::thread::Builder::new()
        .name("reconciler".into())
        .spawn(work)
        .map(drop)
        .map_err(|source| AgentError::File { what: "starting the reconciler's thread".into(), source })
}

enum Event {
    View,
    Done(reconciler::Done),
    Sweep,
}
