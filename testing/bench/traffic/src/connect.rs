//! Connections made one after the other: connect, one byte, its echo, close; the client closes first.

use crate::arguments::{Connect, Time};
use crate::shared::Shared;
use crate::spread::Spread;
use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// A SYN that was lost is sent again after one second; who waits longer than this has lost several.
const PATIENCE: Duration = Duration::from_secs(8);

pub fn serve(connect: &Connect, shared: &Shared) -> Result<()> {
    let ports = connect.port..connect.port + connect.threads;
    let listeners: Vec<TcpListener> = ports
        .map(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).with_context(|| format!("listen at {port}")))
        .collect::<Result<_>>()?;
    shared.ready();
    let echoes: Vec<_> = listeners.into_iter().map(|listener| thread::spawn(move || echo(&listener))).collect();
    // They end with the process.
    echoes.into_iter().for_each(|thread| drop(thread.join()));
    Ok(())
}

fn echo(listener: &TcpListener) {
    let mut byte = [0];
    while let Ok((mut peer, _)) = listener.accept() {
        // A client that is gone is none of our business.
        let _ = peer.read_exact(&mut byte).and_then(|()| peer.write_all(&byte)).and_then(|()| peer.read(&mut byte));
    }
}

/// What one thread did.
struct Done {
    times_ns: Vec<u64>,
    failed: u64,
}

pub fn ask(connect: &Connect, to: Ipv4Addr, time: Time) -> Result<Value> {
    let start = Instant::now() + time.warm_up;
    let threads: Vec<_> = (connect.port..connect.port + connect.threads)
        .map(|port| thread::spawn(move || connections(SocketAddr::from((to, port)), start, time.measured)))
        .collect();
    let mut all = Done { times_ns: Vec::new(), failed: 0 };
    for thread in threads {
        let done = thread.join().map_err(|_| anyhow!("a thread panicked"))?;
        all.times_ns.extend(done.times_ns);
        all.failed += done.failed;
    }
    let made = all.times_ns.len() as f64;
    Ok(json!({
        "connections_per_second": made / time.measured.as_secs_f64(),
        "failed": all.failed,
        // Whose first segment was lost: it is sent again after a second.
        "slow": all.times_ns.iter().filter(|time| **time > 900_000_000).count(),
        "spread": Spread::of(all.times_ns),
    }))
}

fn connections(to: SocketAddr, start: Instant, measured: Duration) -> Done {
    let mut done = Done { times_ns: Vec::new(), failed: 0 };
    loop {
        let begun = Instant::now();
        if begun >= start + measured {
            return done;
        }
        let is_made = connection(to).is_ok();
        let ended = Instant::now();
        if begun < start || ended >= start + measured {
            continue;
        }
        if is_made {
            done.times_ns.push(ended.duration_since(begun).as_nanos() as u64);
        } else {
            done.failed += 1;
        }
    }
}

fn connection(to: SocketAddr) -> std::io::Result<()> {
    let mut byte = [1];
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.write_all(&byte)?;
    stream.read_exact(&mut byte)
}
