//! Control groups that bound an instance's memory, processes and CPU time, over version 1 and version 2 hierarchies alike.
//!
//! Each controller is looked for where this host has it: a version 2 hierarchy that offers it, or else its own version 1 mount. Both may be
//! mixed ("hybrid"). Memory and process limits are a promise of the instance type, so a host that can't give them is an error; CPU
//! time is bounded where the host can.
//!
//! Source: Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst of the kernel.

use crate::error::{Context, LinuxError};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// The bandwidth period of the CPU controller.
const CPU_PERIOD_US: u64 = 100_000;

/// How long the kernel may take to let go of an emptied group. Microseconds, but for a machine that has no time for dying processes.
const REMOVE_PATIENCE: Duration = Duration::from_secs(10);

/// How often a group's ancestors may vanish while it is made. Each time somebody else has removed a group of their own.
const MAKE_ATTEMPTS: u32 = 1000;

/// What an instance may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupLimits {
    /// Memory, page cache and kernel memory included, in bytes. No swap on top.
    pub memory_bytes: u64,
    /// Processors.
    pub cpus: u32,
    /// Processes and threads.
    pub pids_max: u32,
}

/// Where one controller lives.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hierarchy {
    /// Its own version 1 mount.
    V1(PathBuf),
    /// The shared version 2 mount.
    V2(PathBuf),
}

impl Hierarchy {
    fn root(&self) -> &Path {
        match self {
            Self::V1(root) | Self::V2(root) => root,
        }
    }
}

/// The controllers of this host.
#[derive(Clone, Debug)]
pub struct Cgroups {
    memory: Hierarchy,
    pids: Hierarchy,
    cpu: Option<Hierarchy>,
}

