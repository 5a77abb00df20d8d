//! Root in the guest tries to see or touch the host.

use crate::common::{Instance, root_or_skip};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

#[test]
fn secrets_of_the_host_can_not_be_read() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::new();
    // A secret of the kinds that nobody lists: readable by root only, in a directory that is walked; and one that the caller names.
    let secret = format!("/etc/gp-test-{}", std::process::id());
    let named = format!("/usr/local/gp-test-{}", std::process::id());
    fs::write(&secret, "secret").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir_all(&named).unwrap();
    fs::write(format!("{named}/key"), "secret").unwrap();
    instance.spec.masked_paths = vec![named.clone().into()];
    instance.start();
    let found = instance.shell(&format!("cat {secret} {named}/key 2>&1 | grep -c secret"));
    fs::remove_file(&secret).unwrap();
    fs::remove_dir_all(&named).unwrap();
    assert_eq!(found, "0");
    assert_eq!(
        instance.shell("ls -A /root /home /srv /mnt /opt /boot /media /var/lib/groundplane 2>/dev/null | grep -v :"),
        ""
    );
    assert_eq!(instance.shell("cut -d: -f2 /etc/shadow | sort -u"), "*");
    assert_eq!(instance.shell("ls /etc/ssh/ssh_host_*key /etc/ssl/private /etc/sudoers 2>/dev/null"), "");
    assert_eq!(instance.shell("ls -A /run | grep -v lock"), "");
    let host_id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    assert_ne!(instance.shell("cat /etc/machine-id"), host_id.trim());
    let dir = instance.dir();
    assert_eq!(instance.shell(&format!("ls {} 2>/dev/null", dir.display())), "");
}

#[test]
fn taking_mounts_away_shows_nothing() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::new();
    instance.start();
    let strip = "for at in /tmp /run /dev/shm /dev/pts /dev/null /dev/tty /dev /sys; do umount -l $at; done; \
                 ls -A /tmp /run /dev /root /home | grep -v : | grep -vx mount; grep -v '^[^:]*:\\*:' /etc/shadow; \
                 awk '{print $5}' /proc/self/mountinfo | grep -vx / | grep -v ^/proc | grep -v ^/var/lib";
    assert_eq!(instance.shell(strip), "");
    assert!(instance.running.as_ref().unwrap().is_running());
}

#[test]
fn root_inside_is_nobody_outside() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::with_user_data("#!/bin/sh\nexec sleep 1000");
    let running = instance.start();
    let status = fs::read_to_string(format!("/proc/{}/status", running.process.pid)).unwrap();
    let line = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let base = running.uid_base;
    assert!(base >= 1_000_000);
    assert_eq!(line("Uid:"), format!("Uid:\t{base}\t{base}\t{base}\t{base}"));
    assert_eq!(line("Gid:"), format!("Gid:\t{base}\t{base}\t{base}\t{base}"));
    assert_eq!(line("Seccomp:"), "Seccomp:\t2");
    assert_eq!(instance.shell("awk '{print $1, $3}' /proc/self/uid_map"), "0 65536");
    let missing = "for c in 16 17 25 27 34 39; do \
                   b=$(sed -n 's/^CapEff:\\t//p' /proc/self/status); test $(( (0x$b >> c) & 1 )) = 0 || echo $c; done";
    assert_eq!(instance.shell(&missing.replace("0x$b >> c", "0x$b >> $c")), "");
    for namespace in ["user", "mnt", "pid", "net", "uts", "ipc", "cgroup"] {
        let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
        assert_ne!(of(&running.process.pid.to_string()), of("self"), "{namespace}");
    }
}

