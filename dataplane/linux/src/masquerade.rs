//! Masquerading behind a host's own address, by one nftables table of ours.
//!
//! The table is all that is added, and it is replaced whole, in one transaction of nft(8). Forwarding is switched on for two links: the
//! uplink's outer end, which is ours, and the host's way to the internet, which is not, so that its answers are forwarded back. What
//! had not been forwarded from there before still isn't: the table drops it.

use crate::error::{Context, LinuxError};
use crate::netns::{NetNs, write_sysctl};
use crate::uplink::read_sysctl;
use ipnet::Ipv4Net;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// What is masqueraded, and behind what.
#[derive(Clone, Debug)]
pub struct Masquerade<'a> {
    /// Name of the table; nobody else's.
    pub table: &'a str,
    /// The uplinks' outer ends: all links whose names begin so.
    pub uplinks: &'a str,
    /// The link to the internet.
    pub way_out: &'a str,
    /// Whose addresses are translated.
    pub blocks: &'a [Ipv4Net],
    /// Whether the way out forwarded nothing before, so that it must not forward for others now.
    pub is_guarded: bool,
}

/// Puts the table there, in place of an older one.
///
/// # Errors
/// nft(8) is missing or the kernel refuses.
pub fn ensure_masquerade(netns: &NetNs, masquerade: &Masquerade<'_>) -> Result<(), LinuxError> {
    nft(netns, &script(masquerade))
}

/// Takes the table away; fine if it is not there.
///
/// # Errors
/// nft(8) is missing or the kernel refuses.
pub fn remove_masquerade(netns: &NetNs, table: &str) -> Result<(), LinuxError> {
    // Named first, so that there is one to delete.
    nft(netns, &format!("table ip {table}\ndelete table ip {table}\n"))
}

/// Whether a link forwards IPv4 packets.
///
/// # Errors
/// There is no such link.
pub fn is_forwarding(netns: &NetNs, link: &str) -> Result<bool, LinuxError> {
    read_sysctl(netns, &forwarding(link)).map(|value| value != "0")
}

/// Lets a link forward IPv4 packets, or not. Says whether there is such a link.
///
/// # Errors
/// The kernel refuses.
pub fn set_forwarding(netns: &NetNs, link: &str, on: bool) -> Result<bool, LinuxError> {
    match netns.run(|| write_sysctl(&forwarding(link), if on { "1" } else { "0" }))? {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        other => other.map(|()| true),
    }
}

fn forwarding(link: &str) -> String {
    format!("ipv4/conf/{link}/forwarding")
}

fn script(masquerade: &Masquerade<'_>) -> String {
    let Masquerade { table, uplinks, way_out, blocks, is_guarded } = masquerade;
    let blocks = blocks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut rules = format!(
        "table ip {table}\n\
         delete table ip {table}\n\
         table ip {table} {{\n\
           chain out {{\n\
             type nat hook postrouting priority srcnat; policy accept;\n\
             iifname \"{uplinks}*\" oifname \"{way_out}\" ip saddr {{ {blocks} }} masquerade\n\
           }}\n\
           chain through {{\n\
             type filter hook forward priority filter; policy accept;\n\
             iifname \"{uplinks}*\" oifname != \"{way_out}\" drop\n\
             iifname \"{way_out}\" oifname \"{uplinks}*\" ct state != {{ established, related }} drop\n"
    );
    if *is_guarded {
        // Writing to a String can't fail.
        let _ = writeln!(rules, "iifname \"{way_out}\" oifname != \"{uplinks}*\" drop");
    }
    rules.push_str("}\n}\n");
    rules
}

/// Runs nft(8) inside `netns`: a child process belongs to the namespace of the thread that starts it.
fn nft(netns: &NetNs, script: &str) -> Result<(), LinuxError> {
    let what = || "run nft".to_owned();
    let output = netns.run(|| {
        let child = Command::new("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match child {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(LinuxError::Missing("nft is not installed on this machine".into()));
            }
            other => other.context(what)?,
        };
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(script.as_bytes()).context(what)?;
        }
        child.wait_with_output().context(what)
    })??;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(LinuxError::Missing(format!("nft refuses: {}", said.lines().next().unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Links;
    use crate::testing::root_or_skip;

    fn list(netns: &NetNs) -> String {
        let output = netns.run(|| Command::new("nft").args(["list", "ruleset"]).output().unwrap()).unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn the_table_is_replaced_and_removed_whole() {
        if !root_or_skip() || Command::new("nft").arg("--version").output().is_err() {
            println!("skipped: needs root and nft");
            return;
        }
        let netns = NetNs::new_unpinned().unwrap();
        Links::open(&netns).unwrap().ensure_local_veth("eth0", "wire", 1500).unwrap();
        let blocks = ["198.51.100.0/24".parse().unwrap()];
        let mut masquerade = Masquerade {
            table: "groundplane_a-b",
            uplinks: "gp-a-b-",
            way_out: "eth0",
            blocks: &blocks,
            is_guarded: true,
        };
        ensure_masquerade(&netns, &masquerade).unwrap();
        assert!(list(&netns).contains(r#"iifname "eth0" oifname != "gp-a-b-*" drop"#), "{}", list(&netns));
        masquerade.is_guarded = false;
        ensure_masquerade(&netns, &masquerade).unwrap();
        let rules = list(&netns);
        assert!(!rules.contains("oifname != \"gp-a-b-*\"") && rules.matches("masquerade").count() == 1, "{rules}");
        remove_masquerade(&netns, "groundplane_a-b").unwrap();
        remove_masquerade(&netns, "groundplane_a-b").unwrap();
        assert_eq!(list(&netns), "");
    }

    #[test]
    fn forwarding_is_a_matter_of_one_link() {
        if !root_or_skip() {
            return;
        }
        let netns = NetNs::new_unpinned().unwrap();
        netns.set_sysctl("ipv4/ip_forward", "0").unwrap();
        Links::open(&netns).unwrap().ensure_local_veth("eth0", "wire", 1500).unwrap();
        assert!(set_forwarding(&netns, "eth0", true).unwrap());
        assert!(is_forwarding(&netns, "eth0").unwrap() && !is_forwarding(&netns, "wire").unwrap());
        assert!(set_forwarding(&netns, "eth0", false).unwrap());
        assert!(!is_forwarding(&netns, "eth0").unwrap());
        assert!(!set_forwarding(&netns, "gone", false).unwrap());
    }
}
