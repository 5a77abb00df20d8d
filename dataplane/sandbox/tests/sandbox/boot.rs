//! What an instance is like when it has come up.

use crate::common::{Instance, chain, root_or_skip};
use gp_linux::{GuestAddress, GuestConfig, Links, NetNs, VethSpec, configure_guest};
use gp_sandbox::{SandboxError, adopt, start};
use std::fs;
use std::path::Path;

#[test]
fn user_data_speaks_on_the_console_and_the_host_name_is_its_own() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::with_user_data("#!/bin/sh\necho hello from $(hostname) as $(id -u)\necho loud >&2\n");
    instance.spec.hostname = "ip-10-0-1-10.ec2.internal".into();
    instance.start();
    instance.wait_console("user-data finished");
    let console = instance.console();
    assert!(console.contains("hello from ip-10-0-1-10.ec2.internal as 0\n"), "{console}");
    assert!(console.contains("loud\n") && console.contains("first boot"), "{console}");
    assert!(instance.shell("cat /etc/hosts").contains("127.0.1.1 ip-10-0-1-10.ec2.internal ip-10-0-1-10"));
    assert_ne!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim(), "ip-10-0-1-10.ec2.internal");
}

#[test]
fn text_without_a_hash_bang_is_for_the_shell_and_documents_are_named() {
    if !root_or_skip() {
        return;
    }
    let mut plain = Instance::with_user_data("echo plain $GREETING; echo to the console > /dev/console; exit 7");
    plain.spec.env = vec![("GREETING".into(), "hi".into())];
    plain.start();
    plain.wait_console("user-data failed with status 7");
    assert!(plain.console().contains("plain hi\n") && plain.console().contains("to the console\n"));
    let mut document = Instance::with_user_data("#cloud-config\npackages: [nginx]\n");
    document.start();
    document.wait_console("a cloud-init document: not supported by the sandbox image");
    let mut lost = Instance::with_user_data("#!/no/such/program\n");
    lost.start();
    lost.wait_console("user-data can't be run");
}

#[test]
fn the_network_is_there_before_the_first_line_of_user_data() {
    if !root_or_skip() {
        return;
    }
    let host = NetNs::new_unpinned().unwrap();
    let links = Links::open(&host).unwrap();
    let mut instance = Instance::with_user_data("#!/bin/sh\nip -br address show; ip route; ip -6 route show default\n");
    instance.start_with(|guest| {
        links.ensure_veth(&VethSpec {
            host_name: "gp0",
            host_mac: None,
            guest_name: "eth0",
            guest_netns: guest,
            guest_mac: [2, 0, 0, 0, 0, 10],
            mtu: 9001,
            alias: "eni-0",
        })?;
        let address = |text: &str, prefix_len| GuestAddress { address: text.parse().unwrap(), prefix_len };
        configure_guest(
            guest,
            &GuestConfig {
                ifname: "eth0",
                mtu: 9001,
                addresses: &[address("10.0.1.10", 24), address("2001:db8::10", 64)],
                metric: 512,
                gateway_v4: Some([10, 0, 1, 1].into()),
                gateway_v6: Some("fe80:ec2::1".parse()?),
                policy: None,
            },
        )?;
        Ok(())
    });
    instance.wait_console("user-data finished");
    let console = instance.console();
    for part in ["lo ", "eth0@", "10.0.1.10/24", "2001:db8::10/64", "default via 10.0.1.1", "default via fe80:ec2::1"] {
        assert!(console.contains(part), "no {part:?} in {console}");
    }
}

#[test]
fn a_network_that_fails_leaves_nothing() {
    if !root_or_skip() {
        return;
    }
    let instance = Instance::with_user_data("echo never");
    let error = start(&instance.spec, |_| Err("no ENI today".into())).unwrap_err();
    assert!(matches!(error, SandboxError::Network(_)));
    assert!(chain(&error).contains("no ENI today"));
    assert_eq!(adopt(&instance.spec.state_dir), None);
    assert!(!instance.console().contains("never"));
    assert!(!Path::new("/sys/fs/cgroup/memory").join(&instance.spec.cgroup).exists());
}

#[test]
fn a_wrong_helper_is_an_error_and_not_a_hang() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::new();
    instance.spec.init = vec!["/bin/true".into()];
    assert!(matches!(start(&instance.spec, |_| Ok(())), Err(SandboxError::Guest(_))));
    instance.spec.init = vec!["/no/such/file".into()];
    assert!(matches!(start(&instance.spec, |_| Ok(())), Err(SandboxError::Os { .. })));
}

#[test]
fn tools_that_root_uses_work() {
    if !root_or_skip() {
        return;
    }
    let mut instance = Instance::new();
    instance.start();
    let good = [
        "ip link add br0 type bridge && ip link del br0",
        "mount -t tmpfs none /mnt && umount /mnt",
        "su nobody -s /bin/sh -c 'id -un' | grep -qx nobody",
        "chown 1000:1000 /etc/passwd && chown 0:0 /etc/passwd",
        "echo x > /root/x && mkdir -p /var/log/app /home/me && mv /root/x /var/log/app/",
        "mkdir /usr/local/new && rmdir /usr/local/new && rm -r /usr/share/doc && mkdir /usr/share/doc",
        "test -c /dev/null && test -c /dev/urandom && : > /dev/null && head -c 8 /dev/urandom",
        "ls -l /proc/self/fd > /dev/stderr",
        "hostname other && hostname | grep -qx other",
        "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'",
        "test \"$(stat -c %U:%a /tmp)\" = root:1777 && test \"$(stat -c %U /usr/bin/env)\" = root",
        "dpkg --version > /dev/null 2>&1 || exit 0; dpkg -s base-files > /dev/null",
        "getent passwd root > /dev/null && ! getent hosts no.such.name",
        "unshare --mount --pid --fork true",
        "date > /dev/console",
    ];
    for line in good {
        let output = instance.run(&["/bin/sh", "-c", line]);
        assert!(output.status.success(), "{line}: {output:?}");
    }
}

#[test]
fn the_hosts_tree_is_as_it_was() {
    if !root_or_skip() {
        return;
    }
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mut instance = Instance::new();
    let path = instance.dir();
    instance.start();
    instance
        .shell("rm -rf /usr/bin /etc/passwd; echo gone > /usr/lib/gp-test; mkdir /gp-test; touch /tmp/gp-test-file");
    assert!(Path::new("/usr/bin/env").exists() && Path::new("/etc/passwd").exists());
    assert!(!Path::new("/usr/lib/gp-test").exists() && !Path::new("/gp-test").exists());
    assert!(!Path::new("/tmp/gp-test-file").exists());
    instance.stop();
    assert!(!mounts().contains(path.to_str().unwrap()));
}
