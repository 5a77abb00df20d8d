//! Counts what arrives, block by block, and echoes what asks for it.

use crate::shared::Shared;
use crate::udp::flow::Block;
use crate::udp::frame::{ECHO, PAYLOAD_BYTES};
use crate::udp::lane::LaneName;
use crate::udp::messages::Received;
use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

/// Holds what arrives while this process waits for a CPU, so that a lost packet is one that the path has lost.
const RECEIVE_BYTES: usize = 64 << 20;

struct Listener {
    socket: UdpSocket,
    counter: usize,
}

/// Serves until the process ends. The counter of a block is its place among the blocks.
///
/// # Errors
/// The ports are taken.
pub fn serve(blocks: &[Block], lanes: &[LaneName], shared: &Shared) -> Result<()> {
    let mut listeners = Vec::new();
    for (counter, block) in blocks.iter().enumerate() {
        for section in block.sections(lanes.len()) {
            // At the lane's own address, so that the echo comes from there.
            let at = SocketAddr::from((lanes[section.lane].destination, section.destination));
            let socket = UdpSocket::bind(at).with_context(|| format!("listen at {at}"))?;
            setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BYTES).context("receive buffer")?;
            listeners.push(Listener { socket, counter });
        }
    }
    shared.ready();
    let mut received = Received::<PAYLOAD_BYTES>::new();
    loop {
        let mut wanted: Vec<PollFd<'_>> =
            listeners.iter().map(|listener| PollFd::new(listener.socket.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut wanted, PollTimeout::NONE).context("wait for datagrams")?;
        let is_ready: Vec<bool> = wanted.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        for (listener, _) in listeners.iter().zip(is_ready).filter(|(_, is_ready)| *is_ready) {
            take(listener, &mut received, shared)?;
        }
    }
}

fn take(listener: &Listener, received: &mut Received<PAYLOAD_BYTES>, shared: &Shared) -> Result<()> {
    let socket = listener.socket.as_fd();
    let count = match received.receive(socket) {
        Ok(count) => count,
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
        Err(error) => return Err(error).context("receive"),
    };
    ensure!(count > 0, "recvmmsg received nothing");
    for index in 0..count {
        if received.datagram(index).first() == Some(&ECHO) {
            received.echo(socket, index);
        }
    }
    shared.add(listener.counter, count as u64);
    Ok(())
}