impl Cgroups {
    /// Finds the controllers.
    ///
    /// # Errors
    /// When memory or processes can't be limited on this host; says which and how to mend it.
    pub fn detect() -> Result<Self, LinuxError> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").context(|| "read /proc/self/mountinfo".into())?;
        Self::from_mounts(&mounts, |path| fs::read_to_string(path))
    }

    fn from_mounts(mountinfo: &str, read: impl Fn(&Path) -> io::Result<String>) -> Result<Self, LinuxError> {
        let find = |controller: &str| find_controller(mountinfo, controller, &read);
        let needed = |controller: &str| {
            find(controller).ok_or_else(|| {
                LinuxError::Missing(format!(
                    "this host has no {controller} cgroup controller, neither version 1 nor version 2 \
                     (mount one, or boot with cgroup_enable={controller})"
                ))
            })
        };
        Ok(Self { memory: needed("memory")?, pids: needed("pids")?, cpu: find("cpu") })
    }

    /// Says in one line where the controllers are.
    pub fn describe(&self) -> String {
        let version = |h: &Hierarchy| match h {
            Hierarchy::V1(_) => "v1",
            Hierarchy::V2(_) => "v2",
        };
        let cpu = self.cpu.as_ref().map_or("none", version);
        format!("memory {}, pids {}, cpu {cpu}", version(&self.memory), version(&self.pids))
    }

    /// Makes the group `path` (such as `groundplane/default/i-0123`, relative to each hierarchy) with these limits.
    ///
    /// # Errors
    /// When the path is not relative and plain, or the kernel refuses a limit.
    pub fn ensure(&self, path: &str, limits: &CgroupLimits) -> Result<(), LinuxError> {
        check_path(path)?;
        for hierarchy in self.hierarchies() {
            self.make(hierarchy, path)?;
        }
        self.limit_memory(path, limits.memory_bytes)?;
        write(&self.pids.root().join(path), "pids.max", &limits.pids_max.to_string())?;
        self.limit_cpu(path, limits.cpus)
    }

    /// Makes the group in one hierarchy. Whoever removes the last other group of an ancestor removes that, too, until ours is
    /// in it: then we begin again. That may be another process, so a lock of ours would not do.
    fn make(&self, hierarchy: &Hierarchy, path: &str) -> Result<(), LinuxError> {
        let dir = hierarchy.root().join(path);
        let attempt = || {
            if let Hierarchy::V2(root) = hierarchy {
                self.delegate(root, path)?;
            }
            fs::create_dir_all(&dir).context(|| format!("create the cgroup {}", dir.display()))
        };
        let has_lost_an_ancestor =
            |error: &LinuxError| matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV | libc::EEXIST));
        let mut result = attempt();
        for _ in 1..MAKE_ATTEMPTS {
            match &result {
                Err(error) if has_lost_an_ancestor(error) => result = attempt(),
                _ => break,
            }
        }
        result
    }

    /// On version 2 a group has a controller only if each of its ancestors passes it on.
    fn delegate(&self, root: &Path, path: &str) -> Result<(), LinuxError> {
        let v2 = Hierarchy::V2(root.to_owned());
        let on_v2 = |name, h: Option<&Hierarchy>| (h == Some(&v2)).then_some(name);
        let wanted =
            [on_v2("memory", Some(&self.memory)), on_v2("pids", Some(&self.pids)), on_v2("cpu", self.cpu.as_ref())];
        let mut dir = root.to_owned();
        let steps = Path::new(path).components();
        for step in steps {
            if !dir.exists() {
                fs::create_dir(&dir).context(|| format!("create the cgroup {}", dir.display()))?;
            }
            let enabled = fs::read_to_string(dir.join("cgroup.subtree_control")).unwrap_or_default();
            for controller in wanted.iter().flatten() {
                if !enabled.split_whitespace().any(|name| name == *controller) {
                    write(&dir, "cgroup.subtree_control", &format!("+{controller}"))?;
                }
            }
            dir.push(step);
        }
        Ok(())
    }

    fn limit_memory(&self, path: &str, bytes: u64) -> Result<(), LinuxError> {
        let dir = self.memory.root().join(path);
        let bytes = bytes.to_string();
        match self.memory {
            Hierarchy::V1(_) => {
                // The limit with swap may never be below the one without, whichever of the two is being lowered or raised.
                let with_swap = dir.join("memory.memsw.limit_in_bytes");
                if with_swap.exists() {
                    write(&dir, "memory.memsw.limit_in_bytes", "-1")?;
                    write(&dir, "memory.limit_in_bytes", &bytes)?;
                    return write(&dir, "memory.memsw.limit_in_bytes", &bytes);
                }
                write(&dir, "memory.limit_in_bytes", &bytes)
            }
            Hierarchy::V2(_) => {
                write(&dir, "memory.max", &bytes)?;
                // Absent when the kernel is built or booted without swap accounting.
                if dir.join("memory.swap.max").exists() { write(&dir, "memory.swap.max", "0") } else { Ok(()) }
            }
        }
    }

    fn limit_cpu(&self, path: &str, cpus: u32) -> Result<(), LinuxError> {
        let quota = CPU_PERIOD_US * u64::from(cpus.max(1));
        match &self.cpu {
            None => Ok(()),
            Some(Hierarchy::V2(root)) => write(&root.join(path), "cpu.max", &format!("{quota} {CPU_PERIOD_US}")),
            Some(Hierarchy::V1(root)) => {
                let dir = root.join(path);
                // Kernels without bandwidth control have shares only.
                if !dir.join("cpu.cfs_quota_us").exists() {
                    return Ok(());
                }
                write(&dir, "cpu.cfs_period_us", &CPU_PERIOD_US.to_string())?;
                write(&dir, "cpu.cfs_quota_us", &quota.to_string())
            }
        }
    }

    /// Moves the calling process, which must have one thread only, into the group.
    ///
    /// # Errors
    /// When the group is not there or does not take it.
    pub fn join(&self, path: &str) -> Result<(), LinuxError> {
        check_path(path)?;
        for hierarchy in self.hierarchies() {
            // A thread that moves itself needs no lock against all forks of the host, for which a whole process waits some ten
            // milliseconds (cgroup_procs_write_start). Version 2 has no such door: its `cgroup.threads` keeps to one domain.
            let file = match hierarchy {
                Hierarchy::V1(_) => "tasks",
                Hierarchy::V2(_) => "cgroup.procs",
            };
            write(&hierarchy.root().join(path), file, "0")?;
        }
        Ok(())
    }

    /// Moves a process with all its threads into the group.
    ///
    /// # Errors
    /// When the group is not there or does not take it.
    pub fn admit(&self, path: &str, pid: i32) -> Result<(), LinuxError> {
        check_path(path)?;
        { self.hierarchies() }
            .into_iter()
            .try_for_each(|hierarchy| write(&hierarchy.root().join(path), "cgroup.procs", &pid.to_string()))
    }

    /// The processes in the group.
    pub fn processes(&self, path: &str) -> Vec<i32> {
        let text = fs::read_to_string(self.memory.root().join(path).join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Removes the group, groups below it, and ancestors that this leaves empty. Says whether it was there.
    ///
    /// # Errors
    /// When processes still live in it after ten seconds; the other hierarchies are cleared nevertheless.
    pub fn remove(&self, path: &str) -> Result<bool, LinuxError> {
        check_path(path)?;
        let mut result = Ok(false);
        for hierarchy in self.hierarchies() {
            match (remove_tree(&hierarchy.root().join(path)), &mut result) {
                (Ok(is_removed), Ok(was_there)) => *was_there |= is_removed,
                (Err(error), Ok(_)) => result = Err(error),
                (_, Err(_)) => {}
            }
            for ancestor in Path::new(path).ancestors().skip(1).filter(|a| !a.as_os_str().is_empty()) {
                // Not empty, or gone already: both are fine.
                if fs::remove_dir(hierarchy.root().join(ancestor)).is_err() {
                    break;
                }
            }
        }
        result
    }

    /// The distinct hierarchies in use.
    fn hierarchies(&self) -> Vec<&Hierarchy> {
        let mut seen = BTreeSet::new();
        [Some(&self.memory), Some(&self.pids), self.cpu.as_ref()]
            .into_iter()
            .flatten()
            .filter(|hierarchy| seen.insert(hierarchy.root()))
            .collect()
    }
}

/// Where `controller` is mounted: version 2 if it is offered there, else version 1.
fn find_controller(
    mountinfo: &str,
    controller: &str,
    read: &impl Fn(&Path) -> io::Result<String>,
) -> Option<Hierarchy> {
    let mut v1 = None;
    for line in mountinfo.lines() {
        // "36 35 98:0 /root /mount options ... - fstype source superoptions"
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let (mut left, mut right) = (left.split(' '), right.split(' '));
        let (Some(mount_point), Some(fstype), Some(options)) = (left.nth(4), right.next(), right.nth(1)) else {
            continue;
        };
        let mount_point = PathBuf::from(mount_point);
        let offers = |text: String| text.split_whitespace().any(|name| name == controller);
        match fstype {
            "cgroup2" if read(&mount_point.join("cgroup.controllers")).is_ok_and(offers) => {
                return Some(Hierarchy::V2(mount_point));
            }
            "cgroup" if options.split(',').any(|name| name == controller) => v1 = Some(Hierarchy::V1(mount_point)),
            _ => {}
        }
    }
    v1
}

fn check_path(path: &str) -> Result<(), LinuxError> {
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    if path.split('/').all(is_plain) {
        Ok(())
    } else {
        Err(LinuxError::Invalid(format!("{path:?} is not a cgroup path")))
    }
}

fn write(dir: &Path, file: &str, value: &str) -> Result<(), LinuxError> {
    let path = dir.join(file);
    fs::write(&path, value).context(|| format!("write {value} to {}", path.display()))
}

/// Removes a group and the groups that its processes made below it.
fn remove_tree(dir: &Path) -> Result<bool, LinuxError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).context(|| format!("list {}", dir.display())),
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    let deadline = Instant::now() + REMOVE_PATIENCE;
    loop {
        match fs::remove_dir(dir) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            // The last process has been reported dead before its group counts as empty.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error).context(|| format!("remove the cgroup {}", dir.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::root_or_skip;

    const V1: &str = "31 30 0:20 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
        32 30 0:21 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
        33 30 0:22 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n\
        34 30 0:23 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
    const V2: &str = "34 30 0:23 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    fn offering(controllers: &'static str) -> impl Fn(&Path) -> io::Result<String> {
        move |_| Ok(controllers.to_owned())
    }

    #[test]
    fn version_1_is_found_beside_an_empty_version_2() {
        let cgroups = Cgroups::from_mounts(V1, offering("\n")).unwrap();
        assert_eq!(cgroups.describe(), "memory v1, pids v1, cpu v1");
        assert_eq!(cgroups.hierarchies().len(), 3);
    }

    #[test]
    fn version_2_is_one_hierarchy() {
        let cgroups = Cgroups::from_mounts(V2, offering("cpuset cpu io memory pids\n")).unwrap();
        assert_eq!(cgroups.describe(), "memory v2, pids v2, cpu v2");
        assert_eq!(cgroups.hierarchies().len(), 1);
    }

    #[test]
    fn a_mixed_host_takes_each_controller_where_it_is() {
        let cgroups = Cgroups::from_mounts(V1, offering("memory\n")).unwrap();
        assert_eq!(cgroups.describe(), "memory v2, pids v1, cpu v1");
    }

    #[test]
    fn a_host_with_neither_says_so() {
        let error = Cgroups::from_mounts(V2, offering("cpu\n")).unwrap_err();
        assert!(error.to_string().contains("no memory cgroup controller"), "{error}");
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in ["", "/", "/a", "a//b", "../a", "a/../b", "a/.", "a b", "a\nb"] {
            assert!(matches!(check_path(path), Err(LinuxError::Invalid(_))), "{path:?}");
        }
        assert!(check_path("groundplane/default/i-0123456789abcdef0").is_ok());
    }

    #[test]
    fn on_version_2_every_ancestor_passes_the_controllers_on() {
        // A plain directory takes the same writes; what the kernel would do with them is not seen here.
        let root = tempfile::tempdir().unwrap();
        let v2 = Hierarchy::V2(root.path().to_owned());
        let cgroups = Cgroups { memory: v2.clone(), pids: v2.clone(), cpu: Some(v2) };
        cgroups.ensure("gp/i-0", &CgroupLimits { memory_bytes: 1 << 30, cpus: 2, pids_max: 99 }).unwrap();
        let read = |path: &str| fs::read_to_string(root.path().join(path)).unwrap();
        // A file keeps the last write only.
        assert_eq!((read("cgroup.subtree_control"), read("gp/cgroup.subtree_control")), ("+cpu".into(), "+cpu".into()));
        assert!(
            !root.path().join("gp/i-0/cgroup.subtree_control").exists(),
            "a leaf passes nothing on, or it could hold no process"
        );
        assert_eq!((read("gp/i-0/memory.max"), read("gp/i-0/pids.max")), ("1073741824".into(), "99".into()));
        assert_eq!(read("gp/i-0/cpu.max"), "200000 100000");
        cgroups.join("gp/i-0").unwrap();
        assert_eq!(read("gp/i-0/cgroup.procs"), "0");
    }

    #[test]
    fn groups_of_one_ancestor_come_and_go_beside_each_other() {
        // A plain directory vanishes as a group does.
        let roots = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (v1, v2) = (Hierarchy::V1(roots[0].path().to_owned()), Hierarchy::V2(roots[1].path().to_owned()));
        let cgroups = Cgroups { memory: v1.clone(), pids: v1, cpu: Some(v2) };
        thread::scope(|scope| {
            for turn in 0..4 {
                let (cgroups, path) = (&cgroups, format!("gp/a/i-{turn}"));
                scope.spawn(move || {
                    for _ in 0..100 {
                        cgroups.hierarchies().iter().for_each(|hierarchy| cgroups.make(hierarchy, &path).unwrap());
                        for hierarchy in cgroups.hierarchies() {
                            let dir = hierarchy.root().join(&path);
                            fs::remove_dir(&dir).unwrap();
                            drop({ dir.ancestors().skip(1).take(2) }.try_for_each(|ancestor| {
                                fs::remove_file(ancestor.join("cgroup.subtree_control")).ok();
                                fs::remove_dir(ancestor)
                            }));
                        }
                    }
                });
            }
        });
    }

    #[test]
    fn a_group_is_made_changed_and_removed_without_trace() {
        if !root_or_skip() {
            return;
        }
        let cgroups = Cgroups::detect().unwrap();
        let top = format!("gp-test-{}", std::process::id());
        let path = format!("{top}/a/i-0");
        for memory_bytes in [64 << 20, 32 << 20, 128 << 20] {
            cgroups.ensure(&path, &CgroupLimits { memory_bytes, cpus: 2, pids_max: 64 }).unwrap();
        }
        assert_eq!(cgroups.processes(&path), Vec::<i32>::new());
        assert!(cgroups.remove(&path).unwrap());
        assert!(!cgroups.remove(&path).unwrap());
        assert!(!cgroups.memory.root().join(top).exists());
    }
}
