//! Requests and responses of one byte over one connection: the latency of the path.

use crate::arguments::{Request, Time};
use crate::shared::Shared;
use crate::spread::Spread;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Instant;

pub fn serve(request: &Request, shared: &Shared) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, request.port)).context("listen")?;
    shared.ready();
    let (mut peer, _) = listener.accept().context("accept")?;
    peer.set_nodelay(true)?;
    let mut byte = [0];
    while peer.read_exact(&mut byte).is_ok() {
        peer.write_all(&byte)?;
    }
    Ok(())
}

pub fn ask(request: &Request, to: Ipv4Addr, time: Time) -> Result<Value> {
    let mut stream = TcpStream::connect((to, request.port)).context("connect")?;
    stream.set_nodelay(true)?;
    let warm = Instant::now();
    while warm.elapsed() < time.warm_up {
        exchange(&mut stream)?;
    }
    let start = Instant::now();
    let mut times_ns = Vec::with_capacity(1 << 20);
    let mut last = start;
    while last.duration_since(start) < time.measured {
        exchange(&mut stream)?;
        let now = Instant::now();
        times_ns.push(now.duration_since(last).as_nanos() as u64);
        last = now;
    }
    let per_second = times_ns.len() as f64 / start.elapsed().as_secs_f64();
    Ok(json!({ "requests_per_second": per_second, "spread": Spread::of(times_ns) }))
}

fn exchange(stream: &mut TcpStream) -> Result<()> {
    let mut byte = [1];
    stream.write_all(&byte).context("send")?;
    stream.read_exact(&mut byte).context("receive")
}
