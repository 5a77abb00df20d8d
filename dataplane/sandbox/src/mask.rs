//! What of the host a guest must not see.
//!
//! The guest's view is the host's `/` with *whiteouts* in a layer on top: for the overlay these names do not exist. Nothing is covered by a
//! mount that root in the guest could take away, and a name that the host creates later is hidden too if it is on the list.
//!
//! The rule is "programs yes, data no". Of the top level only programs, libraries, `/etc` and `/var` are shown, `/var` empty. In `/etc`
//! goes whatever other users of the host could not read, found by a walk, besides a list of names that hold secrets by custom.
//! So a guest sees nothing but what any user without rights on the host may read.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Entries of `/` that are shown.
const SHOWN: [&str; 10] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "nix", "gnu"];

/// Entries of `/` that are hidden even if they appear later.
const TOP_LEVEL: [&str; 19] = [
    "root",
    "home",
    "srv",
    "mnt",
    "media",
    "boot",
    "efi",
    "opt",
    "tmp",
    "run",
    "proc",
    "sys",
    "dev",
    "var",
    "lost+found",
    "snap",
    "data",
    "swapfile",
    ".dockerenv",
];

/// Secrets and identities by custom, hidden even if they appear later. Passwords first, then keys, then credentials.
const NAMED: [&str; 57] = [
    "etc/shadow",
    "etc/shadow-",
    "etc/shadow+",
    "etc/nshadow",
    "etc/shadow.lock",
    "etc/gshadow",
    "etc/gshadow-",
    "etc/gshadow+",
    "etc/gshadow.lock",
    "etc/.pwd.lock",
    "etc/passwd-",
    "etc/group-",
    "etc/security/opasswd",
    "etc/sudoers",
    "etc/sudoers.d",
    "etc/doas.conf",
    "etc/ssh/ssh_host_rsa_key",
    "etc/ssh/ssh_host_ecdsa_key",
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_dsa_key",
    "etc/ssl/private",
    "etc/pki/tls/private",
    "etc/letsencrypt",
    "etc/wireguard",
    "etc/openvpn",
    "etc/ipsec.secrets",
    "etc/ipsec.d",
    "etc/swanctl",
    "etc/ppp",
    "etc/krb5.keytab",
    "etc/crypttab",
    "etc/luks",
    "etc/dropbear",
    "etc/tinc",
    "etc/machine-id",
    "etc/hostid",
    "etc/fstab",
    "etc/netplan",
    "etc/NetworkManager/system-connections",
    "etc/wpa_supplicant",
    "etc/kubernetes",
    "etc/rancher",
    "etc/docker",
    "etc/containers/auth.json",
    "etc/cni",
    "etc/apt/auth.conf",
    "etc/apt/auth.conf.d",
    "etc/cloud",
    "etc/boto.cfg",
    "etc/aws",
    "etc/google",
    "etc/azure",
    "etc/vault",
    "etc/vault.d",
    "etc/consul.d",
    "etc/nomad.d",
    "etc/groundplane",
];

/// Trees that are walked for what others can't read.
const WALKED: [&str; 2] = ["etc", "usr/local/etc"];

/// More entries than this in a walk, and it hides the directories it has not come to.
const WALK_MAX_ENTRIES: usize = 20_000;

/// How long a walk is good for while no directory has changed. A walk of a usual /etc takes a few milliseconds, too many for each of a
/// hundred starts; a look at its directories alone shows each file that is new. Left for this long: a change of a file's mode.
const WALK_TTL: Duration = Duration::from_secs(10);

/// The last walk.
static LAST_WALK: Mutex<Option<Walk>> = Mutex::new(None);

/// What a walk has found.
#[derive(Debug)]
struct Walk {
    when: Instant,
    /// What others can't read.
    hidden: Vec<PathBuf>,
    /// Each directory that was listed, with the time of its last change then.
    listed: Vec<(PathBuf, SystemTime)>,
}

/// Paths below `/` (without a leading slash) to hide: none of them inside another.
pub(crate) fn hidden_paths(own: &[&Path]) -> Vec<PathBuf> {
    let mut hidden: BTreeSet<PathBuf> = TOP_LEVEL.iter().chain(&NAMED).map(PathBuf::from).collect();
    hidden.extend(unknown_top_level(Path::new("/")));
    hidden.extend(unreadable());
    for path in own {
        hidden.extend(relative(path));
        // The same place by its real name, if it has two.
        hidden.extend(fs::canonicalize(path).ok().as_deref().and_then(relative));
    }
    outermost(hidden)
}

/// What stands in `root` and is not known to hold programs.
fn unknown_top_level(root: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter(|name| !SHOWN.iter().any(|shown| *shown == name)).map(PathBuf::from).collect()
}

