//! How many calls a second: run by hand, `cargo test -p gp-server --test throughput -- --ignored --nocapture`.

mod support;

use gp_store::{Embedded, Memory, Store};
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Host, Running, post, quick, start_with};

const RUN: Duration = Duration::from_secs(3);

#[test]
#[ignore = "a measurement: its figures depend on machine and disk"]
fn calls_a_second() {
    let directory = tempfile::tempdir_in(".").unwrap();
    let stores: [(&str, Arc<dyn Store>); 2] =
        [("memory", Arc::new(Memory::new())), ("embedded", Arc::new(Embedded::open(directory.path()).unwrap()))];
    for (name, store) in stores {
        let mut settings = quick();
        settings.planner.quotas.security_groups = usize::MAX;
        settings.limits.head_wait = Duration::from_secs(30);
        let running = Arc::new(start_with(Host::Prompt, settings, store));
        let vpcs = running.call("Action=DescribeVpcs&Version=2016-11-15");
        let vpc = support::element(&vpcs, "vpcId").to_owned();
        measure(name, "GetCallerIdentity", &running, |_| "Action=GetCallerIdentity&Version=2011-06-15".to_owned());
        measure(name, "CreateSecurityGroup", &running, |n| {
            let form = "Action=CreateSecurityGroup&Version=2016-11-15&GroupDescription=d";
            format!("{form}&GroupName=g{n}&VpcId={vpc}")
        });
    }
}

fn measure(store: &str, action: &str, running: &Arc<Running>, form: impl Fn(u64) -> String + Copy + Send + Sync) {
    for clients in [1, 16] {
        let started = Instant::now();
        let mut waits: Vec<Duration> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..clients).map(|_| scope.spawn(move || client(running, form))).collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        waits.sort();
        let rate = waits.len() as f64 / started.elapsed().as_secs_f64();
        let at = |part: f64| waits[(waits.len() as f64 * part) as usize];
        println!("{store} {action} {clients} clients: {rate:.0}/s, p50 {:?}, p99 {:?}", at(0.5), at(0.99));
    }
}

/// Calls over one connection, one after the other, and gives how long each took.
fn client(running: &Running, form: impl Fn(u64) -> String) -> Vec<Duration> {
    let mut stream = running.connect();
    let started = Instant::now();
    // A name of its own for each call: a port is a client's for the length of a run, and names outlive runs.
    let salt = u64::from(stream.local_addr().unwrap().port()) << 32;
    let mut waits = Vec::new();
    while started.elapsed() < RUN {
        let request = post("/", "", &form(salt + waits.len() as u64)).replace("connection: close\r\n", "");
        let began = Instant::now();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"Response>") {
            let mut piece = [0; 8192];
            let read = stream.read(&mut piece).unwrap();
            assert!(read > 0);
            answer.extend_from_slice(&piece[..read]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        waits.push(began.elapsed());
    }
    waits
}
