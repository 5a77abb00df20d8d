//! Clients at work side by side, and what came of it.

use crate::connection::Connection;
use crate::work::Call;
use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What a load came to.
pub struct Done {
    pub report: Value,
    /// What the calls made.
    pub values: Vec<String>,
}

/// What one client did.
#[derive(Default)]
struct Lane {
    latencies: Vec<Duration>,
    values: Vec<String>,
}

/// So many calls in all, taken by whichever client is free.
///
/// # Errors
/// The first call that failed.
pub fn times<'a>(
    address: SocketAddr,
    clients: usize,
    calls: usize,
    call: impl Fn(usize) -> Call<'a> + Sync,
) -> Result<Done> {
    let next = AtomicUsize::new(0);
    run(address, clients, call, |_own| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < calls))
}

/// As many calls as the clients manage in a time, each client on its own.
///
/// # Errors
/// The first call that failed.
pub fn for_a_while<'a>(
    address: SocketAddr,
    clients: usize,
    time: Duration,
    call: impl Fn(usize) -> Call<'a> + Sync,
) -> Result<Done> {
    let end = Instant::now() + time;
    run(address, clients, call, |own| (Instant::now() < end).then_some(own))
}

/// `next` gives a client the number of its next call, from how many it has made.
fn run<'a>(
    address: SocketAddr,
    clients: usize,
    call: impl Fn(usize) -> Call<'a> + Sync,
    next: impl Fn(usize) -> Option<usize> + Sync,
) -> Result<Done> {
    let start = Barrier::new(clients + 1);
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..clients)
            .map(|client| {
                let (start, call, next) = (&start, &call, &next);
                scope.spawn(move || {
                    let mut work = call(client);
                    start.wait();
                    lane(address, &mut work, next)
                })
            })
            .collect();
        start.wait();
        let started = Instant::now();
        let lanes: Result<Vec<Lane>> =
            lanes.into_iter().map(|lane| lane.join().map_err(|_| anyhow!("a client has panicked"))?).collect();
        summary(lanes?, started.elapsed())
    })
}

fn lane(address: SocketAddr, work: &mut Call<'_>, next: impl Fn(usize) -> Option<usize>) -> Result<Lane> {
    let mut connection = Connection::new(address);
    let mut lane = Lane::default();
    while let Some(number) = next(lane.latencies.len()) {
        let begun = Instant::now();
        let value = work(&mut connection, number)?;
        lane.latencies.push(begun.elapsed());
        lane.values.extend(value);
    }
    Ok(lane)
}

fn summary(lanes: Vec<Lane>, time: Duration) -> Result<Done> {
    let mut latencies: Vec<Duration> = lanes.iter().flat_map(|lane| lane.latencies.iter().copied()).collect();
    latencies.sort_unstable();
    let at = |share: f64| {
        let place = ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(place).map(|latency| latency.as_secs_f64() * 1e3).context("not one call was made")
    };
    let report = json!({
        "calls": latencies.len(),
        "per_second": latencies.len() as f64 / time.as_secs_f64(),
        "p50_ms": at(0.50)?,
        "p99_ms": at(0.99)?,
        "max_ms": at(1.0)?,
    });
    Ok(Done { report, values: lanes.into_iter().flat_map(|lane| lane.values).collect() })
}
