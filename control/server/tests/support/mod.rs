//! A server on a port of its own, hosts that only pretend, and a client that speaks raw bytes.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use gp_compile::{HostReport, HostView, InstanceOutcome};
use gp_model::{Generation, InstanceState};
use gp_server::{Limits, Server, Settings};
use gp_store::{Memory, Store};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};

/// Longer than anything here should take; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What stands in for the agent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Applies each view at once, and brings instances to where they shall be.
    Prompt,
    /// Is there and never says a word.
    Silent,
}

pub struct Running {
    pub address: SocketAddr,
    pub store: Arc<dyn Store>,
    pub server: Arc<Server>,
    stop: Option<oneshot::Sender<()>>,
    runtime: Runtime,
}

/// Short waits, so that tests of waits are short; long enough for a machine that is busy with other tests.
pub fn quick() -> Settings {
    let limits = Limits {
        head_wait: Duration::from_millis(600),
        body_wait: Duration::from_millis(600),
        host_wait: Duration::from_secs(2),
        reset_wait: Duration::from_secs(2),
        stop_wait: Duration::from_secs(1),
        body_bytes: 64 << 10,
        ..Limits::default()
    };
    Settings { limits, ..Settings::default() }
}

pub fn start(host: Host) -> Running {
    start_with(host, quick(), Arc::new(Memory::new()))
}

pub fn start_with(host: Host, settings: Settings, store: Arc<dyn Store>) -> Running {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (stop, stopped) = oneshot::channel();
    let (server, reports, listener) = runtime.block_on(async {
        let (server, reports) = Server::new(store.clone(), settings);
        (Arc::new(server), reports, TcpListener::bind("127.0.0.1:0").await.unwrap())
    });
    let address = listener.local_addr().unwrap();
    match host {
        Host::Prompt => drop(runtime.spawn(prompt_host(server.host_view(), reports))),
        Host::Silent => drop(runtime.spawn(async move {
            let _never_called = reports;
            std::future::pending::<()>().await;
        })),
    }
    let serving = server.clone();
    runtime.spawn(async move {
        serving.serve(listener, async { drop(stopped.await) }).await;
    });
    Running { address, store, server, stop: Some(stop), runtime }
}

async fn prompt_host(mut view: watch::Receiver<HostView>, reports: impl Fn(HostReport)) {
    loop {
        let HostView { generation, regions } = view.borrow_and_update().clone();
        for (region, world) in &regions {
            for instance in world.tables().instances.values() {
                let outcome = match instance.state {
                    InstanceState::Pending => InstanceOutcome::Running,
                    InstanceState::Stopping => InstanceOutcome::Stopped,
                    InstanceState::ShuttingDown => InstanceOutcome::Terminated,
                    _ => continue,
                };
                let (region, instance, boot) = (region.clone(), instance.id, instance.boot);
                reports(HostReport::Instance { region, instance, boot, outcome });
            }
        }
        reports(HostReport::Applied { generation });
        if view.changed().await.is_err() {
            return;
        }
    }
}

impl Running {
    pub fn generation(&self) -> Generation {
        self.store.head().generation
    }

    /// Sends bytes, says that there are no more, and reads whatever comes until the server closes.
    pub fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may close before it has read all.
        let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write));
        read_all(&mut stream)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// POSTs a form to the API.
    pub fn call(&self, form: &str) -> String {
        self.call_as("", form)
    }

    /// POSTs a form with further header lines, each ending in CRLF.
    pub fn call_as(&self, headers: &str, form: &str) -> String {
        self.exchange(post("/", headers, form).as_bytes())
    }

    pub fn get(&self, path: &str) -> String {
        self.exchange(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
    }

    /// Still answers, and stored nothing since `generation`.
    pub fn check_unharmed(&self, generation: Generation) {
        assert_eq!(self.generation(), generation, "something was stored");
        let answer = self.get("/_groundplane/health");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"status\":\"ready\""), "{answer}");
    }

    pub fn stop(mut self) {
        drop(self.stop.take());
        self.runtime.block_on(async {
            let refused = async {
                while tokio::net::TcpStream::connect(self.address).await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::time::timeout(PATIENCE, refused).await.expect("the listener closes");
        });
    }
}

pub fn post(path: &str, headers: &str, form: &str) -> String {
    let length = form.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\
         content-type: application/x-www-form-urlencoded; charset=utf-8\r\ncontent-length: {length}\r\n\r\n{form}"
    )
}

pub fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the server neither answered nor closed: {error}"),
    }
    String::from_utf8(answer).unwrap()
}

pub fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("none")
}

/// The text of the first element of this name.
pub fn element<'a>(answer: &'a str, name: &str) -> &'a str {
    let start = answer.split_once(&format!("<{name}>")).map(|(_, rest)| rest);
    let text = start.and_then(|rest| rest.split_once(&format!("</{name}>"))).map(|(text, _)| text);
    text.unwrap_or_else(|| panic!("no <{name}> in {answer}"))
}

/// An `Authorization` line that claims an account and a region.
pub fn signed(access_key: &str, region: &str, service: &str) -> String {
    format!(
        "authorization: AWS4-HMAC-SHA256 Credential={access_key}/20261121/{region}/{service}/aws4_request, \
         SignedHeaders=host, Signature=00\r\n"
    )
}

/// Waits until it holds.
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
