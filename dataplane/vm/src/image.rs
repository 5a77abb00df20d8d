//! Where the guest's kernel, its modules and its busybox are on this host.
//!
//! `tools/setup.sh` puts the distribution's packages, unpacked and not installed, into [`UNPACKED`]. A host whose own kernel is good for
//! guests, or that has the packages installed, needs nothing more.

use crate::error::{Context, VmError};
use crate::modules::ModuleTree;
use std::fs;
use std::path::{Path, PathBuf};

/// Names another directory to look in first: the root of unpacked packages.
pub(crate) const DIR_VARIABLE: &str = "GROUNDPLANE_VM_IMAGE";
/// Where `tools/setup.sh` unpacks them.
pub(crate) const UNPACKED: &str = "/usr/local/lib/groundplane/vm";
/// What to do where something isn't there.
pub(crate) const REMEDY: &str = "install qemu-system-x86, and the guest's kernel and busybox by tools/vm-image (or: apt install \
                                 qemu-system-x86 linux-image-cloud-amd64 busybox-static)";

/// The files that guests are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestImage {
    /// A bootable kernel.
    pub kernel: PathBuf,
    /// Its modules: `…/lib/modules/RELEASE`.
    pub modules: PathBuf,
    /// Its release, as uname says it.
    pub release: String,
    /// A busybox that needs no libraries.
    pub busybox: PathBuf,
}

impl GuestImage {
    /// Looks in the directory that `GROUNDPLANE_VM_IMAGE` names, in what `tools/vm-image` has unpacked, and in the host's own root.
    ///
    /// # Errors
    /// [`VmError::Missing`] names what isn't there and how to get it.
    pub fn find() -> Result<Self, VmError> {
        let named = std::env::var_os(DIR_VARIABLE).map(PathBuf::from);
        Self::find_in(&named.into_iter().chain([UNPACKED.into(), "/".into()]).collect::<Vec<_>>())
    }

    fn find_in(roots: &[PathBuf]) -> Result<Self, VmError> {
        let missing = |what: &str| VmError::Missing(format!("{what} for virtual machines: {REMEDY}"));
        let (kernel, release, modules) =
            roots.iter().find_map(|root| kernel_in(root)).ok_or_else(|| missing("there is no kernel"))?;
        let busyboxes = roots.iter().flat_map(|root| [root.join("bin/busybox"), root.join("usr/bin/busybox")]);
        let busybox = { busyboxes }
            .find(|path| is_static(path))
            .ok_or_else(|| missing("there is no statically linked busybox"))?;
        Ok(Self { kernel, modules, release, busybox })
    }
}

/// The newest kernel below `root` that has virtio, one made for clouds before others.
fn kernel_in(root: &Path) -> Option<(PathBuf, String, PathBuf)> {
    let files = fs::read_dir(root.join("boot")).ok()?.flatten();
    let mut releases: Vec<String> =
        files.filter_map(|file| Some(file.file_name().to_str()?.strip_prefix("vmlinuz-")?.to_owned())).collect();
    releases.sort_by_cached_key(|release| (release.contains("cloud"), numbers(release)));
    releases.into_iter().rev().find_map(|release| {
        let dirs = ["lib/modules", "usr/lib/modules"].map(|dir| root.join(dir).join(&release));
        let modules = dirs.into_iter().find(|dir| dir.is_dir())?;
        let is_fit = ModuleTree::read(&modules).is_ok_and(|tree| tree.has("virtio_net") && tree.has("virtio_pci"));
        is_fit.then(|| (root.join("boot").join(format!("vmlinuz-{release}")), release, modules))
    })
}

/// `6.1.0-56-cloud-amd64` as numbers to sort by.
fn numbers(release: &str) -> Vec<u64> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// Whether it is a program that asks for no interpreter (the path of ld.so stands in each program that does).
fn is_static(path: &Path) -> bool {
    let read = fs::read(path).context(String::new);
    read.is_ok_and(|elf| {
        elf.starts_with(b"\x7fELF") && !elf.get(..4096).is_some_and(|head| contains(head, b"/ld-linux"))
    })
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_cloud_kernel_with_virtio_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("boot")).unwrap();
        for (release, module) in [
            ("6.1.0-9-cloud-amd64", "virtio_net"),
            ("6.1.0-56-cloud-amd64", "virtio_net"),
            ("6.9.0-amd64", "virtio_net"),
        ] {
            fs::write(root.join(format!("boot/vmlinuz-{release}")), "").unwrap();
            let modules = root.join("lib/modules").join(release);
            fs::create_dir_all(&modules).unwrap();
            fs::write(modules.join(format!("{module}.ko")), "").unwrap();
            fs::write(modules.join("modules.builtin"), "kernel/drivers/virtio/virtio_pci.ko\n").unwrap();
        }
        let (kernel, release, _) = kernel_in(root).unwrap();
        assert_eq!(release, "6.1.0-56-cloud-amd64");
        assert!(kernel.ends_with("boot/vmlinuz-6.1.0-56-cloud-amd64"));
    }

    #[test]
    fn what_is_missing_is_named_with_its_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let error = GuestImage::find_in(&[dir.path().to_owned()]).unwrap_err().to_string();
        assert!(error.contains("no kernel") && error.contains("tools/vm-image"), "{error}");
    }

    #[test]
    fn a_program_with_an_interpreter_is_not_static() {
        assert!(!is_static(Path::new("/bin/sh")));
        assert!(!is_static(Path::new("/etc/passwd")));
    }
}
