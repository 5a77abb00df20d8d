//! A filter of system calls that no guest needs and that have led out of containers before.
//!
//! A deny list on purpose: an instance is a whole machine to its user, so what is not known to be harmful works. Mounts, namespaces and
//! ptrace stay: they are bounded by the user namespace. Source: seccomp(2), and the calls that Docker's default profile withholds even
//! from CAP_SYS_ADMIN's friends.

use std::io;

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;

/// Offsets in `struct seccomp_data`: the call's number, and the architecture of its convention.
const NR: u32 = 0;
const ARCH_OFFSET: u32 = 4;

/// Calls of the x32 convention have this bit (asm/unistd.h); nobody uses them, and each is a second door to a denied call.
#[cfg(target_arch = "x86_64")]
const X32_BIT: u32 = 0x4000_0000;

/// Calls that fail with `EPERM`.
const DENIED: &[libc::c_long] = &[
    // Another kernel, or more of this one.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    // Programs in the kernel, and views of all of it.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_syslog,
    libc::SYS_lookup_dcookie,
    libc::SYS_kcmp,
    // Keys are not separated by namespace.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Large and young, or made for winning races.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    // Files by number instead of by name: how "shocker" left its container.
    libc::SYS_open_by_handle_at,
    // The host's time, swap, quotas, accounts.
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_nfsservctl,
    // Memory of the whole machine.
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// Puts the filter on this process and all that it will start. Needs CAP_SYS_ADMIN in the user namespace, and so leaves setuid programs alone.
pub(crate) fn install() -> io::Result<()> {
    let mut filter = filter();
    let program = libc::sock_fprog { len: filter.len() as libc::c_ushort, filter: filter.as_mut_ptr() };
    // SAFETY: the program points to `filter`, which lives across the call; the kernel copies and checks it.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn filter() -> Vec<libc::sock_filter> {
    let refuse = |error: i32| libc::SECCOMP_RET_ERRNO | error as u32;
    let mut code = vec![
        load(ARCH_OFFSET),
        jump(libc::BPF_JEQ, ARCH, 1, 0),
        // 32-bit programs: another table of calls, so another way to each denied one.
        answer(refuse(libc::ENOSYS)),
        load(NR),
    ];
    #[cfg(target_arch = "x86_64")]
    code.extend([jump(libc::BPF_JGE, X32_BIT, 0, 1), answer(refuse(libc::ENOSYS))]);
    for call in DENIED {
        code.extend([jump(libc::BPF_JEQ, *call as u32, 0, 1), answer(refuse(libc::EPERM))]);
    }
    code.push(answer(libc::SECCOMP_RET_ALLOW));
    code
}

fn load(offset: u32) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset)
}

fn jump(condition: u32, value: u32, if_true: u8, if_false: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | condition | libc::BPF_K, if_true, if_false, value)
}

fn answer(value: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, value)
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}
