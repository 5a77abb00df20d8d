//! What the caller says about an instance.

use crate::error::SandboxError;
use gp_linux::CgroupLimits;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The hidden subcommand that [`crate::sandbox_init_main`] answers to: `argv[1]` of our own binary.
pub const INIT_SUBCOMMAND: &str = "sandbox-init";

/// Longest host name, in bytes (`__NEW_UTS_LEN` of linux/utsname.h).
const HOSTNAME_MAX_BYTES: usize = 64;

/// User-data may have 16 KiB; a little more does no harm, a lot more is a mistake of the caller.
const USER_DATA_MAX_BYTES: usize = 1 << 20;

/// One instance. Paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// `i-0123456789abcdef0`; for logs and names only.
    pub instance_id: String,
    /// Host name inside.
    pub hostname: String,
    /// Where the run-time state of this instance goes (a record of its first process). May vanish with a reboot of the host.
    pub state_dir: PathBuf,
    /// The instance's disk: what it has written. Made at the first start, found at later ones, removed by [`crate::remove_disk`].
    pub disk_dir: PathBuf,
    /// The console log; appended to, and kept below 1 MiB.
    pub console: PathBuf,
    /// User-data as the caller of the API meant it (base64 already undone).
    pub user_data: Option<Vec<u8>>,
    /// Whether to run it: at the first boot only.
    pub run_user_data: bool,
    /// Public key for root's `authorized_keys`, as one line.
    pub authorized_key: Option<String>,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Processors.
    pub cpus: u32,
    /// Processes and threads.
    pub pids_max: u32,
    /// Control group, relative to each hierarchy: `groundplane/NAME/i-...`.
    pub cgroup: String,
    /// Environment of user-data, on top of the usual.
    pub env: Vec<(String, String)>,
    /// Host paths that must not be seen inside, besides those always hidden: data and run directories of every Groundplane.
    pub masked_paths: Vec<PathBuf>,
    /// The command that runs [`crate::sandbox_init_main`].
    pub init: Vec<String>,
}

impl SandboxSpec {
    /// A small instance with its directories; the rest is to be filled in.
    pub fn new(instance_id: &str, state_dir: &Path, disk_dir: &Path) -> Self {
        Self {
            instance_id: instance_id.to_owned(),
            hostname: instance_id.to_owned(),
            state_dir: state_dir.to_owned(),
            disk_dir: disk_dir.to_owned(),
            console: state_dir.join("console.log"),
            user_data: None,
            run_user_data: false,
            authorized_key: None,
            memory_bytes: 1 << 30,
            cpus: 1,
            pids_max: 4096,
            cgroup: format!("groundplane/{instance_id}"),
            env: Vec::new(),
            masked_paths: Vec::new(),
            init: vec!["/proc/self/exe".to_owned(), INIT_SUBCOMMAND.to_owned()],
        }
    }

    pub(crate) fn limits(&self) -> CgroupLimits {
        CgroupLimits { memory_bytes: self.memory_bytes, cpus: self.cpus, pids_max: self.pids_max }
    }

    /// Refuses what would fail later in a less clear way.
    pub(crate) fn check(&self) -> Result<(), SandboxError> {
        let refuse = |what: String| Err(SandboxError::Spec(what));
        for path in [&self.state_dir, &self.disk_dir, &self.console] {
            if !path.is_absolute() {
                return refuse(format!("{} is not an absolute path", path.display()));
            }
        }
        let is_host_char = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
        if self.hostname.is_empty()
            || self.hostname.len() > HOSTNAME_MAX_BYTES
            || !self.hostname.bytes().all(is_host_char)
        {
            return refuse(format!("{:?} is not a host name", self.hostname));
        }
        if self.user_data.as_ref().is_some_and(|data| data.len() > USER_DATA_MAX_BYTES) {
            return refuse("the user data is longer than 1 MiB".into());
        }
        if self.env.iter().any(|(name, value)| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')) {
            return refuse(
                "an environment variable has an empty name, or '=' or a zero byte where it may not be".into(),
            );
        }
        if self.authorized_key.as_ref().is_some_and(|key| key.contains(['\n', '\0'])) {
            return refuse("an authorized key is one line".into());
        }
        if self.init.is_empty() { refuse("the init command is empty".into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> SandboxSpec {
        SandboxSpec::new("i-0", Path::new("/run/gp/i-0"), Path::new("/var/lib/gp/i-0"))
    }

    #[test]
    fn a_new_spec_can_be_used() {
        spec().check().unwrap();
    }

    #[test]
    fn what_would_fail_later_is_refused_at_once() {
        let bad: [fn(&mut SandboxSpec); 7] = [
            |s| s.hostname = "a b".into(),
            |s| s.hostname = "a\n127.0.0.1 x".into(),
            |s| s.hostname = "h".repeat(65),
            |s| s.disk_dir = "disk".into(),
            |s| s.env = vec![("A=B".into(), String::new())],
            |s| s.authorized_key = Some("a\nb".into()),
            |s| s.init.clear(),
        ];
        for spoil in bad {
            let mut spec = spec();
            spoil(&mut spec);
            assert!(matches!(spec.check(), Err(SandboxError::Spec(_))), "{spec:?}");
        }
    }
}
