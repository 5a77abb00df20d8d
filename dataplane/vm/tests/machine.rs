//! A real machine: it boots, asks for its addresses, is pinged, runs commands, gets an interface and loses it again, and is ended.
//!
//! One test, since a boot in software takes seconds. It needs root, QEMU and the files of `tools/vm-image`.

use gp_linux::{Links, NetNs, Tap};
use gp_vm::{Accel, ExecRequest, GuestImage, Nic, Running, VmError, VmSpec};
use std::fs;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// For a boot in software on a busy host.
const BOOT_PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// Exit status, output, errors.
fn run(machine: &Running, argv: &[&str], input: &'static [u8]) -> (u8, String, String) {
    let (stdout, stderr) = (Buffer::default(), Buffer::default());
    let request = ExecRequest {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        stdin: Some(Box::new(input)),
        stdout: Box::new(stdout.clone()),
        stderr: Box::new(stderr.clone()),
    };
    let status = gp_vm::exec(machine, request).unwrap();
    (status, stdout.text(), stderr.text())
}

/// A network with a DHCP server on each of its TAPs.
struct Network {
    netns: NetNs,
    dir: tempfile::TempDir,
    servers: Vec<Child>,
}

impl Network {
    fn new() -> Self {
        Self { netns: NetNs::new_unpinned().unwrap(), dir: tempfile::tempdir().unwrap(), servers: Vec::new() }
    }

    /// The TAP of a machine, and a server that offers one address on it.
    fn tap(&mut self, image: &GuestImage, name: &str, server: Ipv4Addr, offered: Ipv4Addr) -> OwnedFd {
        Tap::ensure_for_guest(&self.netns, name, name, 9001).unwrap();
        let tap = Tap::open_for_guest(&self.netns, name).unwrap();
        let address = gp_linux::GuestAddress { address: server.into(), prefix_len: 24 };
        gp_linux::add_guest_address(&self.netns, name, address).unwrap();
        let config = self.dir.path().join(name);
        let text = format!(
            "start {offered}\nend {offered}\ninterface {name}\nlease_file {}\npidfile {}\noption subnet 255.255.255.0\n\
             option router {server}\noption mtu 9001\noption lease 3600\n",
            self.dir.path().join(format!("{name}.leases")).display(),
            self.dir.path().join(format!("{name}.pid")).display(),
        );
        fs::write(&config, text).unwrap();
        fs::write(self.dir.path().join(format!("{name}.leases")), "").unwrap();
        let mut command = Command::new(&image.busybox);
        command.args(["udhcpd", "-f"]).arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        self.servers.push(self.netns.run(|| command.spawn()).unwrap().unwrap());
        tap
    }

