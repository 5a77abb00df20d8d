//! The console's file: QEMU appends to it, and it is cut in place when it gets long, so that readers and QEMU keep what they have open.

use crate::error::{Context, VmError};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

/// Longest file, in bytes, except for what came since it was looked at last.
const MAX_BYTES: u64 = 1 << 20;
/// What is kept when it gets longer, in bytes.
const KEPT_BYTES: u64 = 256 << 10;

/// The file, for appending only.
pub(crate) fn open(path: &Path) -> Result<File, VmError> {
    let what = || format!("open the console {}", path.display());
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent).context(what)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640).custom_flags(libc::O_NOFOLLOW);
    options.open(path).context(what)
}

/// Cuts the file if it has got long. What is written meanwhile may be lost.
///
/// # Errors
/// The file can't be read or written.
pub fn trim_console(path: &Path) -> Result<(), VmError> {
    trim(path).context(|| format!("shorten the console {}", path.display()))
}

fn trim(path: &Path) -> io::Result<()> {
    let size = match std::fs::metadata(path) {
        Ok(facts) => facts.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if size <= MAX_BYTES {
        return Ok(());
    }
    let mut file = OpenOptions::new().read(true).append(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    let mut tail = vec![0; KEPT_BYTES as usize];
    let read = file.read_at(&mut tail, size - KEPT_BYTES)?;
    // From the start of a line, if there is one.
    let start = tail[..read].iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    file.set_len(0)?;
    file.write_all(&tail[start..read])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_console_keeps_its_end_and_a_short_one_everything() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/console.log");
        trim_console(&path).unwrap();
        let mut file = open(&path).unwrap();
        file.write_all(b"short\n").unwrap();
        trim_console(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"short\n");
        (0..100_000).for_each(|number| writeln!(file, "this is line number {number}").unwrap());
        trim_console(&path).unwrap();
        writeln!(file, "the end").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.len() as u64 <= KEPT_BYTES + 8 && text.starts_with("this is line number "));
        assert!(text.ends_with("this is line number 99999\nthe end\n"));
    }
}
