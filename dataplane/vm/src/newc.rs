//! Writes archives in the format that the kernel unpacks its first file system from.
//!
//! Source: Documentation/driver-api/early-userspace/buffer-format.rst of Linux, the `newc` form.

const MAGIC: &str = "070701";
const TRAILER: &str = "TRAILER!!!";
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// An archive that grows. Parents come before what is in them.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

impl Archive {
    pub(crate) fn directory(&mut self, path: &str, mode: u32) {
        self.entry(path, DIRECTORY | mode, (0, 0), &[]);
    }

    pub(crate) fn file(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entry(path, REGULAR | mode, (0, 0), content);
    }

    pub(crate) fn character_device(&mut self, path: &str, mode: u32, major: u32, minor: u32) {
        self.entry(path, CHARACTER_DEVICE | mode, (major, minor), &[]);
    }

    /// The finished archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry(TRAILER, 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.inode += 1;
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_length = u32::try_from(path.len() + 1).unwrap_or(u32::MAX);
        let fields = [self.inode, mode, 0, 0, 1, 0, length, 0, 0, device.0, device.1, name_length, 0]
            .map(|f| format!("{f:08x}"));
        self.bytes.extend_from_slice(MAGIC.as_bytes());
        fields.iter().for_each(|field| self.bytes.extend_from_slice(field.as_bytes()));
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_contents_begin_at_multiples_of_four() {
        let mut archive = Archive::default();
        archive.directory("etc", 0o755);
        archive.file("etc/motd", 0o644, b"hello");
        archive.character_device("dev/console", 0o600, 5, 1);
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        let starts: Vec<_> = text.match_indices(MAGIC).map(|(at, _)| at).collect();
        assert_eq!(starts.len(), 4);
        assert!(starts.iter().all(|at| at % 4 == 0));
        let file = &text[starts[1]..starts[2]];
        assert_eq!(&file[14..22], "000081a4", "a regular file of mode 0644");
        assert_eq!(&file[54..62], "00000005", "five bytes long");
        assert_eq!(&file[94..102], "00000009", "the name with its zero");
        assert_eq!(&file[110..], "etc/motd\0\0hello\0\0\0");
        assert_eq!(&text[starts[2] + 78..starts[2] + 94], "0000000500000001");
    }
}
