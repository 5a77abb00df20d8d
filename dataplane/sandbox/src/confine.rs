//! What a guest's root gives up, beyond what its user namespace already denies.
//!
//! Everything here is defence in depth: in a user namespace these rights reach nothing of the host's unless the kernel has a fault. What
//! stays is what people do as root on an instance: networks, mounts of their own, users, other processes.

use crate::error::{Context, SandboxError};
use crate::seccomp;
use std::io;

/// `KEYCTL_JOIN_SESSION_KEYRING` of linux/keyctl.h.
const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;

/// Capabilities out of the bounding set, with their numbers in linux/capability.h.
const DROPPED: [(&str, libc::c_ulong); 14] = [
    ("CAP_SYS_MODULE", 16),
    ("CAP_SYS_RAWIO", 17),
    ("CAP_SYS_PACCT", 20),
    ("CAP_SYS_TIME", 25),
    ("CAP_MKNOD", 27),
    ("CAP_AUDIT_CONTROL", 30),
    ("CAP_MAC_OVERRIDE", 32),
    ("CAP_MAC_ADMIN", 33),
    ("CAP_SYSLOG", 34),
    ("CAP_WAKE_ALARM", 35),
    ("CAP_BLOCK_SUSPEND", 36),
    ("CAP_AUDIT_READ", 37),
    ("CAP_PERFMON", 38),
    ("CAP_BPF", 39),
];

/// Drops keys, capabilities and system calls for this process and all that it will start. Setuid programs go on working inside.
pub(crate) fn give_up_rights() -> Result<(), SandboxError> {
    // The session keyring that was inherited is the agent's. A kernel without keys (ENOSYS) has none to give away.
    // SAFETY: a null name asks for an anonymous keyring.
    unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>()) };
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    for (name, number) in DROPPED {
        // SAFETY: prctl with plain integers.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) };
        let error = io::Error::last_os_error();
        // EINVAL: this kernel does not know the capability, so nobody has it.
        if result < 0 && error.raw_os_error() != Some(libc::EINVAL) {
            return Err(error).context(|| format!("drop {name}"));
        }
    }
    // SAFETY: prctl with plain integers.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    seccomp::install().context(|| "install the system call filter".into())
}
