//! The first packet of a flow: how much longer its round trip takes than that of the second.

use crate::arguments::First;
use crate::shared::Shared;
use crate::spread::Spread;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_millis(200);

pub fn serve(first: &First, shared: &Shared) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, first.port)).context("listen")?;
    shared.ready();
    let mut buffer = [0; 64];
    loop {
        let (count, from) = socket.recv_from(&mut buffer).context("receive")?;
        // A client may be gone already.
        let _ = socket.send_to(&buffer[..count], from);
    }
}

pub fn ask(first: &First, to: Ipv4Addr) -> Result<Value> {
    let (mut firsts, mut seconds, mut added, mut lost) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..first.count {
        // A new port, and so a new flow.
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("bind")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect((to, first.port))?;
        match (round_trip(&socket), round_trip(&socket)) {
            (Some(one), Some(two)) => {
                firsts.push(one);
                seconds.push(two);
                added.push(one.saturating_sub(two));
            }
            _ => lost += 1,
        }
        thread::sleep(Duration::from_micros(first.pause_microseconds));
    }
    let [first, second, added] = [firsts, seconds, added].map(Spread::of);
    Ok(json!({ "first": first, "second": second, "added": added, "lost": lost }))
}

fn round_trip(socket: &UdpSocket) -> Option<u64> {
    let mut buffer = [0; 22];
    let sent = Instant::now();
    socket.send(&buffer).ok()?;
    socket.recv(&mut buffer).ok()?;
    Some(sent.elapsed().as_nanos() as u64)
}
