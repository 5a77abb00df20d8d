//! Which kernel modules the guest needs, and in which order they go in.
//!
//! The package's list of dependencies is made when it is installed, which we don't do; so they are read from the modules themselves: the
//! section `.modinfo` holds `depends=a,b` (scripts/mod/modpost.c of Linux).

use crate::error::{Context, VmError};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compressed modules and the program that unpacks each kind.
const UNPACKERS: [(&str, &str); 3] = [("xz", "xz"), ("zst", "zstd"), ("gz", "gzip")];

/// The modules of one kernel.
#[derive(Debug)]
pub(crate) struct ModuleTree {
    files: BTreeMap<String, PathBuf>,
    built_in: BTreeSet<String>,
}

/// One module, ready to be put into the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    pub name: String,
    pub depends: Vec<String>,
    pub content: Vec<u8>,
}

impl ModuleTree {
    /// Lists what is below `dir`: `/lib/modules/6.1.0-56-cloud-amd64`.
    pub(crate) fn read(dir: &Path) -> Result<Self, VmError> {
        let mut files = BTreeMap::new();
        let mut open = vec![dir.to_owned()];
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).context(|| format!("list {}", dir.display()))?.flatten() {
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    open.push(path);
                } else if let Some(name) = module_name(&path) {
                    files.insert(name, path);
                }
            }
        }
        let list = fs::read_to_string(dir.join("modules.builtin")).unwrap_or_default();
        let built_in = list.lines().filter_map(|line| module_name(Path::new(line))).collect();
        Ok(Self { files, built_in })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name) || self.built_in.contains(name)
    }

    /// The modules wanted and all that they need, each behind what it needs. What is built into the kernel is left out, and so is
    /// what is only `nice` to have and isn't there.
    pub(crate) fn closure(&self, needed: &[&str], nice: &[&str]) -> Result<Vec<Module>, VmError> {
        let mut done = Vec::new();
        for name in needed {
            self.add(name, &mut done, 0)?;
        }
        for name in nice.iter().filter(|name| self.has(name)) {
            self.add(name, &mut done, 0)?;
        }
        Ok(done)
    }

    fn add(&self, name: &str, done: &mut Vec<Module>, depth: u32) -> Result<(), VmError> {
        /// Deeper than any real chain: a circle.
        const DEPTH_MAX: u32 = 32;
        if self.built_in.contains(name) || done.iter().any(|module| module.name == name) {
            return Ok(());
        }
        let path = self.files.get(name).filter(|_| depth < DEPTH_MAX);
        let path = path.ok_or_else(|| VmError::Missing(format!("the guest's kernel has no module {name}")))?;
        let content = unpack(path)?;
        let depends = depends(&content).ok_or_else(|| VmError::Spec(format!("{} is no module", path.display())))?;
        for other in &depends {
            self.add(other, done, depth + 1)?;
        }
        done.push(Module { name: name.to_owned(), depends, content });
        Ok(())
    }
}

/// `virtio-rng.ko.xz` is the file of the module `virtio_rng`.
fn module_name(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (name, rest) = file.split_once(".ko")?;
    let is_module = rest.is_empty() || UNPACKERS.iter().any(|(end, _)| rest.strip_prefix('.') == Some(end));
    is_module.then(|| name.replace('-', "_"))
}

fn unpack(path: &Path) -> Result<Vec<u8>, VmError> {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
    let Some((_, program)) = UNPACKERS.iter().find(|(known, _)| *known == end) else {
        return fs::read(path).context(|| format!("read {}", path.display()));
    };
    let output = Command::new(program).arg("-dc").arg(path).output().context(|| format!("run {program}"))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(VmError::Missing(format!("{program} can't unpack {}", path.display())))
    }
}

/// What an object file says that it depends on; `None` if it is no 64-bit ELF file with a section `.modinfo`.
fn depends(elf: &[u8]) -> Option<Vec<String>> {
    let section = section(elf, b".modinfo")?;
    let list = section.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"depends="))?;
    let list = std::str::from_utf8(list).ok()?;
    Some(list.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect())
}

