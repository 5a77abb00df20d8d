//! One end of a link, used as a network card without a stack behind it: whole frames out and in, by `AF_PACKET`.
//!
//! Frames carry the header of virtio-net (virtio 1.2, 5.1.6) in front, so that one can be sent which its sender leaves
//! whole for segmentation.

use gp_linux::{Links, NetNs};
use gp_model::Mac;
use std::io;
use std::mem::{size_of, size_of_val, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `struct virtio_net_hdr`.
const HEADER_BYTES: usize = 10;
const NEEDS_CHECKSUM: u8 = 1;
const GSO_TCP_IPV4: u8 = 1;
/// Ethernet, IPv4 and TCP headers without options.
const TCP_HEADERS: [u8; 3] = [14, 20, 20];
const TCP_CHECKSUM: u16 = 16;
const FRAME_MAX: usize = 70_000;
/// Some thousand frames may wait to be read.
const BUFFER_BYTES: libc::c_int = 16 << 20;
/// `PACKET_VNET_HDR`, `PACKET_IGNORE_OUTGOING` and `PACKET_AUXDATA` of linux/if_packet.h.
const VNET_HDR: libc::c_int = 15;
const IGNORE_OUTGOING: libc::c_int = 23;
const AUXDATA: libc::c_int = 8;
const TP_STATUS_VLAN_VALID: u32 = 1 << 4;

/// A frame that came out of the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub frame: Vec<u8>,
    /// The tag of IEEE 802.1Q that it came with.
    pub vlan: Option<u16>,
    /// Is it to be cut into segments, whose checksums are not made yet?
    pub is_large: bool,
}

#[derive(Debug)]
pub struct Wire {
    fd: OwnedFd,
    pub ifindex: u32,
    pub mac: Mac,
}

impl Wire {
    /// The link of this name, which is set up if it isn't.
    pub fn open(netns: &NetNs, link: &str) -> Self {
        let links = Links::open(netns).unwrap();
        let info = links.link(link).unwrap().unwrap_or_else(|| panic!("there is no {link}"));
        links.set_up(info.ifindex).unwrap();
        let fd = netns.run(|| listen(info.ifindex).unwrap()).unwrap();
        Self { fd, ifindex: info.ifindex, mac: Mac(info.mac) }
    }

    /// # Errors
    /// `EMSGSIZE` above the link's MTU.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.send_with([0; HEADER_BYTES], frame)
    }

    /// Sends a TCP segment over IPv4 as one that is to be cut into segments of `mtu` bytes.
    pub fn send_large(&self, frame: &[u8], mtu: u16) -> io::Result<()> {
        let [ethernet, network, transport] = TCP_HEADERS.map(u16::from);
        let mut frame = frame.to_vec();
        // The interface adds up the rest.
        let field = usize::from(ethernet + network + TCP_CHECKSUM);
        let sum = pseudo_header_sum(&frame[usize::from(ethernet)..]);
        frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
        let mut header = [0; HEADER_BYTES];
        (header[0], header[1]) = (NEEDS_CHECKSUM, GSO_TCP_IPV4);
        let values = [ethernet + network + transport, mtu - network - transport, ethernet + network, TCP_CHECKSUM];
        for (place, value) in header[2..].chunks_mut(2).zip(values) {
            place.copy_from_slice(&value.to_ne_bytes());
        }
        self.send_with(header, &frame)
    }

    fn send_with(&self, header: [u8; HEADER_BYTES], frame: &[u8]) -> io::Result<()> {
        nix::unistd::write(&self.fd, &[&header, frame].concat())?;
        Ok(())
    }

    /// What has come since the last time.
    pub fn receive(&self) -> Vec<Received> {
        std::iter::from_fn(|| receive_one(&self.fd).unwrap()).collect()
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn pseudo_header_sum(packet: &[u8]) -> u16 {
    let length = u16::from_be_bytes([packet[2], packet[3]]) - 20;
    let words = packet[12..20].chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum = words.sum::<u32>() + u32::from(packet[9]) + u32::from(length);
    let folded = (sum & 0xffff) + (sum >> 16);
    ((folded & 0xffff) + (folded >> 16)) as u16
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn set_option(fd: &OwnedFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the option value is one c_int that lives across the call.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), length) }).map(drop)
}

fn listen(ifindex: u32) -> io::Result<OwnedFd> {
    let all = (libc::ETH_P_ALL as u16).to_be();
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: socket(2) takes three integers; protocol 0 hears nothing before the socket is bound.
    let fd = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
    // SAFETY: the descriptor is fresh and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // Without queueing, which would lose what is sent before it has been started.
    for option in [VNET_HDR, IGNORE_OUTGOING, AUXDATA, libc::PACKET_QDISC_BYPASS] {
        set_option(&fd, libc::SOL_PACKET, option, 1)?;
    }
    set_option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER_BYTES)?;
    // SAFETY: an all-zero sockaddr_ll is a valid value of this plain C struct.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    (address.sll_family, address.sll_protocol) = (libc::AF_PACKET as u16, all);
    address.sll_ifindex = ifindex as libc::c_int;
    // SAFETY: the address is a live sockaddr_ll of the length told.
    check(unsafe {
        libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size_of::<libc::sockaddr_ll>() as libc::socklen_t)
    })?;
    Ok(fd)
}

/// `struct tpacket_auxdata`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Auxdata {
    status: u32,
    len: u32,
    snaplen: u32,
    mac: u16,
    net: u16,
    vlan_tci: u16,
    vlan_tpid: u16,
}

fn receive_one(fd: &OwnedFd) -> io::Result<Option<Received>> {
    let mut buffer = vec![0; HEADER_BYTES + FRAME_MAX];
    let mut control = [0_u64; 16];
    let mut data = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: an all-zero msghdr is a valid value of this plain C struct.
    let mut message: libc::msghdr = unsafe { zeroed() };
    (message.msg_iov, message.msg_iovlen) = (&raw mut data, 1);
    (message.msg_control, message.msg_controllen) = (control.as_mut_ptr().cast(), size_of_val(&control));
    // SAFETY: every pointer in `message` is to a local that lives across the call.
    let length = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, 0) };
    if length < 0 {
        let error = io::Error::last_os_error();
        // A link that has just been taken away is one from which nothing comes.
        let is_empty = error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENETDOWN);
        return if is_empty { Ok(None) } else { Err(error) };
    }
    buffer.truncate(length as usize);
    let vlan = vlan_of(&message);
    let is_large = buffer[1] != 0;
    Ok(Some(Received { frame: buffer.split_off(HEADER_BYTES), vlan, is_large }))
}

fn vlan_of(message: &libc::msghdr) -> Option<u16> {
    // SAFETY: the kernel has filled the control buffer, which lives as long as `message`.
    let header = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() }?;
    if (header.cmsg_level, header.cmsg_type) != (libc::SOL_PACKET, AUXDATA) {
        return None;
    }
    // SAFETY: a message of this kind holds one tpacket_auxdata.
    let auxdata = unsafe { libc::CMSG_DATA(header).cast::<Auxdata>().read_unaligned() };
    (auxdata.status & TP_STATUS_VLAN_VALID != 0).then_some(auxdata.vlan_tci & 0x0fff)
}
