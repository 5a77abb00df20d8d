//! One agent on a world made of text, with its instances to talk from and to.

use gp_agent::{Agent, AgentConfig};
use gp_compile::{HostReport, HostView, InstanceOutcome};
use gp_linux::NetNs;
use gp_model::{Change, EniId, Generation, Instance, InstanceId, InstanceState};
use gp_sandbox::Running;
use gp_worlds::Scenario;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// Long enough for anything that works, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// A packet that is dropped is waited for so long.
const SILENCE: Duration = Duration::from_millis(400);

static NEXT: AtomicU32 = AtomicU32::new(0);

pub struct Place {
    pub config: AgentConfig,
    pub scenario: Scenario,
    view: watch::Sender<HostView>,
    reports: mpsc::UnboundedReceiver<HostReport>,
    outcomes: BTreeMap<(InstanceId, u32), InstanceOutcome>,
    /// What running instances could not have, and why.
    pub unattached: BTreeMap<EniId, String>,
    applied: Generation,
    generation: u64,
    agent: Option<Agent>,
    /// Taken away with the agent, since its workers run here.
    runtime: Option<tokio::runtime::Runtime>,
    root: PathBuf,
    /// Of a place of our own; removed with it.
    _dir: Option<tempfile::TempDir>,
}

impl Place {
    /// A running agent and, when this returns, running instances.
    pub fn new(text: &str) -> Self {
        let mut place = Self::prepare(text);
        place.start();
        place
    }

    /// A place without an agent yet.
    pub fn prepare(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut place = Self::at(dir.path(), &name, text);
        place._dir = Some(dir);
        place
    }

    /// The place of an agent that runs, or has run, in another process.
    pub fn at(root: &Path, name: &str, text: &str) -> Self {
        Self {
            config: AgentConfig::new(name, &root.join("run"), &root.join("data")),
            scenario: text.parse().unwrap(),
            view: watch::Sender::new(HostView::default()),
            reports: mpsc::unbounded_channel().1,
            outcomes: BTreeMap::new(),
            unattached: BTreeMap::new(),
            applied: Generation(0),
            generation: 0,
            agent: None,
            runtime: None,
            root: root.to_owned(),
            _dir: None,
        }
    }

    /// Starts the agent on the world, as a server that has read its store does.
    pub fn start(&mut self) {
        self.view.send_replace(self.current_view());
        self.start_agent();
        self.publish();
        self.wait_all_running();
    }

    pub fn start_agent(&mut self) {
        let (reports, inbox) = mpsc::unbounded_channel();
        // A fresh channel: the former agent's thread ends with the old one.
        self.cut_view();
        self.reports = inbox;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        self.outcomes.clear();
        let agent = {
            let _guard = runtime.enter();
            let reports = Box::new(move |report| drop(reports.send(report)));
            Agent::start(self.config.clone(), self.view.subscribe(), reports)
        };
        self.runtime = Some(runtime);
        self.agent = Some(agent.unwrap_or_else(|error| panic!("{}", chain(&error))));
    }

