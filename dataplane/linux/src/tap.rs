//! TAP devices: whole Ethernet frames between the kernel and a process of ours, without any header in front.
//!
//! The device is persistent, so it (and the BPF programs on it) outlives the process; a restarted process attaches to it again.
//! Without `IFF_VNET_HDR` the kernel finishes checksums and cuts super-packets before a frame is read.

use crate::error::{Context, LinuxError, check};
use crate::link::{Links, check_name, vanished};
use crate::netns::NetNs;
use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// Largest MTU of a TAP: 65535 less the Ethernet header (drivers/net/tun.c).
const TAP_MTU_MAX: u32 = 65_521;

/// Frames that may wait for the reader.
const TAP_QUEUE_PACKETS: u32 = 4096;

/// Frames that may wait for a guest.
const TX_QUEUE_PACKETS: u32 = 1000;

/// An open TAP device. The descriptor does not block.
#[derive(Debug)]
pub struct Tap {
    /// One frame per read and per write; `EAGAIN` when there is none.
    pub fd: OwnedFd,
    /// Interface index in its namespace.
    pub ifindex: u32,
    /// The MTU it got, in bytes.
    pub mtu: u32,
}

impl Tap {
    /// Makes the persistent TAP `name` in `netns` or attaches to it, and sets it up, silent and with the largest MTU up to `mtu`.
    ///
    /// # Errors
    /// `EBUSY` when another process is attached; otherwise when /dev/net/tun is missing or refuses.
    pub fn ensure(netns: &NetNs, name: &str, mtu: u32) -> Result<Self, LinuxError> {
        check_name(name)?;
        netns.run(|| {
            let fd = open_tun()?;
            attach(&fd, name)?;
            persist(&fd, name)?;
            Self::set_up(fd, name, mtu, TAP_QUEUE_PACKETS, name)
        })?
    }

    /// Makes the persistent TAP `name` in `netns` for a virtual machine, or finds it, whoever has it open: with a header before each
    /// frame in which checksums and segmentation are left to the other side. `alias` is a note on it. Returns its index.
    ///
    /// # Errors
    /// [`LinuxError::Invalid`] where there is a link of that name with another note; otherwise when /dev/net/tun is missing or refuses.
    pub fn ensure_for_guest(netns: &NetNs, name: &str, alias: &str, mtu: u32) -> Result<u32, LinuxError> {
        check_name(name)?;
        netns.run(|| match Links::open_here()?.link(name)? {
            Some(link) if link.alias.as_deref() == Some(alias) => Ok(link.ifindex),
            Some(_) => Err(LinuxError::Invalid(format!("there is another link {name}"))),
            None => {
                let fd = open_tun()?;
                attach_as(&fd, name, Offload::ByHeader)?;
                persist(&fd, name)?;
                Ok(Self::set_up(fd, name, mtu, TX_QUEUE_PACKETS, alias)?.ifindex)
            }
        })?
    }

    /// Opens what [`Tap::ensure_for_guest`] has made, to be given to the machine.
    ///
    /// # Errors
    /// `EBUSY` when another process has it open.
    pub fn open_for_guest(netns: &NetNs, name: &str) -> Result<OwnedFd, LinuxError> {
        check_name(name)?;
        netns.run(|| {
            let fd = open_tun()?;
            attach_as(&fd, name, Offload::ByHeader)?;
            Ok(fd)
        })?
    }

    fn set_up(fd: OwnedFd, name: &str, mtu: u32, queue: u32, alias: &str) -> Result<Self, LinuxError> {
        let links = Links::open_here()?;
        let ifindex = links.link(name)?.ok_or_else(|| vanished(name))?.ifindex;
        let mtu = mtu.min(TAP_MTU_MAX);
        links.set_mtu(ifindex, mtu)?;
        links.set_tx_queue(ifindex, queue)?;
        links.set_quiet(ifindex, alias)?;
        links.set_up(ifindex)?;
        Ok(Self { fd, ifindex, mtu })
    }
}

/// Opens the clone device; the TAP will belong to the namespace of the calling thread.
pub(crate) fn open_tun() -> Result<OwnedFd, LinuxError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open("/dev/net/tun")
        .context(|| "open /dev/net/tun".into())?;
    Ok(file.into())
}

/// Who completes checksums and cuts super-packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offload {
    /// The kernel, before a frame is read.
    None,
    /// Whoever reads the frame: a header says what is left to do.
    ByHeader,
}

/// Binds the descriptor to the TAP `name`, which is made if it isn't there.
pub(crate) fn attach(fd: &OwnedFd, name: &str) -> Result<(), LinuxError> {
    attach_as(fd, name, Offload::None)
}

fn attach_as(fd: &OwnedFd, name: &str, offload: Offload) -> Result<(), LinuxError> {
    // SAFETY: an all-zero ifreq is a valid value of this plain C struct.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The name was checked to leave room for the closing zero.
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
        *slot = byte as libc::c_char;
    }
    let header = if offload == Offload::ByHeader { libc::IFF_VNET_HDR } else { 0 };
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | header) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one ifreq, which lives across the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })
        .context(|| format!("attach to the TAP {name}"))?;
    Ok(())
}

pub(crate) fn persist(fd: &OwnedFd, name: &str) -> Result<(), LinuxError> {
    // SAFETY: TUNSETPERSIST takes a plain integer.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TUNSETPERSIST, 1 as libc::c_int) })
        .context(|| format!("keep the TAP {name}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PacketSender;
    use crate::testing::{frame, read_frame, root_or_skip};

    #[test]
    fn a_tap_survives_its_reader_and_carries_jumbo_frames() {
        if !root_or_skip() {
            return;
        }
        let netns = NetNs::new_unpinned().unwrap();
        let first = Tap::ensure(&netns, "gp-up", 65_535).unwrap();
        assert_eq!(first.mtu, TAP_MTU_MAX);
        let busy = Tap::ensure(&netns, "gp-up", 65_535).unwrap_err();
        assert_eq!(busy.raw_os_error(), Some(libc::EBUSY));
        let ifindex = first.ifindex;
        drop(first);
        let again = Tap::ensure(&netns, "gp-up", 65_535).unwrap();
        assert_eq!(again.ifindex, ifindex);
        let sent = frame(9015);
        let sender = PacketSender::open(&netns).unwrap();
        assert_eq!(read_frame(&again.fd, || sender.send(ifindex, &sent).unwrap()), sent);
    }

    #[test]
    fn a_guests_tap_is_found_again_and_open_once() {
        if !root_or_skip() {
            return;
        }
        let netns = NetNs::new_unpinned().unwrap();
        let links = Links::open(&netns).unwrap();
        let ensure = |alias| Tap::ensure_for_guest(&netns, "gp-guest", alias, 9001);
        let ifindex = ensure("eni-0123456789abcdef0").unwrap();
        let open = Tap::open_for_guest(&netns, "gp-guest").unwrap();
        assert_eq!(ensure("eni-0123456789abcdef0").unwrap(), ifindex);
        assert!(matches!(ensure("eni-0123456789abcdef1"), Err(LinuxError::Invalid(_))));
        let link = links.link("gp-guest").unwrap().unwrap();
        assert_eq!((link.alias.as_deref(), link.mtu, link.is_up), (Some("eni-0123456789abcdef0"), 9001, true));
        let taken = Tap::open_for_guest(&netns, "gp-guest").unwrap_err();
        assert_eq!(taken.raw_os_error(), Some(libc::EBUSY));
        assert!(links.remove_link("gp-guest").unwrap(), "it can be taken from who has it open");
        drop(open);
    }
}
