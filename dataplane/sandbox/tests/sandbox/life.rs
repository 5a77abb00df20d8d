//! Stopped, started again, left alone by its agent, and ended.

use crate::common::{INIT, Instance, root_or_skip};
use gp_linux::Cgroups;
use gp_sandbox::{InstanceRunner, SandboxRunner, adopt, probe, remove_disk, stop};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Environment that turns the test `an_instance_outlives_its_agent` into the agent that is killed.
const AGENT_SPEC: &str = "GP_TEST_AGENT_SPEC";

#[test]
fn what_is_written_survives_a_reboot_and_ends_with_the_disk() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::with_user_data("#!/bin/sh\necho once >> /root/boots\n");
    instance.start();
    instance.wait_console("user-data finished");
    instance.shell("echo kept > /home/file; rm /etc/debian_version; mkdir -p /var/lib/app/deep; chmod 0 /var/lib/app; touch /tmp/volatile");
    let first = instance.running.clone().unwrap();
    instance.stop();
    assert!(!first.is_running());
    instance.spec.run_user_data = false;
    let second = instance.start();
    assert_ne!(first.process, second.process);
    assert_eq!(first.uid_base, second.uid_base);
    assert_eq!(
        instance.shell("cat /root/boots /home/file; ls /etc/debian_version /tmp/volatile 2>/dev/null"),
        "once\nkept"
    );
    assert!(instance.console().contains("i-") && instance.console().contains(" boot as "));
    instance.stop();
    assert!(remove_disk(&instance.spec.disk_dir).unwrap());
    assert!(!instance.spec.disk_dir.exists());
    instance.start();
    assert_eq!(instance.shell("ls /home"), "");
}

#[test]
fn stopping_is_quick_gentle_and_leaves_nothing() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::with_user_data(
        "#!/bin/sh\ntrap 'echo farewell; exit 0' TERM\necho up\nwhile :; do sleep 0.01; done\n",
    );
    let running = instance.start();
    instance.wait_console("up\n");
    let before = Instant::now();
    instance.stop();
    assert!(before.elapsed() < Duration::from_secs(4), "it was killed, not asked");
    assert!(instance.console().contains("farewell\n"), "{}", instance.console());
    assert!(instance.console().ends_with("stopped\n"), "{}", instance.console());
    assert!(!running.is_running() && adopt(&instance.spec.state_dir).is_none());
    assert_eq!(Cgroups::detect().unwrap().processes(&running.cgroup), Vec::<i32>::new());
    for controller in ["memory", "pids", "cpu", "unified", ""] {
        assert!(!Path::new("/sys/fs/cgroup").join(controller).join(&running.cgroup).exists());
    }
    stop(&running, Duration::ZERO).unwrap();
}

#[test]
fn one_that_does_not_listen_is_killed_after_its_grace() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::with_user_data("#!/bin/sh\ntrap '' TERM HUP\necho up\nwhile :; do sleep 0.05; done\n");
    let running = instance.start();
    instance.wait_console("up\n");
    stop(&running, Duration::from_millis(200)).unwrap();
    assert!(!running.is_running());
    instance.running = None;
}

#[test]
fn an_instance_outlives_its_agent_and_is_adopted() {
    if !root_or_skip() {
        return;
    }
    if let Ok(spec) = std::env::var(AGENT_SPEC) {
        let spec = serde_json::from_str(&spec).unwrap();
        SandboxRunner.start(&spec, &mut |_| Ok(())).unwrap();
        // As hard as it gets.
        std::process::abort();
    }
    let mut instance = Instance::with_user_data("#!/bin/sh\nfor i in $(seq 400); do echo tick $i; sleep 0.05; done\n");
    let test = "life::an_instance_outlives_its_agent_and_is_adopted";
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(AGENT_SPEC, serde_json::to_string(&instance.spec).unwrap())
        .output()
        .unwrap()
        .status;
    assert!(!status.success());
    let running = SandboxRunner.adopt(&instance.spec.state_dir).unwrap();
    instance.running = Some(running.clone());
    assert!(SandboxRunner.is_running(&running));
    instance.wait_console("tick 3\n");
    assert_eq!(instance.shell("echo still here"), "still here");
    assert!(running.netns().is_ok());
    SandboxRunner.stop(&running, Duration::from_secs(1)).unwrap();
    assert_eq!(SandboxRunner.adopt(&instance.spec.state_dir), None);
}

#[test]
fn an_agent_that_dies_in_the_middle_of_a_start_leaves_no_process() {
    if !root_or_skip() {
        return;
    }
    if let Ok(spec) = std::env::var(AGENT_SPEC) {
        let spec = serde_json::from_str(&spec).unwrap();
        let _ = SandboxRunner.start(&spec, &mut |_| std::process::abort());
    }
    let instance = Instance::with_user_data("echo never");
    let test = "life::an_agent_that_dies_in_the_middle_of_a_start_leaves_no_process";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(AGENT_SPEC, serde_json::to_string(&instance.spec).unwrap())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let cgroups = Cgroups::detect().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while !cgroups.processes(&instance.spec.cgroup).is_empty() {
        assert!(Instant::now() < deadline, "a process lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(cgroups.remove(&instance.spec.cgroup).unwrap());
    assert_eq!(adopt(&instance.spec.state_dir), None);
    assert!(!instance.console().contains("never"));
}

#[test]
fn many_come_up_at_once_with_ids_of_their_own() {
    if !root_or_skip() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut instances: Vec<Instance> = (0..12)
        .map(|number| {
            let mut instance = Instance::with_user_data(&format!("echo number {number}"));
            instance.spec.disk_dir = dir.path().join(format!("disk-{number}"));
            instance
        })
        .collect();
    std::thread::scope(|scope| {
        for instance in &mut instances {
            scope.spawn(|| instance.start());
        }
    });
    let mut bases: Vec<u32> = instances.iter().map(|i| i.running.as_ref().unwrap().uid_base).collect();
    bases.sort_unstable();
    bases.dedup();
    assert_eq!(bases.len(), 12);
    for (number, instance) in instances.iter().enumerate() {
        instance.wait_console(&format!("number {number}\n"));
    }
}

#[test]
fn a_probe_leaves_nothing() {
    if !root_or_skip() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let init = vec![INIT.to_owned(), gp_sandbox::INIT_SUBCOMMAND.to_owned()];
    println!("a probe takes {:?}", probe(dir.path(), init).unwrap());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(probe(dir.path(), vec!["/bin/false".into()]).is_err());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn the_helper_does_not_talk_to_users() {
    let output = Command::new(INIT).args([gp_sandbox::INIT_SUBCOMMAND, "dance"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "{}").unwrap();
    let output = Command::new(INIT).args([gp_sandbox::INIT_SUBCOMMAND, "exec"]).arg(file.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
}
