//! The console log: a file of the host that holds the last of what an instance has said.
//!
//! A guest may say as much as it likes; the file stays below its limit. It is cut in place, so a reader that follows it by name or by
//! descriptor keeps reading.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Longest log, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// What is kept when it gets longer, in bytes.
const KEPT_BYTES: u64 = 256 << 10;

/// An open console log.
#[derive(Debug)]
pub(crate) struct Console {
    file: File,
    size: u64,
}

impl Console {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o640).custom_flags(flags).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }

    /// Writes a line of Groundplane's own.
    pub(crate) fn line(&mut self, text: &str) {
        self.write(format!("[groundplane] {text}\n").as_bytes());
    }

    /// Writes what the guest says. A full disk of the host loses output but stops nobody.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.size + bytes.len() as u64 > MAX_BYTES {
            let _ = self.cut();
        }
        if self.file.write_all(bytes).is_ok() {
            self.size += bytes.len() as u64;
        }
    }

    fn cut(&mut self) -> io::Result<()> {
        let kept = self.size.min(KEPT_BYTES);
        let mut tail = vec![0; kept as usize];
        let read = self.file.read_at(&mut tail, self.size - kept)?;
        // From the start of a line, if there is one.
        let start = tail[..read].iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.file.set_len(0)?;
        self.size = 0;
        self.file.write_all(&tail[start..read])?;
        self.size = (read - start) as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_log_stays_short_and_keeps_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console.log");
        let mut console = Console::open(&path).unwrap();
        for number in 0..100_000 {
            console.write(format!("this is line number {number}\n").as_bytes());
            assert!(console.size <= MAX_BYTES);
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.len() as u64 <= MAX_BYTES && text.len() as u64 >= KEPT_BYTES - 100);
        assert!(text.starts_with("this is line number "));
        assert!(text.ends_with("this is line number 99999\n"));
    }

    #[test]
    fn a_reopened_log_is_continued() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console.log");
        Console::open(&path).unwrap().line("one");
        Console::open(&path).unwrap().line("two");
        assert_eq!(fs::read_to_string(&path).unwrap(), "[groundplane] one\n[groundplane] two\n");
    }
}
