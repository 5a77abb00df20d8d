//! `groundplane up`: the region's server and this host's agent in one process.

use crate::args::{AuthKind, Guest, StoreKind, Switch, UpOptions};
use crate::uplink::insist_on_pools;
use crate::{admin, doctor, lock};
use anyhow::{Context, Result, bail};
use gp_agent::{Agent, AgentConfig, UplinkConfig};
use gp_cli::admin::AdminClient;
use gp_cli::place::{self, RunFile};
use gp_model::{GuestKind, Region};
use gp_server::{Auth, KeyRing, PlannerSettings, Quotas, RegionGate, Server, Settings};
use gp_store::{Embedded, Memory, Store};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::info;

/// For the background process to become ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Serves until SIGTERM or SIGINT; with `--detach`, starts that in the background and waits until it is ready.
///
/// # Errors
/// The machine can't enforce, the name is taken, or a part can't be started.
pub fn run(name: &str, run_dir: &Path, options: UpOptions) -> Result<()> {
    doctor::insist()?;
    if let Some(uplink) = options.uplink.config(&options.region)? {
        doctor::insist_on_uplink(name, &uplink)?;
    }
    std::fs::create_dir_all(run_dir).with_context(|| format!("making {}", run_dir.display()))?;
    let Some(lock) = lock::take(run_dir)? else {
        bail!(
            "a Groundplane named '{name}' is running already; choose another --name, or end it with 'groundplane down'"
        );
    };
    if options.detach {
        drop(lock);
        return detach(run_dir);
    }
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(name, run_dir, options))
}

async fn serve(name: &str, run_dir: &Path, options: UpOptions) -> Result<()> {
    let data_dir = options.data_dir.clone().unwrap_or_else(|| place::default_data_dir(name));
    std::fs::create_dir_all(&data_dir).with_context(|| format!("making {}", data_dir.display()))?;
    let data_dir = data_dir.canonicalize()?;
    let listener = tokio::net::TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("listening on {} (choose another with --listen)", options.listen))?;
    let listen = listener.local_addr()?;
    let store = open_store(options.store, &data_dir)?;

    let uplink = options.uplink.config(&options.region)?;
    let settings = Settings { region_gate: region_gate(name, uplink.clone()), ..settings(&options)? };
    insist_on_pools(&settings.planner.public_pool, &store.snapshot())?;
    let (server, reports) = Server::new(store, settings);
    // Written before anything is made on the host, so that `down` finds the data directory after a crash.
    run_file(listen, &options, data_dir.clone()).write(run_dir)?;
    let config = AgentConfig {
        uplink,
        bandwidth_limits: options.bandwidth_limits == Switch::On,
        ..AgentConfig::new(name, run_dir, &data_dir)
    };
    let agent = Agent::start(config, server.host_view(), Box::new(reports)).context("starting the host's agent")?;
    let agent = Arc::new(agent);
    let admin = admin::listen(&place::admin_socket(run_dir)).context("opening the admin socket")?;
    let router = server.admin_router().merge(admin::agent_router(agent.clone()));
    tokio::spawn(async move { axum::serve(admin, router).await });

    info!(endpoint = %format!("http://{listen}"), data_dir = %data_dir.display(), "ready");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    server.serve(listener, end_signal()).await;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    info!("ended; instances and flows go on, 'groundplane down' removes them");
    Ok(())
}

fn run_file(listen: SocketAddr, options: &UpOptions, data_dir: PathBuf) -> RunFile {
    RunFile { pid: std::process::id(), listen: listen.to_string(), region: options.region.clone(), data_dir }
}

fn open_store(kind: StoreKind, data_dir: &Path) -> Result<Arc<dyn Store>> {
    Ok(match kind {
        StoreKind::Memory => Arc::new(Memory::new()),
        StoreKind::Embedded => Arc::new(Embedded::open(data_dir).context("opening the store")?),
    })
}

fn settings(options: &UpOptions) -> Result<Settings> {
    let auth = match (options.auth, &options.keys) {
        (AuthKind::Strict, Some(keys)) => {
            let text = std::fs::read_to_string(keys).with_context(|| format!("reading {}", keys.display()))?;
            Auth::Strict(KeyRing::parse(&text).with_context(|| format!("reading {}", keys.display()))?)
        }
        _ => Auth::Lenient,
    };
    let default_region = Region::new(&options.region);
    let quotas = Quotas::with(options.quotas.iter().map(String::as_str)).context("reading --quota")?;
    let guest = match options.guest {
        Guest::Sandbox => GuestKind::Sandbox,
        Guest::Vm => GuestKind::Vm,
    };
    let public_pool = options.uplink.pools(&options.region)?;
    let planner = PlannerSettings { quotas, guest, public_pool, ..PlannerSettings::default() };
    Ok(Settings { auth, default_region, planner, ..Settings::default() })
}

/// A region whose public addresses this machine routes elsewhere is refused before it is begun.
fn region_gate(name: &str, uplink: Option<UplinkConfig>) -> RegionGate {
    let name = name.to_owned();
    RegionGate::new(move |region| match &uplink {
        Some(uplink) => gp_agent::check_region(&name, uplink, region),
        None => Ok(()),
    })
}

async fn end_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
}

/// Starts the same command without `--detach`, in a session of its own, and waits until it answers.
fn detach(run_dir: &Path) -> Result<()> {
    let log_path = run_dir.join("up.log");
    let log = std::fs::File::create(&log_path).with_context(|| format!("making {}", log_path.display()))?;
    let arguments = std::env::args_os().skip(1).filter(|argument| argument != "--detach");
    let mut child = Command::new("setsid")
        .arg(std::env::current_exe()?)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("starting the background process")?;
    let client = AdminClient::new(run_dir);
    let deadline = Instant::now() + READY_TIMEOUT;
    while Instant::now() < deadline {
        if let Ok(up) = client.get::<serde_json::Value>("/status").and_then(|_| RunFile::read(run_dir)) {
            println!("Groundplane is ready at http://{} (log: {})", up.listen, log_path.display());
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            let log = std::fs::read_to_string(&log_path).unwrap_or_default();
            bail!("it ended with {status}:\n{}", log.trim());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("it was not ready within {} s; see {}", READY_TIMEOUT.as_secs(), log_path.display())
}
