//! Raw frames out of a link: how the slow path delivers what it has decided on.
//!
//! One `AF_PACKET` socket per namespace; the link is named at each send. The socket receives nothing (protocol 0). Frames pass the
//! link's tc egress programs like any other, with the mark that the sender gives.

use crate::error::{Context, LinuxError, check};
use crate::netns::NetNs;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Bytes of an Ethernet header: destination, source, type.
const ETHERNET_HEADER_BYTES: usize = 14;

/// Send buffer, in bytes: a burst of a few hundred jumbo frames.
const SEND_BUFFER_BYTES: libc::c_int = 4 << 20;

/// Room for one control message that carries a mark.
const CONTROL_BYTES: usize = 32;

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
        let size = SEND_BUFFER_BYTES;
        // SAFETY: the option value is one c_int that lives across the call.
        check(unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_SNDBUFFORCE,
                (&raw const size).cast(),
                mem::size_of_val(&size) as libc::socklen_t,
            )
        })
        .context(|| "size the send buffer of a packet socket".into())?;
        Ok(Self { fd })
    }

    /// Sends `frame`, Ethernet header included, out of the link `ifindex`.
    ///
    /// # Errors
    /// `EMSGSIZE` above the link's MTU, `ENXIO` when there is no such link, `ENETDOWN` when it is down, `EINVAL` for less than a header.
    pub fn send(&self, ifindex: u32, frame: &[u8]) -> Result<(), LinuxError> {
        self.send_marked(ifindex, frame, 0)
    }

    /// As [`PacketSender::send`], with `skb->mark` set to `mark` for the tc programs on the link.
    ///
    /// # Errors
    /// As for [`PacketSender::send`].
    pub fn send_marked(&self, ifindex: u32, frame: &[u8], mark: u32) -> Result<(), LinuxError> {
        self.transmit(ifindex, frame, mark)
            .context(|| format!("send a frame of {} bytes out of link {ifindex}", frame.len()))
    }

    fn transmit(&self, ifindex: u32, frame: &[u8], mark: u32) -> io::Result<()> {
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
        let mut control = ControlBuffer([0; CONTROL_BYTES]);
        // SAFETY: an all-zero msghdr is a valid value of this plain C struct.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_name = (&raw mut address).cast();
        message.msg_namelen = mem::size_of_val(&address) as libc::socklen_t;
        message.msg_iov = &raw mut data;
        message.msg_iovlen = 1;
        if mark != 0 {
            put_mark(&mut message, &mut control, mark);
        }
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

/// Bytes aligned for a control message header.
#[repr(align(8))]
struct ControlBuffer([u8; CONTROL_BYTES]);

fn put_mark(message: &mut libc::msghdr, control: &mut ControlBuffer, mark: u32) {
    let length = mem::size_of::<u32>() as libc::c_uint;
    message.msg_control = control.0.as_mut_ptr().cast();
    // SAFETY: CMSG_SPACE only computes; for four bytes it is 24, which fits the buffer.
    message.msg_controllen = unsafe { libc::CMSG_SPACE(length) } as usize;
    // SAFETY: the buffer is aligned and longer than CMSG_SPACE(4), so the first header and its data lie inside it.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SO_MARK;
        (*header).cmsg_len = libc::CMSG_LEN(length) as usize;
        libc::CMSG_DATA(header).cast::<u32>().write_unaligned(mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap::Tap;
    use crate::testing::{frame, root_or_skip};

    #[test]
    fn frames_too_long_or_too_short_or_for_no_link_are_refused() {
        if !root_or_skip() {
            return;
        }
        let netns = NetNs::new_unpinned().unwrap();
        let tap = Tap::ensure(&netns, "t0", 9001).unwrap();
        let sender = PacketSender::open(&netns).unwrap();
        sender.send_marked(tap.ifindex, &frame(9015), 0x8000_0001).unwrap();
        let code = |result: Result<(), LinuxError>| result.unwrap_err().raw_os_error();
        assert_eq!(code(sender.send(tap.ifindex, &frame(9100))), Some(libc::EMSGSIZE));
        assert_eq!(code(sender.send(tap.ifindex, &[0; 13])), Some(libc::EINVAL));
        assert_eq!(code(sender.send(9999, &frame(60))), Some(libc::ENXIO));
        assert_eq!(code(sender.send(u32::MAX, &frame(60))), Some(libc::ENXIO));
    }
}