    fn answers_ping(&self, address: &str, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            let ping = || Command::new("ping").args(["-c1", "-W1", address]).stdout(Stdio::null()).status().unwrap();
            if self.netns.run(ping).unwrap().success() {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn nic(index: u32, tap: OwnedFd) -> Nic {
    let last = u8::try_from(index).unwrap();
    Nic { name: format!("eni-{index}"), index, mac: [2, 0, 0, 0, 0, last], mtu: 9001, tap }
}

fn wait_for(what: &str, patience: Duration, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {} s", patience.as_secs());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_machine_lives_its_life() {
    let fit =
        rustix::process::geteuid().is_root() && Command::new("qemu-system-x86_64").arg("--version").output().is_ok();
    let Some(image) = GuestImage::find().ok().filter(|_| fit) else {
        eprintln!("skipped: needs root, qemu-system-x86 and tools/vm-image");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut network = Network::new();
    let id = format!("i-test{}", std::process::id());
    let mut spec = VmSpec::new(&id, &dir.path().join("run"), &dir.path().join("disk"));
    spec.memory_mib = 192;
    spec.hostname = "ip-10-9-0-10".into();
    spec.user_data = Some(b"#!/bin/bash\necho user-data sees $(hostname); date >/root/first-boot\n".to_vec());
    let accel = Accel::Emulated { reason: "the test says so".into() };
    let tap = network.tap(&image, "t0", Ipv4Addr::new(10, 9, 0, 1), Ipv4Addr::new(10, 9, 0, 10));
    let started = Instant::now();
    let machine = gp_vm::start(&spec, &image, &accel, &[nic(0, tap)]).unwrap();
    eprintln!("QEMU runs after {:?}", started.elapsed());
    assert!(matches!(gp_vm::start(&spec, &image, &accel, &[]), Err(VmError::Spec(_))), "it can't be started twice");
    let console = || fs::read_to_string(&spec.console).unwrap_or_default();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        boots(&network, &machine, started);
        runs_commands(&machine);
        gets_and_loses_an_interface(&mut network, &image, &machine);
        wait_for("user-data", BOOT_PATIENCE, || console().contains("user-data sees ip-10-9-0-10"));
        is_found_and_ended(&spec, &machine);
        keeps_its_disk(&spec, &image, &accel);
    }));
    if let Err(panic) = result {
        eprintln!("{}", console());
        if let Some(machine) = gp_vm::adopt(&spec.state_dir) {
            machine.stop(Duration::ZERO).unwrap();
        }
        std::panic::resume_unwind(panic);
    }
}

fn boots(network: &Network, machine: &Running, started: Instant) {
    assert!(network.answers_ping("10.9.0.10", BOOT_PATIENCE), "no answer");
    eprintln!("answers a ping after {:?}", started.elapsed());
    // Nobody's process, with nothing of the host's network.
    let status = fs::read_to_string(format!("/proc/{}/status", machine.process.pid)).unwrap();
    assert!(status.contains("CapEff:\t0000000000000000") && status.contains("Seccomp:\t2"), "{status}");
    let inside = NetNs::of_process(machine.process.pid).unwrap();
    let names: Vec<_> = Links::open(&inside).unwrap().list_links().unwrap().into_iter().map(|link| link.name).collect();
    assert_eq!(names.iter().filter(|name| name.starts_with('t')).count(), 0, "{names:?}");
}

fn runs_commands(machine: &Running) {
    let (status, output, errors) = run(machine, &["sh", "-c", "cat; echo wrong >&2; exit 7"], b"through stdin");
    assert_eq!((status, output.as_str(), errors.as_str()), (7, "through stdin", "wrong\n"));
    assert_eq!(run(machine, &["printf", "%s|", "a b", "$HOME", "it's", ""], b"").1, "a b|$HOME|it's||");
    assert_eq!(run(machine, &["no-such-command"], b"").0, 127);
    let (_, output, _) = run(machine, &["sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x"], b"");
    assert_eq!(output.len(), 300_000, "all of a long output arrives");
    assert!(run(machine, &["ip", "-4", "addr", "show", "eth0"], b"").1.contains("10.9.0.10/24"));
    assert!(run(machine, &["cat", "/sys/class/net/eth0/mtu"], b"").1.contains("9001"));
}

fn gets_and_loses_an_interface(network: &mut Network, image: &GuestImage, machine: &Running) {
    let tap = network.tap(image, "t1", Ipv4Addr::new(10, 9, 1, 1), Ipv4Addr::new(10, 9, 1, 10));
    let started = Instant::now();
    machine.plug(&nic(1, tap), Duration::ZERO).unwrap();
    assert!(network.answers_ping("10.9.1.10", BOOT_PATIENCE));
    eprintln!("a plugged interface answers after {:?}", started.elapsed());
    // The address comes before its routes.
    let has_rule = || run(machine, &["ip", "rule"], b"").1.contains("from 10.9.1.10 lookup 101");
    wait_for("a rule of its own", BOOT_PATIENCE, has_rule);
    let mut plugged = machine.plugged().unwrap();
    plugged.sort();
    assert_eq!(plugged, [(0, "eni-0".to_owned()), (1, "eni-1".to_owned())]);
    let started = Instant::now();
    assert!(Links::open(&network.netns).unwrap().remove_link("t1").unwrap());
    assert!(machine.unplug(1, "eni-1", BOOT_PATIENCE).unwrap());
    eprintln!("and is gone after {:?}", started.elapsed());
    assert_eq!(machine.plugged().unwrap(), [(0, "eni-0".to_owned())]);
    assert_ne!(run(machine, &["ip", "link", "show", "eth1"], b"").0, 0);
    assert!(machine.unplug(1, "eni-1", Duration::ZERO).unwrap(), "what has gone has gone");
}

fn is_found_and_ended(spec: &VmSpec, machine: &Running) {
    assert_eq!(gp_vm::adopt(&spec.state_dir).as_ref(), Some(machine));
    let started = Instant::now();
    machine.stop(BOOT_PATIENCE).unwrap();
    eprintln!("ended by its power button after {:?}", started.elapsed());
    assert!(started.elapsed() < BOOT_PATIENCE, "it ended by itself");
    assert!(fs::read_to_string(&spec.console).unwrap().contains("the power button was pressed"));
    assert_eq!(gp_vm::adopt(Path::new(&spec.state_dir)), None);
    machine.stop(Duration::ZERO).unwrap();
}

fn keeps_its_disk(spec: &VmSpec, image: &GuestImage, accel: &Accel) {
    let spec = VmSpec { run_user_data: false, ..spec.clone() };
    let machine = gp_vm::start(&spec, image, accel, &[]).unwrap();
    let (status, output, _) = run(&machine, &["cat", "/root/first-boot"], b"");
    machine.stop(Duration::ZERO).unwrap();
    assert_eq!(status, 0, "{output}");
}
