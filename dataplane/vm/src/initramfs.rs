//! The guest's first file system: busybox, drivers, and a handful of shell scripts.

use crate::error::{Context, VmError};
use crate::image::GuestImage;
use crate::modules::{Module, ModuleTree};
use crate::newc::Archive;
use crate::spec::VmSpec;
use std::collections::BTreeSet;
use std::fs;

/// Drivers without which a machine is of no use.
const NEEDED: [&str; 4] = ["virtio_pci", "virtio_net", "virtio_blk", "virtio_console"];
/// The power button, and randomness from the host.
const LOADED_IF_THERE: [&str; 3] = ["button", "evdev", "virtio_rng"];
/// Not loaded, but there for the guest's user: branch interfaces, namespaces, tunnels.
const AT_HAND: [&str; 5] = ["8021q", "veth", "dummy", "tun", "bridge"];

const DIRECTORIES: [&str; 18] = [
    "bin",
    "dev",
    "etc",
    "etc/acpi",
    "etc/acpi/PWRF",
    "instance",
    "lib",
    "lib/modules",
    "mnt",
    "proc",
    "root",
    "run",
    "sbin",
    "sys",
    "tmp",
    "usr",
    "usr/lib",
    "usr/lib/groundplane",
];

/// The scripts, with the names that they call each other by.
const SCRIPTS: [(&str, &str); 11] = [
    ("init", include_str!("guest/init.sh")),
    ("usr/lib/groundplane/addresses", include_str!("guest/addresses.sh")),
    ("usr/lib/groundplane/boot", include_str!("guest/boot.sh")),
    ("usr/lib/groundplane/dhcp", include_str!("guest/dhcp.sh")),
    ("usr/lib/groundplane/end", include_str!("guest/end.sh")),
    ("usr/lib/groundplane/net-up", include_str!("guest/net-up.sh")),
    ("usr/lib/groundplane/port", include_str!("guest/port.sh")),
    ("usr/lib/groundplane/session", include_str!("guest/session.sh")),
    ("usr/lib/groundplane/uevent", include_str!("guest/uevent.sh")),
    ("usr/lib/groundplane/user-data", include_str!("guest/user-data.sh")),
    ("etc/acpi/PWRF/00000080", include_str!("guest/power.sh")),
];

const FILES: [(&str, &str); 4] = [
    ("etc/inittab", include_str!("guest/inittab")),
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
    ("etc/profile", "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"),
];

/// The archive of one boot of one machine. Holds its user-data: not for everybody's eyes.
pub(crate) fn build(image: &GuestImage, spec: &VmSpec) -> Result<Vec<u8>, VmError> {
    let tree = ModuleTree::read(&image.modules)?;
    let mut modules = tree.closure(&NEEDED, &LOADED_IF_THERE)?;
    let loaded = modules.len();
    let wanted: Vec<&str> = NEEDED.into_iter().chain(LOADED_IF_THERE).collect();
    let rest: Vec<&str> = wanted.iter().copied().filter(|name| tree.has(name)).collect();
    // The whole closure begins with what is loaded, since that is asked for first.
    modules.extend(tree.closure(&rest, &AT_HAND)?.into_iter().skip(loaded));

    let mut archive = Archive::default();
    DIRECTORIES.iter().for_each(|directory| archive.directory(directory, 0o755));
    archive.character_device("dev/console", 0o600, 5, 1);
    let busybox = fs::read(&image.busybox).context(|| format!("read {}", image.busybox.display()))?;
    archive.file("bin/busybox", 0o755, &busybox);
    SCRIPTS.iter().for_each(|(path, text)| archive.file(path, 0o755, text.as_bytes()));
    FILES.iter().for_each(|(path, text)| archive.file(path, 0o644, text.as_bytes()));
    add_modules(&mut archive, &image.release, &modules, loaded);
    add_instance(&mut archive, spec);
    Ok(archive.finish())
}

fn add_modules(archive: &mut Archive, release: &str, modules: &[Module], loaded: usize) {
    let dir = format!("lib/modules/{release}");
    archive.directory(&dir, 0o755);
    let mut order = String::new();
    for (number, module) in modules.iter().enumerate() {
        let path = format!("{dir}/{}.ko", module.name);
        archive.file(&path, 0o644, &module.content);
        if number < loaded {
            order.push_str(&format!("/{path}\n"));
        }
    }
    archive.file("etc/boot-modules", 0o644, order.as_bytes());
    // For modprobe.
    archive.file(&format!("{dir}/modules.dep"), 0o644, dependencies(modules).as_bytes());
}

/// What depmod(8) makes: behind each module all that it needs at any remove, what goes in first last. `modules` are in
/// the order in which they can go in.
fn dependencies(modules: &[Module]) -> String {
    let mut list = String::new();
    for (number, module) in modules.iter().enumerate() {
        let mut needed: BTreeSet<&String> = module.depends.iter().collect();
        list.push_str(&format!("{}.ko:", module.name));
        for earlier in modules[..number].iter().rev() {
            if needed.contains(&earlier.name) {
                needed.extend(&earlier.depends);
                list.push_str(&format!(" {}.ko", earlier.name));
            }
        }
        list.push('\n');
    }
    list
}

fn add_instance(archive: &mut Archive, spec: &VmSpec) {
    archive.file("instance/hostname", 0o644, format!("{}\n", spec.hostname).as_bytes());
    if let Some(user_data) = &spec.user_data {
        archive.file("instance/user-data", 0o600, user_data);
    }
    if spec.run_user_data {
        archive.file("instance/run-user-data", 0o600, &[]);
    }
    if let Some(key) = &spec.authorized_key {
        archive.file("instance/authorized_key", 0o600, format!("{key}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_listed_with_all_that_it_needs_at_any_remove() {
        let module = |name: &str, depends: &[&str]| Module {
            name: name.to_owned(),
            depends: depends.iter().map(|name| (*name).to_owned()).collect(),
            content: Vec::new(),
        };
        let modules = [
            module("llc", &[]),
            module("stp", &["llc"]),
            module("garp", &["stp"]),
            module("mrp", &[]),
            module("8021q", &["garp", "mrp"]),
        ];
        let list = dependencies(&modules);
        assert!(list.contains("stp.ko: llc.ko\n") && list.contains("llc.ko:\n"), "{list}");
        assert!(list.ends_with("8021q.ko: mrp.ko garp.ko stp.ko llc.ko\n"), "{list}");
    }
}
