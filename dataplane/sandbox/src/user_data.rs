//! User-data: what an instance runs at its first boot.
//!
//! Scripts run as they are (`#!`), other text by /bin/sh. What needs cloud-init (MIME, `#cloud-config`, compressed data...) is named on
//! the console and left alone: the sandbox image has no cloud-init.

use crate::spec::SandboxSpec;
use crate::sys;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Where cloud-init keeps them, so that people find them.
const TEXT: &str = "/var/lib/cloud/instance/user-data.txt";
const SCRIPT_DIR: &str = "/var/lib/cloud/instance/scripts";
const SCRIPT: &str = "/var/lib/cloud/instance/scripts/part-001";

/// Search path of everything that Groundplane starts in an instance.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// First words of documents for cloud-init (its "User-Data Formats" page).
const CLOUD_INIT_HEADS: [&str; 6] =
    ["#cloud-config", "#cloud-boothook", "#include", "#part-handler", "#upstart-job", "## template: jinja"];

/// How user-data is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// To be executed.
    Script,
    /// To be read by /bin/sh.
    ShellText,
    /// For cloud-init, and what it is.
    Unsupported(&'static str),
    /// Nothing but blanks.
    Empty,
}

/// Starts the script and returns its pid; or says what is on the console instead.
pub(crate) fn start(spec: &SandboxSpec, output: &Path) -> Result<Option<u32>, String> {
    let Some(data) = spec.user_data.as_deref().filter(|_| spec.run_user_data) else { return Ok(None) };
    store(data).map_err(|error| format!("user-data can't be stored: {error}"))?;
    let mut command = match kind_of(data) {
        Kind::Empty => return Ok(None),
        Kind::Unsupported(what) => return Err(format!("user-data is {what}: not supported by the sandbox image")),
        Kind::Script => Command::new(SCRIPT),
        Kind::ShellText => {
            let mut shell = Command::new("/bin/sh");
            shell.arg(SCRIPT);
            shell
        }
    };
    let spawned = (|| {
        let out = OpenOptions::new().write(true).open(output)?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).current_dir("/");
        command.env_clear().envs([("PATH", PATH), ("HOME", "/root"), ("USER", "root"), ("LOGNAME", "root")]);
        command.env("LANG", "C.UTF-8").envs(spec.env.iter().map(|(name, value)| (name, value)));
        // SAFETY: only system calls, which touch no memory.
        unsafe {
            command.pre_exec(|| {
                sys::reset_signals();
                rustix::process::setsid().map(|_| ()).map_err(io::Error::from)
            })
        };
        command.spawn()
    })();
    spawned.map(|child| Some(child.id())).map_err(|error| format!("user-data can't be run: {error}"))
}

fn store(data: &[u8]) -> io::Result<()> {
    fs::create_dir_all(SCRIPT_DIR)?;
    for (path, mode) in [(TEXT, 0o600), (SCRIPT, 0o700)] {
        // Made anew: a file that is there may be busy or lead elsewhere.
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(data)?;
    }
    Ok(())
}

/// By its head, compared without regard to case, as cloud-init does.
fn kind_of(data: &[u8]) -> Kind {
    let head = data.trim_ascii_start();
    let starts =
        |prefix: &str| head.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()));
    if head.is_empty() {
        Kind::Empty
    } else if data.starts_with(b"#!") {
        Kind::Script
    } else if data.starts_with(&[0x1f, 0x8b]) {
        Kind::Unsupported("compressed")
    } else if CLOUD_INIT_HEADS.into_iter().any(starts) {
        Kind::Unsupported("a cloud-init document")
    } else if starts("content-type:") || starts("mime-version:") {
        Kind::Unsupported("a MIME document")
    } else if data.contains(&0) {
        Kind::Unsupported("binary")
    } else {
        Kind::ShellText
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_is_taken_for_what_it_is() {
        assert_eq!(kind_of(b"#!/bin/bash\necho"), Kind::Script);
        assert_eq!(kind_of(b"echo hello"), Kind::ShellText);
        assert_eq!(kind_of(b"\n \t"), Kind::Empty);
        assert_eq!(kind_of(b""), Kind::Empty);
        assert_eq!(kind_of(b"Content-Type: multipart/mixed; boundary=x"), Kind::Unsupported("a MIME document"));
        assert_eq!(kind_of(b"#cloud-config\npackages: []"), Kind::Unsupported("a cloud-init document"));
        assert_eq!(kind_of(&[0x1f, 0x8b, 8]), Kind::Unsupported("compressed"));
        assert_eq!(kind_of(b"MZ\0\0"), Kind::Unsupported("binary"));
    }
}