#[test]
fn ways_out_are_closed() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::new();
    instance.start();
    let bad = [
        "mknod /tmp/disk b 254 0 || mknod /tmp/disk b 8 0",
        "echo b > /proc/sysrq-trigger",
        "echo '|/tmp/x' > /proc/sys/kernel/core_pattern",
        "echo 1 > /proc/sys/vm/drop_caches",
        "head -c 1 /proc/kcore",
        "head -c 1 /dev/mem",
        "head -c 1 /dev/kmsg",
        "dmesg",
        "mount -t bpf none /mnt",
        "mount -t debugfs none /mnt",
        "mount -t tracefs none /mnt",
        "mount -t securityfs none /mnt",
        "mount -t devtmpfs none /mnt",
        "mount -o remount,rw,dev / && mknod /null2 c 1 3 && echo > /null2",
        "mount -o remount,rw /sys && echo 1 > /sys/kernel/mm/ksm/run",
        "date -s 2001-01-01",
        "modprobe dummy && test -d /sys/module/dummy",
        "chroot /proc/1/root true",
        "cat /proc/1/environ",
        "ls -l /proc/1/fd/",
        "readlink /proc/1/exe",
        "kill -9 1; sleep 0.1; false",
        "nsenter -t 1 -m true",
        "sysctl -w kernel.hostname=x kernel.panic=1",
        "echo 1 > /proc/sys/kernel/panic",
        "ls /sys/fs/bpf/* /sys/kernel/debug/* /sys/kernel/tracing/* /sys/kernel/security/*",
        "test \"$(ls /sys/class/net)\" != lo",
        "test \"$(ps -e | wc -l)\" -gt 10",
        "swapon /dev/null",
        "mount -t cgroup -o memory none /mnt && echo 1g > /mnt/memory.limit_in_bytes",
        "mount -t cgroup2 none /mnt && { mkdir /mnt/x || echo $$ > /mnt/cgroup.procs; }",
        "python3 -c 'import ctypes; l = ctypes.CDLL(None, use_errno=True); exit(0 if l.syscall(250, 0, -3, 0, 0, 0) >= 0 else 1)'",
        "python3 -c 'import ctypes; l = ctypes.CDLL(None, use_errno=True); exit(0 if l.syscall(321, 0, 0, 0) >= 0 else 1)'",
    ];
    for line in bad {
        let output = instance.run(&["/bin/sh", "-c", line]);
        assert!(!output.status.success(), "this worked: {line}: {output:?}");
    }
    assert!(instance.running.as_ref().unwrap().is_running());
}

#[test]
fn device_nodes_of_the_host_do_not_open() {
    if !root_or_skip() {
        return;
    }
    // Number 1:3 is /dev/null: harmless, should this fail.
    let path = format!("/usr/local/gp-test-{}.null", std::process::id());
    let made = Command::new("mknod").args(["-m", "666", &path, "c", "1", "3"]).status().unwrap();
    assert!(made.success());
    let mut instance = Instance::new();
    instance.start();
    let opens = |line: &str| instance.run(&["/bin/sh", "-c", &line.replace("NODE", &path)]).status.success();
    let results = [
        opens("test -c NODE"),
        opens("echo > NODE"),
        opens("mount -o remount,dev,exec,suid /; echo > NODE"),
        opens("cp -a NODE /root/node && test -c /root/node && echo > /root/node"),
    ];
    fs::remove_file(&path).unwrap();
    assert_eq!(results, [true, false, false, false]);
}

#[test]
fn sockets_and_descriptors_of_the_host_do_not_get_in() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::new();
    // A socket file in a place that is shown.
    let path = format!("/usr/local/gp-test-{}.sock", std::process::id());
    let _listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    let running = instance.start();
    let connect = format!("python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"{path}\")'");
    let output = instance.run(&["/bin/sh", "-c", &connect]);
    fs::remove_file(&path).unwrap();
    assert!(!output.status.success(), "a socket of the host answers inside");
    // Process 1 has the console, its pipe, its signals and /dev/null.
    let fds: Vec<String> = fs::read_dir(format!("/proc/{}/fd", running.process.pid))
        .unwrap()
        .map(|entry| fs::read_link(entry.unwrap().path()).unwrap().to_string_lossy().into_owned())
        .collect();
    let is_known = |fd: &String| {
        fd == "/dev/null" || fd == "/dev/console" || fd == "anon_inode:[signalfd]" || fd.ends_with("/console.log")
    };
    assert!(fds.iter().all(is_known), "{fds:?}");
    assert_eq!(instance.shell("ls /proc/self/fd | tr '\\n' ' '"), "0 1 2 3");
}
