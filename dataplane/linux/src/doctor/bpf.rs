//! The bpf system call, and a tc hook that takes a program.

use crate::error::{Context, LinuxError};
use crate::link::Links;
use crate::netlink::Mode;
use crate::netns::NetNs;
use rtnetlink::packet_core::DefaultNla;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcOption};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// `BPF_PROG_LOAD` of linux/bpf.h.
const BPF_PROG_LOAD: libc::c_int = 5;
/// `BPF_LINK_CREATE` of linux/bpf.h.
const BPF_LINK_CREATE: libc::c_int = 28;
/// `BPF_PROG_TYPE_SCHED_CLS` of linux/bpf.h.
const PROG_TYPE_SCHED_CLS: u32 = 3;
/// `BPF_TCX_INGRESS` of linux/bpf.h (Linux 6.6).
const TCX_INGRESS: u32 = 46;
/// `ETH_P_ALL` of linux/if_ether.h.
const ETH_P_ALL: u16 = 3;
/// `TCA_BPF_FD`, `TCA_BPF_NAME` and `TCA_BPF_FLAGS` of linux/pkt_cls.h.
const TCA_BPF: (u16, u16, u16) = (6, 7, 8);
/// `TCA_BPF_FLAG_ACT_DIRECT` of linux/pkt_cls.h.
const ACT_DIRECT: u32 = 1;
/// `r0 = 0; exit`: the smallest program there is.
const PROGRAM: [u64; 2] = [0x0000_0000_0000_00b7, 0x0000_0000_0000_0095];

/// The head of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
}

/// The head of `union bpf_attr` for `BPF_LINK_CREATE`.
#[repr(C)]
struct LinkAttr {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
    expected_revision: [u64; 2],
}

pub(super) fn program() -> Result<String, LinuxError> {
    load().map(|_| "a tc program loads".into()).context(|| "load a BPF program".into())
}

pub(super) fn hook() -> Result<String, LinuxError> {
    let program = load().context(|| "load a BPF program".into())?;
    let netns = NetNs::new_unpinned()?;
    let (near, _) = Links::open(&netns)?.ensure_local_veth("gp-doctor0", "gp-doctor1", 1500)?;
    if netns.run(|| attach_tcx(&program, near.ifindex))?.is_ok() {
        return Ok("tcx".into());
    }
    netns.run(|| attach_clsact(&program, near.ifindex))??;
    Ok("clsact".into())
}

fn load() -> io::Result<OwnedFd> {
    let license = c"GPL";
    let attr = LoadAttr {
        prog_type: PROG_TYPE_SCHED_CLS,
        insn_cnt: PROGRAM.len() as u32,
        insns: PROGRAM.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
    };
    bpf(BPF_PROG_LOAD, &attr)
}

/// Attaches for the life of the returned descriptor.
fn attach_tcx(program: &OwnedFd, ifindex: u32) -> io::Result<OwnedFd> {
    let attr = LinkAttr {
        prog_fd: program.as_raw_fd() as u32,
        target_ifindex: ifindex,
        attach_type: TCX_INGRESS,
        flags: 0,
        expected_revision: [0; 2],
    };
    bpf(BPF_LINK_CREATE, &attr)
}

fn attach_clsact(program: &OwnedFd, ifindex: u32) -> Result<(), LinuxError> {
    let links = Links::open_here()?;
    let mut qdisc = TcMessage::with_index(ifindex as i32);
    qdisc.header.parent = TcHandle::CLSACT;
    qdisc.header.handle = TcHandle { major: 0xffff, minor: 0 };
    qdisc.attributes.push(TcAttribute::Kind("clsact".into()));
    let request = RouteNetlinkMessage::NewQueueDiscipline(qdisc);
    links.netlink().request(request, Mode::Create, || "add a clsact qdisc".into())?;

    let (fd, name, flags) = TCA_BPF;
    let option = |kind, value: &[u8]| TcOption::Other(DefaultNla::new(kind, value.to_vec()));
    let mut filter = TcMessage::with_index(ifindex as i32);
    filter.header.parent = TcHandle { major: 0xffff, minor: TcHandle::MIN_INGRESS };
    filter.header.info = (1 << 16) | u32::from(ETH_P_ALL.to_be());
    filter.attributes.push(TcAttribute::Kind("bpf".into()));
    filter.attributes.push(TcAttribute::Options(vec![
        option(fd, &(program.as_raw_fd() as u32).to_ne_bytes()),
        option(name, b"gp-doctor\0"),
        option(flags, &ACT_DIRECT.to_ne_bytes()),
    ]));
    let request = RouteNetlinkMessage::NewTrafficFilter(filter);
    links.netlink().request(request, Mode::Create, || "add a bpf filter".into()).map(|_| ())
}

fn bpf<T>(command: libc::c_int, attr: &T) -> io::Result<OwnedFd> {
    // SAFETY: `attr` is a head of union bpf_attr for this command, and the size passed is its own; what it points to lives across the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is fresh and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::root_or_skip;

    #[test]
    fn the_older_hook_is_tried_for_real_too() {
        if !root_or_skip() {
            return;
        }
        let program = load().unwrap();
        let netns = NetNs::new_unpinned().unwrap();
        let (near, _) = Links::open(&netns).unwrap().ensure_local_veth("a", "b", 1500).unwrap();
        netns.run(|| attach_clsact(&program, near.ifindex)).unwrap().unwrap();
    }
}
