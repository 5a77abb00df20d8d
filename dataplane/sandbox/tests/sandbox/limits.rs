//! Memory and processes end where the instance type says.

use crate::common::{Instance, root_or_skip};

#[test]
fn too_much_memory_kills_inside_only() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::new();
    instance.spec.memory_bytes = 64 << 20;
    let running = instance.start();
    let output =
        instance.run(&["/bin/sh", "-c", "python3 -c 'x = bytearray(200 << 20); print(len(x))'; echo status $?"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("status 137"), "{output:?}");
    assert!(running.is_running());
    // Files in memory count too.
    let output = instance.run(&["/bin/sh", "-c", "head -c 100m /dev/zero > /tmp/big"]);
    assert!(!output.status.success(), "{output:?}");
    assert!(running.is_running());
}

#[test]
fn too_many_processes_are_refused() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::new();
    instance.spec.pids_max = 20;
    let running = instance.start();
    let text = instance.shell("for i in $(seq 100); do sleep 30 & done; wait");
    assert!(text.contains("ork"), "no refused fork in {text:?}");
    assert!(running.is_running());
}