/// What other users of this host can't read in the walked trees; remembered for a while.
fn unreadable() -> Vec<PathBuf> {
    let mut last = LAST_WALK.lock().unwrap_or_else(PoisonError::into_inner);
    match &*last {
        Some(walk) if walk.is_fresh() => walk.hidden.clone(),
        _ => last.insert(Walk::new(Path::new("/"), &WALKED)).hidden.clone(),
    }
}

impl Walk {
    fn new(root: &Path, trees: &[&str]) -> Self {
        let mut walk = Self { when: Instant::now(), hidden: Vec::new(), listed: Vec::new() };
        let mut waiting: Vec<PathBuf> = trees.iter().map(PathBuf::from).collect();
        let mut seen = 0;
        while let Some(dir) = waiting.pop() {
            let path = root.join(&dir);
            // The time first: a change while we read makes the walk stale.
            let Some(changed) = changed(&path) else { continue };
            walk.listed.push((path.clone(), changed));
            if seen > WALK_MAX_ENTRIES {
                walk.hidden.push(dir);
                continue;
            }
            for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
                seen += 1;
                walk.judge(&dir, &entry, &mut waiting);
            }
        }
        walk
    }

    fn judge(&mut self, dir: &Path, entry: &DirEntry, waiting: &mut Vec<PathBuf>) {
        // DirEntry::metadata does not follow links: a link shows nothing by itself.
        let Ok(facts) = entry.metadata() else { return };
        let mode = facts.permissions().mode();
        let is_open = if facts.is_dir() { mode & 0o005 == 0o005 } else { facts.is_file() && mode & 0o004 != 0 };
        if !is_open && !facts.is_symlink() {
            self.hidden.push(dir.join(entry.file_name()));
        } else if facts.is_dir() {
            waiting.push(dir.join(entry.file_name()));
        }
    }

    fn is_fresh(&self) -> bool {
        self.when.elapsed() < WALK_TTL && self.listed.iter().all(|(path, when)| changed(path) == Some(*when))
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|facts| facts.modified()).ok()
}

/// The path below `/`, if it is a plain absolute path and not `/` itself.
fn relative(path: &Path) -> Option<PathBuf> {
    let below = path.strip_prefix("/").ok()?;
    let is_plain = below.components().all(|part| matches!(part, Component::Normal(_)));
    (is_plain && !below.as_os_str().is_empty()).then(|| below.to_owned())
}

/// Drops what lies inside something else that is hidden.
fn outermost(hidden: BTreeSet<PathBuf>) -> Vec<PathBuf> {
    hidden.iter().filter(|path| !path.ancestors().skip(1).any(|above| hidden.contains(above))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_others_cannot_read_is_hidden() {
        let root = tempfile::tempdir().unwrap();
        let etc = root.path().join("etc");
        let put = |name: &str, mode| {
            let path = etc.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        put("passwd", 0o644);
        put("secret", 0o600);
        put("app/config", 0o644);
        put("app/token", 0o640);
        put("vault/key", 0o644);
        fs::set_permissions(etc.join("vault"), fs::Permissions::from_mode(0o750)).unwrap();
        symlink("secret", etc.join("link")).unwrap();
        let mut walk = Walk::new(root.path(), &["etc"]);
        walk.hidden.sort();
        assert_eq!(walk.hidden, ["etc/app/token", "etc/secret", "etc/vault"].map(PathBuf::from));
        assert!(walk.is_fresh());
        std::thread::sleep(Duration::from_millis(20));
        put("app/new", 0o600);
        assert!(!walk.is_fresh(), "a new file goes unnoticed");
    }

    #[test]
    fn only_programs_are_shown_of_the_top_level() {
        let root = tempfile::tempdir().unwrap();
        for name in ["usr", "etc", "farm", "backup"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let mut found = unknown_top_level(root.path());
        found.sort();
        assert_eq!(found, ["backup", "farm"].map(PathBuf::from));
    }

    #[test]
    fn the_callers_own_paths_are_hidden_wherever_they_are() {
        let hidden = hidden_paths(&[Path::new("/usr/local/groundplane"), Path::new("/root/gp"), Path::new("/")]);
        assert!(hidden.contains(&"usr/local/groundplane".into()));
        assert!(hidden.contains(&"root".into()));
        assert!(!hidden.contains(&"root/gp".into()), "it lies inside a hidden directory");
        assert!(!hidden.iter().any(|path| path.as_os_str().is_empty()));
        assert!(hidden.contains(&"etc/shadow".into()));
        assert!(!hidden.contains(&"usr".into()) && !hidden.contains(&"etc".into()));
    }

    #[test]
    fn paths_that_climb_are_not_taken() {
        assert_eq!(relative(Path::new("/a/../b")), None);
        assert_eq!(relative(Path::new("a")), None);
        assert_eq!(relative(Path::new("/")), None);
        assert_eq!(relative(Path::new("/a/b")), Some("a/b".into()));
    }
}
