//! A TAP in front of a veth: what comes in by one goes out by the other, frame for frame, and nothing else sees it.
//!
//! An ENI's near end must be a veth in Groundplane's namespace, since that is where packets are judged. A guest that
//! reads and writes a TAP gets one in its own namespace, joined to the veth's far end by two BPF programs of four
//! instructions each (bpf_redirect of bpf-helpers(7)). They live as long as the links do.

use crate::error::{Context, LinuxError};
use crate::link::{LinkInfo, Links, vanished};
use crate::netlink::Mode;
use crate::netns::NetNs;
use crate::tap::{attach, open_tun, persist};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpfOption, TcHandle, TcHeader, TcMessage, TcOption,
};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// `BPF_PROG_LOAD` and `BPF_PROG_TYPE_SCHED_CLS` of linux/bpf.h.
const PROG_LOAD: libc::c_int = 5;
const SCHED_CLS: u32 = 3;
/// Always the same place, so that a second call replaces what a first one left.
const HANDLE: TcHandle = TcHandle { major: 0, minor: 1 };
/// Priority 1, all protocols (`TC_H_MAKE(prio << 16, htons(ETH_P_ALL))`).
const PRIORITY_AND_PROTOCOL: u32 = 1 << 16 | (libc::ETH_P_ALL as u16).to_be() as u32;

/// Makes the persistent TAP `name` in `netns`, up and with the note `alias`, for others to open.
///
/// # Errors
/// [`LinuxError::Invalid`] where a link of that name is there that has another note; otherwise when the kernel refuses.
pub fn ensure_tap(netns: &NetNs, name: &str, mtu: u32, alias: &str) -> Result<LinkInfo, LinuxError> {
    netns.run(|| {
        let links = Links::open_here()?;
        match links.link(name)? {
            Some(link) if link.alias.as_deref() == Some(alias) => {}
            Some(_) => return Err(LinuxError::Invalid(format!("there is a link {name} already"))),
            None => {
                let fd = open_tun()?;
                attach(&fd, name)?;
                persist(&fd, name)?;
            }
        }
        let link = links.link(name)?.ok_or_else(|| vanished(name))?;
        links.set_mtu(link.ifindex, mtu)?;
        links.set_quiet(link.ifindex, alias)?;
        links.set_up(link.ifindex)?;
        links.link(name)?.ok_or_else(|| vanished(name))
    })?
}

/// Joins two links of `netns`, both of which come up.
///
/// # Errors
/// When one is not there, or the kernel refuses.
pub fn ensure_joined(netns: &NetNs, one: &str, other: &str) -> Result<(), LinuxError> {
    netns.run(|| {
        let links = Links::open_here()?;
        let [one, other] = [one, other].map(|name| links.link(name)?.ok_or_else(|| vanished(name)));
        let (one, other) = (one?, other?);
        for (from, to) in [(&one, &other), (&other, &one)] {
            links.set_quiet(from.ifindex, from.alias.as_deref().unwrap_or(&from.name))?;
            redirect(&links, from.ifindex, to.ifindex)?;
            links.set_up(from.ifindex)?;
        }
        Ok(())
    })?
}

/// From now on every frame that comes in by `from` goes out by `to`.
fn redirect(links: &Links, from: u32, to: u32) -> Result<(), LinuxError> {
    let what = || format!("lead what comes in by link {from} to link {to}");
    let mut clsact = message(from, TcHandle::CLSACT);
    clsact.header.handle = TcHandle { major: 0xffff, minor: 0 };
    clsact.attributes.push(TcAttribute::Kind("clsact".into()));
    match links.netlink().request(RouteNetlinkMessage::NewQueueDiscipline(clsact), Mode::Create, what) {
        Err(error) if error.raw_os_error() != Some(libc::EEXIST) => return Err(error),
        _ => {}
    }
    let program = load_redirect(to).context(what)?;
    let mut filter = message(from, TcHandle { major: TcHandle::CLSACT.major, minor: TcHandle::MIN_INGRESS });
    filter.header.handle = HANDLE;
    filter.header.info = PRIORITY_AND_PROTOCOL;
    filter.attributes = vec![
        TcAttribute::Kind("bpf".into()),
        TcAttribute::Options(vec![
            TcOption::Bpf(TcFilterBpfOption::ProgFd(program.as_raw_fd() as u32)),
            TcOption::Bpf(TcFilterBpfOption::ProgName("gp_join".into())),
            TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
        ]),
    ];
    links.netlink().request(RouteNetlinkMessage::NewTrafficFilter(filter), Mode::Replace, what).map(|_| ())
}

