//! `kill -9` under load, in a loop: every commit that was answered is there after a restart.
//!
//! The test runs itself again as a child that commits as fast as it can and prints each answer; the parent reads the
//! answers, kills the child in the middle and opens what is left.

use gp_model::{AccountId, Change, Generation, KeyPair, KeyPairId, Record, Region, Timestamp, Transaction};
use gp_store::{Embedded, Store};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Names the directory to the child; without it this is the parent.
const CHILD: &str = "GP_STORE_KILL_DIRECTORY";
const ROUNDS: u32 = 12;
/// Commits that the child keeps in flight, so that a kill finds some at every stage.
const WRITERS: u64 = 8;

fn region() -> Region {
    Region::new("eu-central-1")
}

/// Two records that say the same, so that half a transaction would show.
fn pair_of_records(n: u64) -> Transaction {
    let record = |bits: u128| {
        Change::Put(Record::from(KeyPair {
            id: KeyPairId::from_bits(bits),
            owner: AccountId::default(),
            name: n.to_string(),
            key_type: "rsa".into(),
            fingerprint: String::new(),
            public_key: "x".repeat(200),
            created_at: Timestamp(n),
            tags: Default::default(),
        }))
    };
    Transaction { region: region(), changes: vec![record(2 * u128::from(n)), record(2 * u128::from(n) + 1)] }
}

#[test]
fn kill_9_under_load_loses_nothing_that_was_answered() {
    if let Some(directory) = std::env::var_os(CHILD) {
        commit_for_ever(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut answered = 0;
    for round in 0..ROUNDS {
        answered = answered.max(run_and_kill(directory.path(), round));
        let store = Embedded::open(directory.path()).unwrap();
        let snapshot = store.snapshot();
        assert!(snapshot.generation >= Generation(answered), "generation {answered} was answered in round {round}");
        // Commit n makes generation n and the records 2n and 2n+1, so a generation tells exactly what must be there.
        let expected: Vec<u128> = (2..2 * u128::from(snapshot.generation.0) + 2).collect();
        let world = snapshot.world(&region());
        let found: Vec<u128> = world.tables().key_pairs.keys().map(|id| id.bits()).collect();
        assert_eq!(found, expected, "round {round}");
        answered = snapshot.generation.0;
    }
    assert!(answered > 100, "the load was too small to mean anything: {answered}");
    println!("{answered} commits over {ROUNDS} kills");
}

/// Runs the child for some milliseconds and gives the highest generation that it answered.
fn run_and_kill(directory: &Path, round: u32) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill_9_under_load_loses_nothing_that_was_answered", "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let lines = output.lines().map_while(Result::ok);
        lines.filter_map(|line| line.strip_prefix("answered ")?.parse::<u64>().ok()).max().unwrap_or(0)
    });
    std::thread::sleep(Duration::from_millis(150 + u64::from(round) * 37 % 200));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// Never returns: the parent kills it.
fn commit_for_ever(directory: &Path) -> ! {
    let store = Arc::new(Embedded::open(directory).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let gate = Arc::new(tokio::sync::Mutex::new(()));
    for _ in 0..WRITERS {
        let (store, gate) = (store.clone(), gate.clone());
        runtime.spawn(async move {
            loop {
                let commit = {
                    let _planning = gate.lock().await;
                    let base = store.head().generation;
                    store.commit(base, pair_of_records(base.0 + 1))
                };
                let generation = commit.await.unwrap();
                // One write call per answer: a line is never torn by the kill.
                std::io::stdout().write_all(format!("answered {}\n", generation.0).as_bytes()).unwrap();
            }
        });
    }
    loop {
        std::thread::park();
    }
}
