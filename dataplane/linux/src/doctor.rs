//! Can this host do it? Each check does the real thing in namespaces of its own and lets it go; nothing stays behind.
//!
//! What runs: threads that enter fresh network or mount namespaces, one short-lived child for a user namespace, one control group that is
//! removed at once, one BPF program that is never attached outside a fresh namespace.

mod bpf;
mod files;
mod net;

use crate::cgroup::{CgroupLimits, Cgroups};
use crate::error::LinuxError;
use std::error::Error;
use std::fmt::Write;
use std::fs;

/// The oldest kernel that can idmap the lower layer of an overlay.
const KERNEL_MIN: (u32, u32) = (5, 19);

/// Capabilities that Groundplane uses, with their numbers in linux/capability.h.
const CAPABILITIES: [(&str, u32); 10] = [
    ("CAP_CHOWN", 0),
    ("CAP_DAC_OVERRIDE", 1),
    ("CAP_KILL", 5),
    ("CAP_SETGID", 6),
    ("CAP_SETUID", 7),
    ("CAP_NET_ADMIN", 12),
    ("CAP_NET_RAW", 13),
    ("CAP_SYS_CHROOT", 18),
    ("CAP_SYS_PTRACE", 19),
    ("CAP_SYS_ADMIN", 21),
];

/// One thing that Groundplane needs from the host, and whether it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Short name: `kernel`, `btf`, ...
    pub name: &'static str,
    /// Whether it is there.
    pub ok: bool,
    /// What was found.
    pub detail: String,
    /// What to do about it; empty when it is there.
    pub remedy: String,
}

type Probe = fn() -> Result<String, LinuxError>;

/// Name, probe, and what to do when the probe fails.
const PROBES: [(&str, Probe, &str); 12] = [
    ("kernel", kernel, "boot Linux 5.19 or newer (Ubuntu 22.04: apt install linux-generic-hwe-22.04)"),
    ("root", root, "run as root with all capabilities (in a container: --privileged)"),
    ("btf", btf, "use a kernel built with CONFIG_DEBUG_INFO_BTF (the distributions' own are)"),
    ("netns", net::netns, "use a kernel with CONFIG_NET_NS, and allow new namespaces (user.max_net_namespaces)"),
    ("veth", net::veth, "load the veth module: modprobe veth"),
    ("tun", net::tun, "load the tun module: modprobe tun; in a container pass /dev/net/tun"),
    ("bpf", bpf::program, "use a kernel with CONFIG_BPF_SYSCALL, and leave its lockdown off"),
    ("tc", bpf::hook, "load the modules: modprobe sch_ingress cls_bpf"),
    ("bpffs", files::bpffs, "use a kernel with CONFIG_BPF_SYSCALL; in a container allow mounts (--privileged)"),
    ("overlayfs", files::overlay, "load the overlay module: modprobe overlay"),
    (
        "idmap",
        files::idmapped_root,
        "keep / on ext4, xfs, btrfs, f2fs or tmpfs with Linux 5.19 or newer, and allow user namespaces",
    ),
    ("cgroup", cgroup, "mount the memory and pids cgroup controllers (version 1 or 2), writable"),
];

/// Runs every check. Takes some tens of milliseconds.
pub fn check_host() -> Vec<Check> {
    PROBES
        .into_iter()
        .map(|(name, probe, remedy)| match probe() {
            Ok(detail) => Check { name, ok: true, detail, remedy: String::new() },
            Err(error) => Check { name, ok: false, detail: chain(&error), remedy: remedy.to_owned() },
        })
        .collect()
}

/// An error with its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a String can't fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

fn kernel() -> Result<String, LinuxError> {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    match parse_release(&release) {
        Some(version) if version >= KERNEL_MIN => Ok(release),
        _ => Err(LinuxError::Missing(format!("{release} is older than {}.{}", KERNEL_MIN.0, KERNEL_MIN.1))),
    }
}

fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn root() -> Result<String, LinuxError> {
    let status = fs::read_to_string("/proc/thread-self/status")
        .map_err(|source| LinuxError::Os { what: "read /proc/thread-self/status".into(), source })?;
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or_default();
    let missing: Vec<_> =
        CAPABILITIES.iter().filter(|(_, bit)| effective & (1 << bit) == 0).map(|(name, _)| *name).collect();
    if !rustix::process::geteuid().is_root() {
        return Err(LinuxError::Missing("not root".into()));
    }
    if missing.is_empty() {
        return Ok("root with the capabilities needed".into());
    }
    Err(LinuxError::Missing(format!("missing {}", missing.join(", "))))
}

fn btf() -> Result<String, LinuxError> {
    let path = "/sys/kernel/btf/vmlinux";
    let size = fs::metadata(path).map_err(|source| LinuxError::Os { what: format!("examine {path}"), source })?.len();
    if size == 0 { Err(LinuxError::Missing(format!("{path} is empty"))) } else { Ok(format!("{} KiB", size / 1024)) }
}

fn cgroup() -> Result<String, LinuxError> {
    let cgroups = Cgroups::detect()?;
    let path = format!("groundplane-doctor-{}", std::process::id());
    let limits = CgroupLimits { memory_bytes: 64 << 20, cpus: 1, pids_max: 64 };
    let made = cgroups.ensure(&path, &limits);
    cgroups.remove(&path)?;
    made.map(|()| cgroups.describe())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::root_or_skip;

    #[test]
    fn kernel_releases_of_distributions_are_understood() {
        assert_eq!(parse_release("6.1.0-25-amd64"), Some((6, 1)));
        assert_eq!(parse_release("5.15.0-119-generic"), Some((5, 15)));
        assert_eq!(parse_release("6.18.44-fc-v657"), Some((6, 18)));
        assert_eq!(parse_release("weird"), None);
    }

    #[test]
    fn a_host_that_runs_the_tests_passes_and_is_left_as_it_was() {
        if !root_or_skip() {
            return;
        }
        let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap().contains("gp-doctor");
        let checks = check_host();
        for check in &checks {
            println!("{:10} {:5} {} {}", check.name, check.ok, check.detail, check.remedy);
        }
        assert!(checks.iter().all(|check| check.ok));
        assert!(!mounts());
    }
}
