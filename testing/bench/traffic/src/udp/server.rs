//! Counts what arrives, block by block, and echoes what asks for it.
//!
//! While datagrams come it looks for them again and again, with rests, and is not woken for each: that would be most of a
//! packet's cost on a virtual machine, the sender's to pay, and more often for the faster path.

use crate::shared::Shared;
use crate::udp::flow::Block;
use crate::udp::frame::{ECHO, PAYLOAD_BYTES};
use crate::udp::lane::LaneName;
use crate::udp::messages::{BATCH, RECEIVE_BYTES, Received};
use crate::udp::pace::rest;
use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// How long it goes on looking after the last datagram.
const STAY: Duration = Duration::from_millis(20);

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
        wait(&listeners)?;
        let mut heard = Instant::now();
        while heard.elapsed() < STAY {
            let mut most = 0;
            for listener in &listeners {
                most = most.max(take(listener, &mut received, shared)?);
            }
            if most > 0 {
                heard = Instant::now();
            }
            if most < BATCH {
                rest();
            }
        }
    }
}

/// Until a datagram arrives.
fn wait(listeners: &[Listener]) -> Result<()> {
    let mut wanted: Vec<PollFd<'_>> =
        listeners.iter().map(|listener| PollFd::new(listener.socket.as_fd(), PollFlags::POLLIN)).collect();
    poll(&mut wanted, PollTimeout::NONE).context("wait for datagrams")?;
    Ok(())
}

/// Takes a batch of what has arrived, and says how many that were.
fn take(listener: &Listener, received: &mut Received<PAYLOAD_BYTES>, shared: &Shared) -> Result<usize> {
    let socket = listener.socket.as_fd();
    let count = match received.receive(socket) {
        Ok(count) => count,
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(0),
        Err(error) => return Err(error).context("receive"),
    };
    ensure!(count > 0, "recvmmsg received nothing");
    for index in 0..count {
        if received.datagram(index).first() == Some(&ECHO) {
            received.echo(socket, index);
        }
    }
    shared.add(listener.counter, count as u64);
    Ok(count)
}