    /// The agent's end, as sudden as it can be within one process.
    pub fn kill_agent(&mut self) {
        self.agent = None;
        self.cut_view();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(PATIENCE);
        }
    }

    fn cut_view(&mut self) {
        let view = self.view.borrow().clone();
        self.view = watch::Sender::new(view);
    }

    /// Changes the world, and waits until the agent says that packets obey.
    pub fn change(&mut self, text: &str) {
        self.scenario.apply(text).unwrap();
        self.publish();
    }

    pub fn change_instance(&mut self, name: &str, edit: impl FnOnce(&mut Instance)) {
        self.edit_instance(name, edit);
        self.publish();
    }

    pub fn edit_instance(&mut self, name: &str, edit: impl FnOnce(&mut Instance)) {
        let id = self.scenario.instance(name);
        let mut instance = (**self.scenario.world.instance(id).unwrap()).clone();
        edit(&mut instance);
        self.scenario.world.apply(Change::Put(instance.into()));
    }

    pub fn publish(&mut self) {
        self.generation += 1;
        let view = self.current_view();
        let generation = view.generation;
        self.view.send_replace(view);
        self.wait("the generation to be applied", |place| place.applied >= generation);
    }

    fn current_view(&self) -> HostView {
        let world = &self.scenario.world;
        let regions = [(world.region.clone(), Arc::new(world.clone()))].into_iter().collect();
        HostView { generation: Generation(self.generation), regions }
    }

    fn wait(&mut self, what: &str, is_done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_done(self) {
            let runtime = self.runtime.as_ref().expect("an agent runs");
            let left = deadline.saturating_duration_since(Instant::now());
            let report = runtime.block_on(async { tokio::time::timeout(left, self.reports.recv()).await });
            match report {
                Ok(Some(HostReport::Applied { generation })) => self.applied = self.applied.max(generation),
                Ok(Some(HostReport::Instance { instance, boot, outcome, .. })) => {
                    self.outcomes.insert((instance, boot), outcome);
                }
                Ok(Some(HostReport::Unattached { eni, reason, .. })) => drop(self.unattached.insert(eni, reason)),
                Ok(Some(HostReport::NatAddressUnused { .. })) => {}
                Ok(None) => panic!("the agent is gone while waiting for {what}"),
                Err(_) => panic!("waited in vain for {what}; outcomes: {:?}", self.outcomes),
            }
        }
    }

    /// Starts the agent and waits until an instance has failed; its reason.
    pub fn start_and_fail(&mut self, name: &str) -> String {
        self.view.send_replace(self.current_view());
        self.start_agent();
        self.publish();
        let key = (self.scenario.instance(name), 1);
        self.wait("the instance to fail", |place| place.outcomes.contains_key(&key));
        match self.outcomes.get(&key) {
            Some(InstanceOutcome::Failed { reason }) => reason.clone(),
            other => panic!("{name}: {other:?}"),
        }
    }

    /// The names of the links in Groundplane's own namespace.
    pub fn host_links(&self) -> Vec<String> {
        let netns = NetNs::open(&self.config.run_dir.join("netns")).unwrap();
        let links = gp_linux::Links::open(&netns).unwrap().list_links().unwrap();
        links.into_iter().map(|link| link.name).collect()
    }

    /// Has the instance a disk or a record of its boot?
    pub fn has_files(&self, name: &str) -> bool {
        let id = self.scenario.instance(name).to_string();
        [&self.config.data_dir, &self.config.run_dir].iter().any(|dir| dir.join("instances").join(&id).exists())
    }

    pub fn wait_console(&self, name: &str, text: &str) {
        let id = self.scenario.instance(name).to_string();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let console = self.agent().console(&id).unwrap();
            let console = String::from_utf8_lossy(&console);
            if console.contains(text) {
                return;
            }
            assert!(Instant::now() < deadline, "no {text:?} on the console of {name}:\n{console}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Entries of the flow table.
    pub fn flows(&self) -> u64 {
        self.agent().status()["flows"].as_u64().unwrap()
    }

    pub fn wait_flows(&self, count: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.flows() < count {
            assert!(Instant::now() < deadline, "{} entries instead of {count}", self.flows());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn wait_outcome(&mut self, name: &str, boot: u32, outcome: &InstanceOutcome) {
        let key = (self.scenario.instance(name), boot);
        self.wait(&format!("{name} to be {outcome:?}"), |place| {
            let found = place.outcomes.get(&key);
            if let Some(InstanceOutcome::Failed { reason }) = found {
                panic!("{name} failed: {reason}");
            }
            found == Some(outcome)
        });
    }

    pub fn wait_all_running(&mut self) {
        let instances: Vec<_> = self.scenario.world.tables().instances.values().cloned().collect();
        for instance in instances.iter().filter(|instance| instance.state == InstanceState::Pending) {
            let key = (instance.id, instance.boot);
            self.wait("all instances to run", |place| match place.outcomes.get(&key) {
                Some(InstanceOutcome::Failed { reason }) => panic!("{} failed: {reason}", key.0),
                found => found == Some(&InstanceOutcome::Running),
            });
        }
    }

    /// Waits until every instance that is to run has been reported as running, those that ran before and were stopped too.
    pub fn wait_guests(&mut self) {
        let instances = self.scenario.world.tables().instances.values();
        let running = instances.filter(|instance| instance.state == InstanceState::Running);
        let wanted: Vec<_> = running.map(|instance| (instance.id, instance.boot)).collect();
        self.outcomes.retain(|key, _| wanted.contains(key));
        self.wait("the guests to run", |place| {
            wanted.iter().all(|key| place.outcomes.get(key) == Some(&InstanceOutcome::Running))
        });
    }

    pub fn outcome(&self, name: &str, boot: u32) -> Option<&InstanceOutcome> {
        self.outcomes.get(&(self.scenario.instance(name), boot))
    }

    pub fn agent(&self) -> &Agent {
        self.agent.as_ref().unwrap()
    }

    pub fn running(&self, name: &str) -> Option<Running> {
        let id = self.scenario.instance(name).to_string();
        gp_sandbox::adopt(&gp_agent::instance_dir(&self.config.run_dir, &id))
    }

    /// The network namespace of an instance.
    pub fn netns(&self, name: &str) -> NetNs {
        self.running(name).unwrap_or_else(|| panic!("{name} does not run")).netns().unwrap()
    }

    /// A server in the instance that greets each client with a name and then echoes.
    pub fn serve(&self, name: &'static str, port: u16) {
        let listener = self.netns(name).run(|| TcpListener::bind(("0.0.0.0", port)).unwrap()).unwrap();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                std::thread::spawn(move || {
                    let mut buffer = [0; 64];
                    let _ = client.write_all(format!("{name:4}").as_bytes());
                    while let Ok(count @ 1..) = client.read(&mut buffer) {
                        if client.write_all(&buffer[..count]).is_err() {
                            return;
                        }
                    }
                });
            }
        });
    }

    /// A connection from an instance, and who answered; `None` if nobody did.
    pub fn connect(&self, from: &str, to: &str) -> Option<(TcpStream, String)> {
        let to: SocketAddr = to.parse().unwrap();
        let stream = self.netns(from).run(|| TcpStream::connect_timeout(&to, SILENCE)).unwrap().ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut greeting = [0; 4];
        (&stream).read_exact(&mut greeting).unwrap();
        Some((stream, String::from_utf8_lossy(&greeting).trim().to_owned()))
    }

    pub fn who_answers(&self, from: &str, to: &str) -> Option<String> {
        self.connect(from, to).map(|(_, name)| name)
    }

    pub fn pings(&self, from: &str, to: &str) -> bool {
        let mut ping = Command::new("ping");
        ping.args(["-n", "-q", "-c", "1", "-W", "1", to]);
        let netns = self.netns(from);
        netns.run(|| ping.output().unwrap().status.success()).unwrap()
    }

    pub fn down(&mut self) {
        self.kill_agent();
        gp_agent::down(&self.config).unwrap_or_else(|error| panic!("{}", chain(&error)));
    }

    /// Where namespaces of somebody else's may be pinned.
    pub fn guests_dir(&self) -> PathBuf {
        self.root.join("guests")
    }

    pub fn data_dir(&self) -> PathBuf {
        self.root.join("data")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.kill_agent();
        let _ = gp_agent::down(&self.config);
        let instances = std::fs::read_dir(self.data_dir().join("instances")).into_iter().flatten().flatten();
        for instance in instances {
            let _ = gp_sandbox::remove_disk(&instance.path());
        }
    }
}

/// Does the stream still carry data both ways?
pub fn echoes(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let mut answer = [0; 5];
    stream.write_all(b"hello").is_ok() && stream.read_exact(&mut answer).is_ok() && answer == *b"hello"
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
