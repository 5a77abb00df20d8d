//! How many durable commits a second: run by hand, `cargo test -p gp-store --test throughput -- --ignored --nocapture`.

use gp_model::{AccountId, Change, KeyPair, KeyPairId, Record, Region, Timestamp, Transaction};
use gp_store::{Embedded, Store};
use std::sync::Arc;
use std::time::{Duration, Instant};

const RUN: Duration = Duration::from_secs(3);

fn put(bits: u128) -> Transaction {
    let record = Record::from(KeyPair {
        id: KeyPairId::from_bits(bits),
        owner: AccountId::default(),
        name: bits.to_string(),
        key_type: "rsa".into(),
        fingerprint: String::new(),
        public_key: "x".repeat(400),
        created_at: Timestamp(0),
        tags: Default::default(),
    });
    Transaction { region: Region::new("eu-central-1"), changes: vec![Change::Put(record)] }
}

#[test]
#[ignore = "a measurement: its figure depends on the disk"]
fn durable_commits_a_second() {
    for clients in [1, 16, 64] {
        let directory = tempfile::tempdir_in(".").unwrap();
        let store = Arc::new(Embedded::open(directory.path()).unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let gate = Arc::new(tokio::sync::Mutex::new(()));
        let start = Instant::now();
        let tasks: Vec<_> = (0..clients)
            .map(|_| {
                let (store, gate) = (store.clone(), gate.clone());
                runtime.spawn(async move {
                    let mut slowest = Duration::ZERO;
                    while start.elapsed() < RUN {
                        let began = Instant::now();
                        let commit = {
                            let _planning = gate.lock().await;
                            let base = store.head().generation;
                            store.commit(base, put(base.0.into()))
                        };
                        commit.await.unwrap();
                        slowest = slowest.max(began.elapsed());
                    }
                    slowest
                })
            })
            .collect();
        let slowest = tasks.into_iter().map(|task| runtime.block_on(task).unwrap()).max().unwrap();
        let rate = store.snapshot().generation.0 as f64 / start.elapsed().as_secs_f64();
        println!("{clients} clients: {rate:.0} commits/s, slowest {slowest:?}");
    }
}