/// Source: the ELF-64 object file format, "Section header".
fn section<'a>(elf: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    const CLASS_64: u8 = 2;
    if elf.get(..4)? != b"\x7fELF" || *elf.get(4)? != CLASS_64 {
        return None;
    }
    let start = usize::try_from(u64_at(elf, 40)?).ok()?;
    let (size, count, names) = (u16_at(elf, 58)?, u16_at(elf, 60)?, u16_at(elf, 62)?);
    let header = |index: u16| elf.get(start.checked_add(usize::from(index) * usize::from(size))?..);
    let content = |header: &[u8]| {
        let from = usize::try_from(u64_at(header, 24)?).ok()?;
        elf.get(from..from.checked_add(usize::try_from(u64_at(header, 32)?).ok()?)?)
    };
    let names = content(header(names)?)?;
    (0..count).find_map(|index| {
        let header = header(index)?;
        let name = names.get(usize::try_from(u32_at(header, 0)?).ok()?..)?;
        (name.split(|byte| *byte == 0).next()? == wanted).then(|| content(header))?
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest object file that has the section.
    fn module(modinfo: &[u8]) -> Vec<u8> {
        let names = b"\0.modinfo\0.shstrtab\0";
        let mut elf = vec![0; 64];
        elf[..5].copy_from_slice(b"\x7fELF\x02");
        let (info_at, names_at) = (elf.len(), elf.len() + modinfo.len());
        elf.extend_from_slice(modinfo);
        elf.extend_from_slice(names);
        let table = elf.len();
        for (name, at, length) in [(0, 0, 0), (1, info_at, modinfo.len()), (10, names_at, names.len())] {
            let mut header = [0; 64];
            header[..4].copy_from_slice(&u32::to_le_bytes(name));
            header[24..32].copy_from_slice(&(at as u64).to_le_bytes());
            header[32..40].copy_from_slice(&(length as u64).to_le_bytes());
            elf.extend_from_slice(&header);
        }
        elf[40..48].copy_from_slice(&(table as u64).to_le_bytes());
        for (at, value) in [(58, 64_u16), (60, 3), (62, 2)] {
            elf[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        elf
    }

    #[test]
    fn modules_come_behind_what_they_need_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, info: &[u8]| fs::write(dir.path().join(name), module(info)).unwrap();
        put("virtio_net.ko", b"license=GPL\0depends=virtio,net-failover\0");
        put("net_failover.ko", b"depends=failover,virtio\0");
        put("failover.ko", b"depends=\0");
        put("virtio.ko", b"depends=virtio_ring,ext4\0");
        put("virtio_ring.ko", b"depends=\0");
        fs::write(dir.path().join("modules.builtin"), "kernel/fs/ext4/ext4.ko\n").unwrap();
        let tree = ModuleTree::read(dir.path()).unwrap();
        let modules = tree.closure(&["virtio_net", "ext4"], &["absent"]).unwrap();
        let names: Vec<_> = modules.iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["virtio_ring", "virtio", "failover", "net_failover", "virtio_net"]);
        assert!(matches!(tree.closure(&["absent"], &[]), Err(VmError::Missing(_))));
    }

    #[test]
    fn circles_and_broken_files_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.ko"), module(b"depends=b\0")).unwrap();
        fs::write(dir.path().join("b.ko"), module(b"depends=a\0")).unwrap();
        fs::write(dir.path().join("c.ko"), b"\x7fELF\x02 cut short").unwrap();
        let tree = ModuleTree::read(dir.path()).unwrap();
        assert!(tree.closure(&["a"], &[]).is_err());
        assert!(matches!(tree.closure(&["c"], &[]), Err(VmError::Spec(_))));
    }

    #[test]
    fn names_of_compressed_and_dashed_files_are_understood() {
        assert_eq!(module_name(Path::new("x/virtio-rng.ko.xz")).as_deref(), Some("virtio_rng"));
        assert_eq!(module_name(Path::new("x/8021q.ko")).as_deref(), Some("8021q"));
        assert_eq!(module_name(Path::new("x/modules.dep")), None);
        assert_eq!(module_name(Path::new("x/a.ko.part")), None);
    }
}
