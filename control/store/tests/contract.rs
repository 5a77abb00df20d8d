//! The contract of every store, run for each.

use gp_model::{AccountId, Change, Generation, KeyPair, KeyPairId, Record, RecordKey, Region, Timestamp, Transaction};
use gp_store::{CommitError, Embedded, Memory, Store};
use std::sync::Arc;

/// Makes fresh stores of one kind.
trait Factory {
    fn fresh() -> Self;
    fn store(&self) -> Arc<dyn Store>;
}

struct InMemory(Arc<Memory>);

impl Factory for InMemory {
    fn fresh() -> Self {
        Self(Arc::new(Memory::new()))
    }
    fn store(&self) -> Arc<dyn Store> {
        self.0.clone()
    }
}

struct InFile(Arc<Embedded>, #[expect(dead_code, reason = "removed when dropped")] tempfile::TempDir);

impl Factory for InFile {
    fn fresh() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self(Arc::new(Embedded::open(directory.path()).unwrap()), directory)
    }
    fn store(&self) -> Arc<dyn Store> {
        self.0.clone()
    }
}

macro_rules! contract {
    ($($test:ident)*) => {
        mod memory {
            $(#[tokio::test] async fn $test() { super::$test::<super::InMemory>().await })*
        }
        mod embedded {
            $(#[tokio::test] async fn $test() { super::$test::<super::InFile>().await })*
        }
    };
}

contract! {
    a_new_store_is_empty_at_generation_0
    a_commit_is_the_next_generation_and_is_seen
    changes_of_a_transaction_act_in_order
    what_is_planned_is_taken_as_it_is_and_stored_as_the_changes_say
    a_region_without_records_is_not_listed
    a_stale_base_conflicts_and_changes_nothing
    regions_do_not_conflict_with_each_other
    a_base_from_the_future_conflicts
    the_head_is_ahead_at_once_and_never_behind
    a_dropped_wait_does_not_undo_the_commit
    a_watcher_sees_generations_in_order_and_the_last_one
    concurrent_commits_on_one_base_let_exactly_one_through
    concurrent_retries_lose_no_update
}

fn frankfurt() -> Region {
    Region::new("eu-central-1")
}

fn key_pair(bits: u128, name: &str) -> KeyPair {
    KeyPair {
        id: KeyPairId::from_bits(bits),
        owner: AccountId::default(),
        name: name.into(),
        key_type: "rsa".into(),
        fingerprint: String::new(),
        public_key: String::new(),
        created_at: Timestamp(0),
        tags: Default::default(),
    }
}

fn put(bits: u128) -> Change {
    Change::Put(Record::from(key_pair(bits, "a")))
}

fn delete(bits: u128) -> Change {
    Change::Delete(RecordKey::KeyPair(KeyPairId::from_bits(bits)))
}

fn transaction(changes: Vec<Change>) -> Transaction {
    Transaction { region: frankfurt(), changes }
}

/// The names of Frankfurt's key pairs by id.
fn names(store: &dyn Store) -> Vec<(u128, String)> {
    let world = store.snapshot().world(&frankfurt());
    world.tables().key_pairs.iter().map(|(id, pair)| (id.bits(), pair.name.clone())).collect()
}

fn ids(store: &dyn Store) -> Vec<u128> {
    names(store).into_iter().map(|(id, _)| id).collect()
}

async fn a_new_store_is_empty_at_generation_0<F: Factory>() {
    let made = F::fresh();
    let store = made.store();
    for snapshot in [store.snapshot(), store.head(), store.watch().borrow().clone()] {
        assert_eq!((snapshot.generation, snapshot.regions.len()), (Generation(0), 0));
        assert_eq!(snapshot.world(&frankfurt()).region, frankfurt());
    }
}

async fn a_commit_is_the_next_generation_and_is_seen<F: Factory>() {
    let made = F::fresh();
    let store = made.store();
    for n in 1..=3 {
        let generation = store.commit(store.head().generation, transaction(vec![put(n.into())])).await.unwrap();
        assert_eq!(generation, Generation(n));
        assert_eq!(store.snapshot().generation, generation);
        assert_eq!(ids(&*store).len(), n as usize);
    }
}

async fn changes_of_a_transaction_act_in_order<F: Factory>() {
    let made = F::fresh();
    let store = made.store();
    let renamed = Change::Put(Record::from(key_pair(1, "b")));
    let changes = vec![put(1), put(2), delete(1), renamed, delete(2), delete(9)];
    store.commit(Generation(0), transaction(changes)).await.unwrap();
    assert_eq!(names(&*store), [(1, "b".to_owned())]);
}

async fn what_is_planned_is_taken_as_it_is_and_stored_as_the_changes_say<F: Factory>() {
    let made = F::fresh();
    let store = made.store();
    store.commit(Generation(0), transaction(vec![put(1)])).await.unwrap();
    let mut planned = (*store.head().world(&frankfurt())).clone();
    let changes = vec![put(2), delete(1)];
    changes.iter().for_each(|change| planned.apply(change.clone()));
    let generation = store.commit_planned(Generation(1), transaction(changes), Some(planned.clone())).await.unwrap();
    assert_eq!((generation, ids(&*store)), (Generation(2), vec![2]));
    // What was planned on another world than there is now is refused as ever.
    let stale = store.commit_planned(Generation(1), transaction(vec![put(3)]), Some(planned)).await;
    assert!(matches!(stale, Err(CommitError::Conflict { .. })));
    assert_eq!(ids(&*store), [2]);
}

async fn a_region_without_records_is_not_listed<F: Factory>() {
    let made = F::fresh();
    let store = made.store();
    store.commit(Generation(0), transaction(vec![put(1)])).await.unwrap();
    assert_eq!(store.snapshot().regions.len(), 1);
    store.commit(Generation(1), transaction(vec![delete(1)])).await.unwrap();
    assert_eq!(store.snapshot().regions.len(), 0);
    let stale = store.commit(Generation(1), transaction(vec![put(1)])).await;
    assert!(matches!(stale, Err(CommitError::Conflict { .. })), "an emptied region has changed too");
}

async fn a_stale_base_conflicts_and_changes_nothing<F: Factory>() {
    let made = F::fresh();
    let store = made.store();
    store.commit(Generation(0), transaction(vec![put(1)])).await.unwrap();
    let refused = store.commit(Generation(0), transaction(vec![put(2)])).await;
    let expected = CommitError::Conflict { region: frankfurt(), base: Generation(0), current: Generation(1) };
    assert_eq!(refused, Err(expected));
    assert_eq!((ids(&*store), store.head().generation), (vec![1], Generation(1)));
}

async fn regions_do_not_conflict_with_each_other<F: Factory>() {
    let made = F::fresh();
    let store = made.store();
    for (n, region) in ["eu-central-1", "us-east-1", "ap-south-1"].into_iter().enumerate() {
        let transaction = Transaction { region: Region::new(region), changes: vec![put(1)] };
        let generation = store.commit(Generation(0), transaction).await.unwrap();
        assert_eq!(generation, Generation(n as u64 + 1));
    }
    assert_eq!(store.snapshot().regions.len(), 3);
}

async fn a_base_from_the_future_conflicts<F: Factory>() {
    let made = F::fresh();
    let store = made.store();
    let refused = store.commit(Generation(1), transaction(vec![put(1)])).await;
    assert!(matches!(refused, Err(CommitError::Conflict { .. })));
}

async fn the_head_is_ahead_at_once_and_never_behind<F: Factory>() {
    let made = F::fresh();
    let store = made.store();
    let mut waits = Vec::new();
    for n in 0..50 {
        let head = store.head();
        assert_eq!(head.generation, Generation(n), "the call itself moves the head on");
        waits.push(store.commit(head.generation, transaction(vec![put(n.into())])));
        assert!(store.snapshot().generation <= store.head().generation);
    }
    for (n, wait) in waits.into_iter().enumerate() {
        assert_eq!(wait.await, Ok(Generation(n as u64 + 1)));
        assert!(store.snapshot().generation.0 > n as u64);
    }
}

async fn a_dropped_wait_does_not_undo_the_commit<F: Factory>() {
    let made = F::fresh();
    let store = made.store();
    drop(store.commit(Generation(0), transaction(vec![put(1)])));
    store.commit(Generation(1), transaction(vec![put(2)])).await.unwrap();
    assert_eq!(ids(&*store), [1, 2]);
}

async fn a_watcher_sees_generations_in_order_and_the_last_one<F: Factory>() {
    let made = F::fresh();
    let store = made.store();
    let mut watch = store.watch();
    let watcher = tokio::spawn(async move {
        let mut last = Generation(0);
        while last < Generation(100) {
            watch.changed().await.unwrap();
            let snapshot = watch.borrow_and_update().clone();
            assert!(snapshot.generation > last);
            assert_eq!(snapshot.world(&frankfurt()).tables().key_pairs.len() as u64, snapshot.generation.0);
            last = snapshot.generation;
        }
    });
    for n in 0..100 {
        store.commit(Generation(n), transaction(vec![put(n.into())])).await.unwrap();
        tokio::task::yield_now().await;
    }
    watcher.await.unwrap();
}

async fn concurrent_commits_on_one_base_let_exactly_one_through<F: Factory>() {
    let made = F::fresh();
    let store = made.store();
    let racers = (0..32).map(|n| {
        let store = store.clone();
        std::thread::spawn(move || {
            let commit = store.commit(Generation(0), transaction(vec![put(n)]));
            tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(commit)
        })
    });
    let racers: Vec<_> = racers.collect();
    let winners = racers.into_iter().map(|r| r.join().unwrap()).filter(Result::is_ok).count();
    assert_eq!((winners, ids(&*store).len()), (1, 1));
}

async fn concurrent_retries_lose_no_update<F: Factory>() {
    let made = F::fresh();
    let store = made.store();
    // Each thread counts one shared record up, as a planner would: read, change, commit, again on conflict.
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn({
                let store = store.clone();
                move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    for _ in 0..25 {
                        while !runtime.block_on(count_up(&*store)) {}
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(names(&*store), [(1, "100".to_owned())]);
}

async fn count_up(store: &dyn Store) -> bool {
    let head = store.head();
    let world = head.world(&frankfurt());
    let count: u64 = world.tables().key_pairs.values().next().map_or(0, |pair| pair.name.parse().unwrap());
    let counted = Change::Put(Record::from(key_pair(1, &(count + 1).to_string())));
    store.commit(head.generation, transaction(vec![counted])).await.is_ok()
}
