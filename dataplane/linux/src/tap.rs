//! TAP devices: whole Ethernet frames between the kernel and a process of ours, without any header in front.
//!
//! The device is persistent, so it (and the BPF programs on it) outlives the process; a restarted process attaches to it again.
//! Without `IFF_VNET_HDR` the kernel finishes checksums and cuts super-packets before a frame is read.

use crate::error::{Context, LinuxError, check};
use crate::link::{Links, check_name, vanished};
use crate::netns::NetNs;
use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

/// Largest MTU of a TAP: 65535 less the Ethernet header (drivers/net/tun.c).
const TAP_MTU_MAX: u32 = 65_521;

/// Frames that may wait in each queue for the reader.
pub const TAP_QUEUE_PACKETS: u32 = 2048;

/// Frames that may wait for a guest.
const TX_QUEUE_PACKETS: u32 = 1000;

/// Tells how many frames a TAP has dropped since it was made, because the queue where they were to wait was full.
#[derive(Debug)]
pub struct TapDrops {
    links: Links,
    name: String,
}

impl TapDrops {
    /// # Errors
    /// No netlink socket is to be had.
    pub fn open(netns: &NetNs, name: &str) -> Result<Self, LinuxError> {
        Ok(Self { links: Links::open(netns)?, name: name.to_owned() })
    }

    /// # Errors
    /// When the TAP is gone, or the kernel's answer can't be read.
    pub fn count(&self) -> Result<u64, LinuxError> {
        Ok(self.links.link(&self.name)?.ok_or_else(|| vanished(&self.name))?.tx_dropped)
    }
}

/// An open TAP device with one queue or more, each of which fills by itself. The descriptors do not block.
#[derive(Debug)]
pub struct Tap {
    /// One frame per read and per write; `EAGAIN` when there is none in the queue.
    pub queues: Vec<OwnedFd>,
    /// Interface index in its namespace.
    pub ifindex: u32,
    /// The MTU it got, in bytes.
    pub mtu: u32,
}

