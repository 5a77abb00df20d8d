//! An instance for a test: unique names, temporary directories, everything gone at the end.

use gp_linux::NetNs;
use gp_sandbox::{Running, SandboxError, SandboxSpec, remove_disk, start, stop};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The program that runs the crate's helper; the test's own binary is the test harness.
pub const INIT: &str = env!("CARGO_BIN_EXE_gp-sandbox-init");

static NEXT: AtomicU32 = AtomicU32::new(0);

/// True as root; otherwise prints why the test does nothing.
pub fn root_or_skip() -> bool {
    // SAFETY: geteuid has no arguments and can't fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        println!("skipped: needs root");
    }
    is_root
}

/// One instance with a place of its own.
pub struct Instance {
    pub spec: SandboxSpec,
    pub running: Option<Running>,
    dir: tempfile::TempDir,
}

impl Instance {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let id = format!("i-{:08x}{:08x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut spec = SandboxSpec::new(&id, &dir.path().join("run").join(&id), &dir.path().join("disks").join(&id));
        spec.cgroup = format!("gp-test-{}/{id}", std::process::id());
        spec.init = vec![INIT.to_owned(), gp_sandbox::INIT_SUBCOMMAND.to_owned()];
        spec.memory_bytes = 256 << 20;
        Self { spec, running: None, dir }
    }

    /// One that runs this text at its first boot.
    pub fn with_user_data(text: &str) -> Self {
        let mut instance = Self::new();
        instance.spec.user_data = Some(text.as_bytes().to_vec());
        instance.spec.run_user_data = true;
        instance
    }

    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub fn start(&mut self) -> Running {
        self.start_with(|_| Ok(()))
    }

    pub fn start_with(
        &mut self,
        network: impl FnOnce(&NetNs) -> Result<(), Box<dyn std::error::Error + Send + Sync>>,
    ) -> Running {
        let running = start(&self.spec, network).unwrap_or_else(|error| panic!("{}", chain(&error)));
        self.running = Some(running.clone());
        running
    }

    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            stop(&running, Duration::from_secs(5)).unwrap();
        }
    }

    /// Runs a command inside by the helper, as `exec` does, and returns what it says.
    pub fn run(&self, argv: &[&str]) -> Output {
        let running = serde_json::to_value(self.running.as_ref().unwrap()).unwrap();
        let request = serde_json::json!({ "running": running, "request": { "argv": argv, "env": [], "tty": false } });
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), request.to_string()).unwrap();
        Command::new(INIT).args([gp_sandbox::INIT_SUBCOMMAND, "exec"]).arg(file.path()).output().unwrap()
    }

    /// Runs a line of shell inside and returns its output, blanks trimmed.
    pub fn shell(&self, line: &str) -> String {
        let output = self.run(&["/bin/sh", "-c", line]);
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        text + String::from_utf8_lossy(&output.stderr).trim()
    }

    pub fn console(&self) -> String {
        fs::read_to_string(&self.spec.console).unwrap_or_default()
    }

    /// Waits until the console has this text.
    pub fn wait_console(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.console().contains(text) {
            assert!(Instant::now() < deadline, "no {text:?} on the console:\n{}", self.console());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            report(stop(&running, Duration::ZERO).err());
        }
        report(remove_disk(&self.spec.disk_dir).err());
    }
}

/// A failed clean-up fails the test, unless it is failing already.
fn report(error: Option<SandboxError>) {
    if let Some(error) = error {
        eprintln!("clean-up failed: {}", chain(&error));
        assert!(std::thread::panicking(), "clean-up failed");
    }
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
