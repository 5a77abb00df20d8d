//! Long jobs let others in between their portions.

use crate::engine::PORTION;
use crate::testing::Host;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Enough for many portions.
const CONNECTIONS: u16 = 5 * PORTION as u16;

const WORLD: &str = "
    vpc a 10.0.0.0/16; subnet s a 10.0.1.0/24; sg open a in udp 1000-1999 from 10.0.0.0/8
    eni c s 10.0.1.20 sg open; eni w s 10.0.1.10 sg open
";

/// A client and a server with so many connections, no two of one pair.
fn busy() -> Host {
    let mut host = Host::new(WORLD);
    for port in 0..CONNECTIONS {
        host.send(&format!("c > w udp 53:{}", 1000 + port));
    }
    host
}

/// Runs a long job, and somebody who wants the engine since the job began. What they found when they got it.
fn meanwhile<T: Send + 'static>(
    host: Host,
    look: impl FnOnce(&Host) -> T + Send + 'static,
    job: impl FnOnce(&Host),
) -> T {
    let host = Arc::new(host);
    let (start, started) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let other = {
        let host = Arc::clone(&host);
        thread::spawn(move || {
            started.recv().unwrap();
            // The receiver is gone if the job ended first.
            let _ = tell.send(look(&host));
        })
    };
    let (found, finding) = mpsc::channel();
    let mut is_found = false;
    *host.kernel.at_work.lock().unwrap() = Some(Box::new(move || {
        let _ = start.send(());
        // Time for the other one to come and wait; none once it was there.
        if !is_found && let Ok(seen) = told.recv_timeout(Duration::from_millis(1)) {
            is_found = true;
            found.send(seen).unwrap();
        }
    }));
    job(&host);
    *host.kernel.at_work.lock().unwrap() = None;
    other.join().unwrap();
    finding.try_recv().expect("the other one got in before the job was done")
}

#[test]
fn a_sweep_lets_others_in_between_its_portions() {
    let mut host = busy();
    host.wait(100_000);
    let all = host.connections();
    assert!(all > 4 * PORTION);
    let left = meanwhile(
        host,
        |host| host.engine.work(host.now, |work| work.state.connections.len()),
        |host| assert!(host.engine.expire(host.now).unwrap() >= all),
    );
    assert!((1..all).contains(&left), "{left} of {all} connections were left");
}

#[test]
fn a_sweep_works_on_flows_that_have_seen_something_since_the_last_one() {
    let mut host = busy();
    let sweep = |host: &mut Host| {
        host.wait(3);
        let before = host.kernel.tables().jobs;
        host.engine.expire(host.now).unwrap();
        host.kernel.tables().jobs - before
    };
    let [first, quiet] = [(); 2].map(|()| sweep(&mut host));
    assert_eq!(
        first - quiet,
        2 * usize::from(CONNECTIONS) / PORTION,
        "no portion of flows, of which each connection has two"
    );
    for port in 0..PORTION {
        host.send(&format!("c > w udp 53:{}", 1000 + port));
    }
    assert_eq!(sweep(&mut host) - quiet, 1, "one portion of flows");
    // Silent for 30 s, all but those whose second packets the last sweep has heard of.
    host.wait(26);
    host.engine.expire(host.now).unwrap();
    assert_eq!(host.connections(), 2 * PORTION);
}

#[test]
fn a_change_lets_others_in_between_its_portions() {
    let mut host = busy();
    // Those to the server; the answers rest on connections, and not on the group.
    let flows = u64::from(CONNECTIONS);
    host.scenario.apply("sg open a in udp 1000-1999 from 10.0.0.0/8 in tcp 80 from 10.0.0.0/8").unwrap();
    let before = host.engine.counters().totals.retraced;
    let retraced = meanwhile(
        host,
        |host| host.engine.work(host.now, |work| work.state.totals.retraced),
        |host| assert_eq!(host.apply_view() as u64, flows),
    );
    assert!((1..flows).contains(&(retraced - before)), "{} of {flows} flows were done", retraced - before);
}

#[test]
fn a_change_lets_others_in_between_the_portions_of_pairs_that_it_ends() {
    let mut host = Host::new(WORLD);
    host.kernel.tables().pairs.opened_max = 1000;
    for port in 0..CONNECTIONS {
        host.send(&format!("c > w udp 1000:{}", 1000 + port));
        host.send(&format!("c > w udp 1001:{}", 1000 + port));
    }
    let pairs = host.kernel.tables().pairs.pairs.len();
    assert_eq!(pairs, usize::from(CONNECTIONS));
    host.scenario.apply("sg open a in tcp 80 from 10.0.0.0/8").unwrap();
    let left = meanwhile(
        host,
        |host| host.engine.work(host.now, |_| host.kernel.tables().pairs.pairs.len()),
        |host| {
            host.apply_view();
            assert_eq!(host.kernel.tables().pairs.pairs.len(), 0);
        },
    );
    assert!((1..pairs).contains(&left), "{left} of {pairs} pairs were left");
}

#[test]
fn a_sweep_by_portions_forgets_all_that_is_idle_and_nothing_else() {
    let mut host = busy();
    host.wait(100_000);
    host.send("c > w udp 53:1000");
    host.engine.expire(host.now).unwrap();
    assert_eq!(host.connections(), 2, "the one connection at both of its ends");
}
