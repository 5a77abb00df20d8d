//! TCP bulk transfer: as much as one or several streams carry, and what it costs the machine.

use crate::arguments::{Bulk, Time};
use crate::cpu::busy_seconds;
use crate::place;
use crate::shared::{COUNTERS, Shared};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

/// Of one read or write: what iperf3 and others use.
const BUFFER_BYTES: usize = 128 << 10;

pub fn serve(bulk: &Bulk, shared: &Shared) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, bulk.port)).context("listen")?;
    shared.ready();
    for stream in 0..bulk.streams {
        let (mut peer, _) = listener.accept().context("accept")?;
        let shared = *shared;
        thread::spawn(move || {
            let mut buffer = vec![0; BUFFER_BYTES];
            while let Ok(count @ 1..) = peer.read(&mut buffer) {
                shared.add(stream, count as u64);
            }
        });
    }
    // Until the client ends us.
    loop {
        thread::park();
    }
}

pub fn ask(bulk: &Bulk, to: Ipv4Addr, time: Time, realtime: Option<i32>, shared: &Shared) -> Result<Value> {
    ensure!((1..=COUNTERS).contains(&bulk.streams), "1 to {COUNTERS} streams");
    for _ in 0..bulk.streams {
        let mut stream = TcpStream::connect((to, bulk.port)).context("connect")?;
        let shared = *shared;
        thread::spawn(move || {
            let buffer = vec![0x5a; BUFFER_BYTES];
            while !shared.is_stopped() && stream.write_all(&buffer).is_ok() {}
        });
    }
    // Who measures wakes up in time, also where senders fill every CPU.
    place::set_realtime(realtime.map(|priority| priority + 1))?;
    thread::sleep(time.warm_up);
    let (start, cpu, bytes) = (Instant::now(), busy_seconds()?, shared.sum());
    thread::sleep(time.measured);
    let (seconds, cpu, bytes) = (start.elapsed().as_secs_f64(), busy_seconds()? - cpu, shared.sum() - bytes);
    let gigabits = bytes as f64 * 8.0 / 1e9;
    Ok(json!({
        "gigabits_per_second": gigabits / seconds,
        "cpu_ms_per_gigabit": if gigabits > 0.0 { Some(cpu * 1e3 / gigabits) } else { None },
    }))
}