impl Tap {
    /// Makes the persistent TAP `name` in `netns` or attaches to it with so many queues, and sets it up, silent and with the
    /// largest MTU up to `mtu`. One that was made with a single queue, as by an earlier version, is replaced.
    ///
    /// # Errors
    /// When /dev/net/tun is missing or refuses.
    pub fn ensure(netns: &NetNs, name: &str, mtu: u32, queues: usize) -> Result<Self, LinuxError> {
        check_name(name)?;
        netns.run(|| {
            let queues = match open_queues(name, queues) {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                    Links::open_here()?.remove_link(name)?;
                    open_queues(name, queues)?
                }
                other => other?,
            };
            Self::set_up(queues, name, mtu, TAP_QUEUE_PACKETS, name)
        })?
    }

    /// Lets a program say in which queue a frame waits: its answer, modulo the number of queues. It is a socket filter.
    ///
    /// # Errors
    /// The descriptor is no such program.
    pub fn steer(&self, program: BorrowedFd<'_>) -> Result<(), LinuxError> {
        let fd = program.as_raw_fd();
        let queue = self.queues.first().map_or(-1, AsRawFd::as_raw_fd);
        // SAFETY: TUNSETSTEERINGEBPF reads one int, which lives across the call.
        check(unsafe { libc::ioctl(queue, libc::TUNSETSTEERINGEBPF, &raw const fd) })
            .context(|| "steer the frames of a TAP".into())?;
        Ok(())
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
                attach_as(&fd, name, libc::IFF_VNET_HDR)?;
                persist(&fd, name)?;
                Ok(Self::set_up(vec![fd], name, mtu, TX_QUEUE_PACKETS, alias)?.ifindex)
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
            attach_as(&fd, name, libc::IFF_VNET_HDR)?;
            Ok(fd)
        })?
    }

    fn set_up(queues: Vec<OwnedFd>, name: &str, mtu: u32, packets: u32, alias: &str) -> Result<Self, LinuxError> {
        let links = Links::open_here()?;
        let ifindex = links.link(name)?.ok_or_else(|| vanished(name))?.ifindex;
        let mtu = mtu.min(TAP_MTU_MAX);
        links.set_mtu(ifindex, mtu)?;
        links.set_tx_queue(ifindex, packets)?;
        if queues.len() > 1 {
            // The kernel would put a qdisc with room for as many frames in front of each of 256 possible queues.
            links.set_no_qdisc(ifindex)?;
        }
        links.set_quiet(ifindex, alias)?;
        links.set_up(ifindex)?;
        Ok(Self { queues, ifindex, mtu })
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

/// Binds the descriptor to the TAP `name`, which is made if it isn't there.
pub(crate) fn attach(fd: &OwnedFd, name: &str) -> Result<(), LinuxError> {
    attach_as(fd, name, 0)
}

fn open_queues(name: &str, queues: usize) -> Result<Vec<OwnedFd>, LinuxError> {
    let open = |_| {
        let fd = open_tun()?;
        attach_as(&fd, name, libc::IFF_MULTI_QUEUE)?;
        persist(&fd, name)?;
        Ok(fd)
    };
    (0..queues).map(open).collect()
}

/// The same with further flags. With `IFF_VNET_HDR` whoever reads a frame completes checksums and cuts super-packets: a
/// header says what is left to do.
fn attach_as(fd: &OwnedFd, name: &str, flags: libc::c_int) -> Result<(), LinuxError> {
    // SAFETY: an all-zero ifreq is a valid value of this plain C struct.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The name was checked to leave room for the closing zero.
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes().take(libc::IFNAMSIZ - 1)) {
        *slot = byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | flags) as libc::c_short;
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
        let first = Tap::ensure(&netns, "gp-up", 65_535, 1).unwrap();
        assert_eq!(first.mtu, TAP_MTU_MAX);
        let ifindex = first.ifindex;
        drop(first);
        let again = Tap::ensure(&netns, "gp-up", 65_535, 1).unwrap();
        assert_eq!(again.ifindex, ifindex);
        let sent = frame(9015);
        let sender = PacketSender::open(&netns).unwrap();
        assert_eq!(read_frame(&again.queues[0], || sender.send(ifindex, &sent).unwrap()), sent);
    }

    #[test]
    fn a_tap_has_as_many_queues_as_are_asked_for_and_replaces_one_that_can_have_one_only() {
        if !root_or_skip() {
            return;
        }
        let netns = NetNs::new_unpinned().unwrap();
        let single = netns.run(|| {
            let fd = open_tun()?;
            attach(&fd, "gp-up")?;
            persist(&fd, "gp-up")
        });
        single.unwrap().unwrap();
        for _ in 0..2 {
            let tap = Tap::ensure(&netns, "gp-up", 65_535, 64).unwrap();
            assert_eq!(tap.queues.len(), 64);
            let link = Links::open(&netns).unwrap().link("gp-up").unwrap().unwrap();
            assert!(link.is_up && link.is_active, "{link:?}");
        }
    }

    #[test]
    fn frames_that_find_the_queue_full_are_counted() {
        if !root_or_skip() {
            return;
        }
        const MORE: u32 = 100;
        let netns = NetNs::new_unpinned().unwrap();
        let tap = Tap::ensure(&netns, "gp-up", 9001, 1).unwrap();
        let (sender, drops) = (PacketSender::open(&netns).unwrap(), TapDrops::open(&netns, "gp-up").unwrap());
        let sent = |count: u32| (0..count).filter(|_| sender.send(tap.ifindex, &frame(60)).is_ok()).count();
        assert_eq!((sent(TAP_QUEUE_PACKETS), drops.count().unwrap()), (TAP_QUEUE_PACKETS as usize, 0));
        assert_eq!((sent(MORE), drops.count().unwrap()), (0, MORE.into()));
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
