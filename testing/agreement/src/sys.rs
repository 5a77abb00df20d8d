//! System calls that the product has no use for: running a program on a frame, asking for its size.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

const PROG_TEST_RUN: u32 = 10;
const OBJ_GET_INFO_BY_FD: u32 = 15;

/// `struct __sk_buff` of `<linux/bpf.h>`, as words.
const SKB_WORDS: usize = 48;
const SKB_IFINDEX: usize = 10;
const SKB_GSO_SEGS: usize = 41;
const SKB_GSO_SIZE: usize = 44;

#[repr(C)]
#[derive(Default)]
struct TestRunAttr {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
}

#[repr(C)]
struct InfoAttr {
    fd: u32,
    info_bytes: u32,
    info: u64,
}

/// `struct bpf_prog_info` of `<linux/bpf.h>`, as far as it tells counts; the kernel fills as much as it is given.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_bytes: u32,
    translated_bytes: u32,
    /// Lists that the kernel would fill if it were told where, and what else is not of interest here.
    others: [u64; 24],
    verified_instructions: u32,
    padding: u32,
}

pub(crate) fn is_root() -> bool {
    // SAFETY: geteuid has no arguments and can't fail.
    unsafe { libc::geteuid() == 0 }
}

pub(crate) fn coarse_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid clock and a live timespec; so it can't fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// # Safety
/// `attr` is the struct of `command`, and every address in it is that of memory as large as the kernel will use.
unsafe fn bpf<T>(command: u32, attr: &mut T) -> io::Result<()> {
    // SAFETY: the attr is a live, initialised struct of the length told; the caller vouches for what it points to.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// How long a loaded program is, and how much work it was to verify.
pub(crate) struct ProgramSize {
    /// In the kernel's instruction set, eight bytes to an instruction.
    pub bytes: u32,
    /// Instructions that the verifier has looked at, each as often as it did.
    pub verified: u32,
}

pub(crate) fn program_size(program: BorrowedFd<'_>) -> io::Result<ProgramSize> {
    let mut info = ProgramInfo::default();
    let mut attr = InfoAttr {
        fd: program.as_raw_fd() as u32,
        info_bytes: size_of::<ProgramInfo>() as u32,
        info: (&raw mut info) as u64,
    };
    // SAFETY: the info is live and as long as told; its lists have no room, so the kernel fills none.
    unsafe { bpf(OBJ_GET_INFO_BY_FD, &mut attr)? };
    Ok(ProgramSize { bytes: info.translated_bytes, verified: info.verified_instructions })
}

/// What a program made of a frame.
pub(crate) struct TestRun {
    pub verdict: u32,
    pub bytes: usize,
    pub ns_per_run: u32,
}

/// Runs a classifier on a frame that came in at `ifindex`, an interface of the caller's network namespace. The frame that
/// it leaves goes to `out`.
pub(crate) fn test_run(
    program: BorrowedFd<'_>,
    frame: &[u8],
    (ifindex, gso_size, gso_segments): (u32, u32, u32),
    repeat: u32,
    out: &mut [u8],
) -> io::Result<TestRun> {
    let mut skb = [0u32; SKB_WORDS];
    skb[SKB_IFINDEX] = ifindex;
    skb[SKB_GSO_SIZE] = gso_size;
    skb[SKB_GSO_SEGS] = gso_segments;
    let mut attr = TestRunAttr {
        prog_fd: program.as_raw_fd() as u32,
        data_size_in: frame.len() as u32,
        data_size_out: out.len() as u32,
        data_in: frame.as_ptr() as u64,
        data_out: out.as_mut_ptr() as u64,
        repeat,
        ctx_size_in: size_of_val(&skb) as u32,
        ctx_in: skb.as_ptr() as u64,
        ..TestRunAttr::default()
    };
    // SAFETY: frame, context and output are live and as long as told.
    unsafe { bpf(PROG_TEST_RUN, &mut attr)? };
    Ok(TestRun { verdict: attr.retval, bytes: attr.data_size_out as usize, ns_per_run: attr.duration })
}
