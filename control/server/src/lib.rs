//! The region's server: HTTP in front of the planner, the store and the host. A library; the binary wires it up.
//!
//! ```text
//! connection → http → caller (signature) → gp_ec2::decode → engine ─ reads: plan on the durable worlds → reply
//!                                                             │
//!                                            changes: plan on the head → commit → durable → the host obeys → reply
//!
//! store ── watch ──▶ HostView ──▶ agent                agent ──▶ HostReport ──▶ engine (a transaction like others)
//! ```
//!
//! What it promises:
//!
//! * **An answer is final.** No answer, refusals included, tells of a change that a crash could still undo.
//! * **When the call returns, packets obey.** A change is answered when the host has applied it. The wait is bounded
//!   ([`Limits::host_wait`]); if it runs out, the answer goes out nevertheless, because the change *is* made: it is
//!   logged, counted, and marked with the header [`NOT_YET_APPLIED`].
//! * **Readers wait for nobody**: neither for writers nor for the host.
//! * **Whatever arrives, the server stays up.** Sizes, times and numbers are bounded; see [`Limits`].
//! * Clock and randomness are read here and nowhere else in the control plane.

mod admin;
mod caller;
mod chance;
mod connection;
mod costs;
mod counters;
mod dial;
mod drain;
mod engine;
mod expiry;
mod host;
mod http;
mod keys;
mod reset;
mod settings;
mod settle;
mod stand_in;
mod unattached;

pub use gp_actions::{QuotaError, Quotas, Settings as PlannerSettings};
pub use http::NOT_YET_APPLIED;
pub use keys::{Key, KeyRing, ParseKeysError};
pub use settings::{Auth, Limits, RegionGate, Settings};

use engine::Engine;
use gp_compile::{HostReport, HostView};
use gp_store::Store;
use host::Reports;
use std::future::Future;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// A running server. Its background tasks end when it is dropped; what was answered is in the store by then.
pub struct Server {
    engine: Arc<Engine>,
    view: watch::Receiver<HostView>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Starts the server's tasks. What the host says goes to the function that comes with the server, which never blocks;
    /// [`Server::host_view`] is what it is told.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(store: Arc<dyn Store>, settings: Settings) -> (Self, impl Fn(HostReport) + Send + Sync + 'static) {
        let (applied_tx, applied) = watch::channel(None);
        let (view_tx, view) = watch::channel(HostView::default());
        let watch = store.watch();
        host::publish(&watch, &view_tx);
        let engine = Arc::new(Engine::new(store, settings, applied));
        let mut tasks = JoinSet::new();
        tasks.spawn(host::publish_views(watch, view_tx));
        let (outcomes_tx, outcomes) = mpsc::unbounded_channel();
        tasks.spawn(host::keep_outcomes(engine.clone(), outcomes));
        tasks.spawn(expiry::run(engine.clone()));
        tasks.spawn(settle::run(engine.clone()));
        tasks.spawn(drain::run(engine.clone()));
        let reports = Reports { engine: engine.clone(), applied: applied_tx, outcomes: outcomes_tx };
        (Self { engine, view, _tasks: tasks }, move |report| reports.take(report))
    }

    /// The worlds that the host is to obey: the newest durable ones.
    pub fn host_view(&self) -> watch::Receiver<HostView> {
        self.view.clone()
    }

    /// Answers the API on a listener until `stop` is ready; then lets the requests in hand finish.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let router = http::router(self.engine.clone());
        connection::serve(listener, router, &self.engine.settings.limits, stop).await;
    }

    /// What the machine's own operator may ask, for a socket that only they can reach: `GET /instances`,
    /// `GET /status`, `GET /costs`, `POST /attach`, `POST /detach`, `POST /nat-gateways/{id}/ports`.
    pub fn admin_router(&self) -> axum::Router {
        admin::router(self.engine.clone())
    }
}
