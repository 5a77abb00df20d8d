//! Raw frames out of a link: how the slow path delivers what it has decided on.
//!
//! One `AF_PACKET` socket per namespace; the link is named at each send. The socket receives nothing (protocol 0). Frames pass
//! neither the link's queueing discipline nor its tc egress programs: while the kernel is still about to start the discipline of a link
//! that has just come up, it loses all that is given to it, and the first packet to a new guest would be among them.

use crate::error::{Context, LinuxError, check};
use crate::netns::NetNs;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Bytes of an Ethernet header: destination, source, type.
const ETHERNET_HEADER_BYTES: usize = 14;

/// Send buffer, in bytes: a burst of a few hundred jumbo frames.
const SEND_BUFFER_BYTES: libc::c_int = 4 << 20;

/// A socket that sends whole Ethernet frames out of links of one namespace.
#[derive(Debug)]
pub struct PacketSender {
    fd: OwnedFd,
}

impl PacketSender {
    /// Opens a sender inside `netns`.
    ///
    /// # Errors
    /// When the namespace can't be entered or raw sockets are refused.
    pub fn open(netns: &NetNs) -> Result<Self, LinuxError> {
        netns.run(Self::open_here)?
    }

    fn open_here() -> Result<Self, LinuxError> {
        // SAFETY: socket(2) takes three integers.
        let fd = check(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })
            .context(|| "open a packet socket".into())?;
        // SAFETY: the descriptor is fresh and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        set_option(&fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, SEND_BUFFER_BYTES)
            .context(|| "size the send buffer of a packet socket".into())?;
        set_option(&fd, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)
            .context(|| "let a packet socket do without queueing".into())?;
        Ok(Self { fd })
    }

    /// Sends `frame`, Ethernet header included, out of the link `ifindex`.
    ///
    /// # Errors
    /// `EMSGSIZE` above the link's MTU, `ENXIO` when there is no such link, `ENETDOWN` when it is down, `EINVAL` for less than a header.
    pub fn send(&self, ifindex: u32, frame: &[u8]) -> Result<(), LinuxError> {
        self.transmit(ifindex, frame).context(|| format!("send a frame of {} bytes out of link {ifindex}", frame.len()))
    }

    fn transmit(&self, ifindex: u32, frame: &[u8]) -> io::Result<()> {
        if frame.len() < ETHERNET_HEADER_BYTES {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        // SAFETY: an all-zero sockaddr_ll is a valid value of this plain C struct.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = i32::try_from(ifindex).map_err(|_| io::Error::from_raw_os_error(libc::ENXIO))?;
        // Network byte order, as it stands in the frame: it becomes skb->protocol.
        address.sll_protocol = u16::from_ne_bytes([frame[12], frame[13]]);
        address.sll_halen = 6;
        address.sll_addr[..6].copy_from_slice(&frame[..6]);
        let mut data = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
        // SAFETY: an all-zero msghdr is a valid value of this plain C struct.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_name = (&raw mut address).cast();
        message.msg_namelen = mem::size_of_val(&address) as libc::socklen_t;
        message.msg_iov = &raw mut data;
        message.msg_iovlen = 1;
        loop {
            // SAFETY: every pointer in `message` is to a local that lives across the call; the kernel only reads the frame.
            let sent = unsafe { libc::sendmsg(self.fd.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
            if sent >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

fn set_option(fd: &OwnedFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the option value is one c_int that lives across the call.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            mem::size_of_val(&value) as libc::socklen_t,
        )
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Links, VethSpec};
    use crate::tap::Tap;
    use crate::testing::{frame, root_or_skip};

    /// The far end of a veth comes up, and the kernel starts the near one's queueing when it has time for it.
    #[test]
    fn a_link_that_has_just_come_up_loses_nothing() {
        if !root_or_skip() {
            return;
        }
        for round in 0..20 {
            let (near, far) = (NetNs::new_unpinned().unwrap(), NetNs::new_unpinned().unwrap());
            let (near_links, far_links) = (Links::open(&near).unwrap(), Links::open(&far).unwrap());
            let spec = VethSpec {
                host_name: "near",
                host_mac: None,
                guest_name: "far",
                guest_netns: &far,
                guest_mac: [2, 0, 0, 0, 0, 9],
                mtu: 1500,
                alias: "",
            };
            let veth = near_links.ensure_veth(&spec).unwrap();
            let sender = PacketSender::open(&near).unwrap();
            far_links.set_up(veth.guest_ifindex).unwrap();
            sender.send(veth.host_ifindex, &frame(60)).unwrap();
            let received = far.run(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap()).unwrap();
            let line = received.lines().find(|line| line.trim_start().starts_with("far:")).unwrap();
            assert_eq!(line.split_whitespace().nth(2), Some("1"), "round {round}: {line}");
        }
    }

    #[test]
    fn frames_too_long_or_too_short_or_for_no_link_are_refused() {
        if !root_or_skip() {
            return;
        }
        let netns = NetNs::new_unpinned().unwrap();
        let tap = Tap::ensure(&netns, "t0", 9001, 1).unwrap();
        let sender = PacketSender::open(&netns).unwrap();
        sender.send(tap.ifindex, &frame(9015)).unwrap();
        let code = |result: Result<(), LinuxError>| result.unwrap_err().raw_os_error();
        assert_eq!(code(sender.send(tap.ifindex, &frame(9100))), Some(libc::EMSGSIZE));
        assert_eq!(code(sender.send(tap.ifindex, &[0; 13])), Some(libc::EINVAL));
        assert_eq!(code(sender.send(9999, &frame(60))), Some(libc::ENXIO));
        assert_eq!(code(sender.send(u32::MAX, &frame(60))), Some(libc::ENXIO));
    }
}