fn message(ifindex: u32, parent: TcHandle) -> TcMessage {
    TcMessage::from_parts(TcHeader { index: ifindex as i32, parent, ..TcHeader::default() }, Vec::new())
}

/// `return bpf_redirect(to, 0)`.
fn load_redirect(to: u32) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct LoadAttr {
        kind: u32,
        count: u32,
        instructions: u64,
        license: u64,
        log_level: u32,
        log_size: u32,
        log: u64,
        kernel_version: u32,
        flags: u32,
    }
    // Opcode, registers (destination, then source in the upper half), offset, and the immediate value in the upper word.
    let instruction =
        |opcode: u8, register: u8, value: u32| u64::from(opcode) | u64::from(register) << 8 | u64::from(value) << 32;
    let instructions = [
        instruction(0xb7, 1, to), // r1 = to
        instruction(0xb7, 2, 0),  // r2 = 0
        instruction(0x85, 0, 23), // call bpf_redirect
        instruction(0x95, 0, 0),  // exit
    ];
    let license = c"Dual BSD/GPL";
    let mut attr = LoadAttr {
        kind: SCHED_CLS,
        count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: the attr is a live struct of the length told, and what it points to outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw mut attr, size_of::<LoadAttr>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::VethSpec;
    use crate::packet::PacketSender;
    use crate::testing::{frame, read_frame, root_or_skip};

    #[test]
    fn a_frame_into_the_tap_comes_out_at_the_far_end_of_the_veth_and_back() {
        if !root_or_skip() {
            return;
        }
        let (host, guest) = (NetNs::new_unpinned().unwrap(), NetNs::new_unpinned().unwrap());
        let links = Links::open(&host).unwrap();
        let spec = VethSpec {
            host_name: "e0",
            host_mac: None,
            guest_name: "g0",
            guest_netns: &guest,
            guest_mac: [2, 0, 0, 0, 0, 9],
            mtu: 9001,
            alias: "eni-0",
        };
        let veth = links.ensure_veth(&spec).unwrap();
        let tap = ensure_tap(&guest, "vm0", 9001, "ours").unwrap();
        assert_eq!(ensure_tap(&guest, "vm0", 9001, "ours").unwrap().ifindex, tap.ifindex);
        let taken = ensure_tap(&guest, "vm0", 9001, "another's").unwrap_err();
        assert!(matches!(taken, LinuxError::Invalid(_)), "{taken}");
        for _ in 0..2 {
            ensure_joined(&guest, "vm0", "g0").unwrap();
        }
        // A machine opens the TAP.
        let reader = guest.run(|| {
            let fd = open_tun().unwrap();
            attach(&fd, "vm0").unwrap();
            fd
        });
        let reader = reader.unwrap();
        let sender = PacketSender::open(&host).unwrap();
        let send = || sender.send(veth.host_ifindex, &frame(900)).unwrap();
        assert_eq!(read_frame(&reader, send), frame(900));

        // The other way: a packet socket on the near end hears what the machine writes.
        let near = crate::Tap::ensure(&host, "probe", 9001, 1).unwrap();
        redirect(&links, veth.host_ifindex, near.ifindex).unwrap();
        let write = || assert_eq!(rustix::io::write(&reader, &frame(700)).unwrap(), 700);
        assert_eq!(read_frame(&near.queues[0], write), frame(700));
    }
}
