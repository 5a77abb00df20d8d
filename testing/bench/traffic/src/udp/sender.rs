//! The client's end: one packet socket for each lane.

use crate::udp::flow::Block;
use crate::udp::frame::{Frame, echoed};
use crate::udp::lane::{LaneName, own_mac};
use crate::udp::messages::{BATCH, RECEIVE_BYTES, Received, send};
use anyhow::{Context, Result, bail};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrLike, setsockopt, socket, sockopt};
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

const ETH_P_IP: u16 = 0x0800;

struct Lane {
    socket: OwnedFd,
    frames: [Frame; BATCH],
}

/// Sends the frames of flows.
pub struct Sender {
    lanes: Vec<Lane>,
    sent: u64,
}

impl Drop for Sender {
    fn drop(&mut self) {
        close(self.lanes.drain(..).map(|lane| lane.socket));
    }
}

impl Sender {
    /// # Errors
    /// An interface is not there, or packet sockets are not allowed.
    pub fn new(lanes: &[LaneName]) -> Result<Self> {
        let open = |lane: &LaneName| {
            let frame = Frame::of_lane(lane, own_mac(&lane.interface)?);
            // Protocol 0: it sends and never receives.
            Ok(Lane { socket: packet_socket(&lane.interface, 0)?, frames: [frame; BATCH] })
        };
        Ok(Self { lanes: lanes.iter().map(open).collect::<Result<_>>()?, sent: 0 })
    }

    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }

    /// Frames that the kernel has taken so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends one frame by a lane for each of up to [`BATCH`] places of the block; `ask_echo`: with the wish to see it come
    /// back. How many the kernel took.
    ///
    /// # Errors
    /// The kernel refuses for other reasons than lack of room.
    pub fn send(&mut self, block: &Block, lane: usize, places: &[u32], ask_echo: bool) -> Result<usize> {
        if places.is_empty() {
            return Ok(0);
        }
        let Lane { socket, frames } = &mut self.lanes[lane];
        for (frame, place) in frames.iter_mut().zip(places) {
            frame.set_ports(block.ports(*place));
            if ask_echo {
                frame.ask_echo(*place);
            }
        }
        let buffers: Vec<&[u8]> = frames.iter().take(places.len()).map(|frame| frame.0.as_slice()).collect();
        let sent = match send(socket.as_fd(), &buffers) {
            Ok(sent) => sent,
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => 0,
            Err(error) => return Err(error).context("send frames"),
        };
        self.sent += sent as u64;
        Ok(sent)
    }
}

/// All at once: the kernel lets some milliseconds go by before a packet socket is gone, in which nothing runs.
fn close(sockets: impl Iterator<Item = OwnedFd>) {
    std::thread::scope(|scope| {
        for socket in sockets {
            scope.spawn(move || drop(socket));
        }
    });
}

fn packet_socket(interface: &str, protocol: u16) -> Result<OwnedFd> {
    let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).context("packet socket")?;
    let index = nix::net::if_::if_nametoindex(interface).with_context(|| format!("interface {interface}"))?;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: protocol.to_be(),
        sll_ifindex: index as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let bytes = size_of::<libc::sockaddr_ll>() as u32;
    // SAFETY: the address is that of a packet socket and lives through the call.
    let address = unsafe { nix::sys::socket::LinkAddr::from_raw((&raw const address).cast(), Some(bytes)) };
    nix::sys::socket::bind(fd.as_raw_fd(), &address.context("address of a packet socket")?).context("bind")?;
    Ok(fd)
}

/// Frames that wait for their echo at a time, and how long they wait before they are sent again.
const ASKED_AT_ONCE: usize = 512;
const PATIENCE: Duration = Duration::from_millis(50);

/// Sends each flow of the block once in both directions, and again until it is answered. Says how many were.
///
/// # Errors
/// As [`Sender::send`]; or nothing at all is answered.
pub fn establish(sender: &mut Sender, lanes: &[LaneName], block: &Block, within: Duration) -> Result<u32> {
    let ears: Vec<OwnedFd> = lanes.iter().map(ear).collect::<Result<_>>()?;
    let deadline = Instant::now() + within;
    let mut is_answered = vec![false; block.count as usize];
    let mut open = open_places(block, lanes.len(), &is_answered);
    let mut received = Received::new();
    while !open.is_empty() && Instant::now() < deadline {
        for asked in open.chunks(ASKED_AT_ONCE) {
            ask(sender, block, asked)?;
            listen(&ears, &mut received, &mut is_answered, asked.len())?;
            if Instant::now() > deadline {
                break;
            }
        }
        open = open_places(block, lanes.len(), &is_answered);
    }
    close(ears.into_iter());
    let answered = block.count - open.len() as u32;
    if answered == 0 {
        bail!("no flow is answered");
    }
    Ok(answered)
}

/// Has room for all echoes that may come at once: one that finds none is waited for in vain.
fn ear(lane: &LaneName) -> Result<OwnedFd> {
    let ear = packet_socket(&lane.interface, ETH_P_IP)?;
    setsockopt(&ear, sockopt::RcvBufForce, &RECEIVE_BYTES).context("receive buffer")?;
    Ok(ear)
}

/// (lane, place) of what is not answered yet, one of each section after the other.
fn open_places(block: &Block, lanes: usize, is_answered: &[bool]) -> Vec<(usize, u32)> {
    let sections = block.sections(lanes);
    let longest = sections.iter().map(|section| section.places.len()).max().unwrap_or(0);
    let nth = |n: usize| sections.iter().filter_map(move |s| Some((s.lane, s.places.clone().nth(n)?)));
    (0..longest).flat_map(nth).filter(|(_, place)| !is_answered[*place as usize]).collect()
}

fn ask(sender: &mut Sender, block: &Block, asked: &[(usize, u32)]) -> Result<()> {
    for lane in 0..sender.lanes() {
        let of_lane: Vec<u32> = asked.iter().filter(|(of, _)| *of == lane).map(|(_, place)| *place).collect();
        for places in of_lane.chunks(BATCH) {
            sender.send(block, lane, places, true)?;
        }
    }
    Ok(())
}

/// Notes answers until as many have come as were asked for, or patience ends.
fn listen(ears: &[OwnedFd], received: &mut Received<128>, is_answered: &mut [bool], asked: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut missing = asked;
    while missing > 0 && Instant::now() < deadline {
        let mut has_heard = false;
        for ear in ears {
            let count = match received.receive(ear.as_fd()) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error).context("listen to echoes"),
            };
            has_heard = true;
            for place in (0..count).filter_map(|index| echoed(received.datagram(index))) {
                if let Some(answered @ false) = is_answered.get_mut(place as usize) {
                    *answered = true;
                    missing = missing.saturating_sub(1);
                }
            }
        }
        if !has_heard {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    Ok(())
}
