//! What only the file can get wrong: formats, damage, locks, and disks that fail.

use super::row::{META, META_FORMAT, RECORDS};
use super::*;
use crate::OpenError;
use gp_model::{AccountId, Change, KeyPair, KeyPairId, Record, Region, Timestamp};
use log::{Entry, Log};
use redb::{ReadableTable, StorageBackend};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) fn key_pair(bits: u128) -> KeyPair {
    KeyPair {
        id: KeyPairId::from_bits(bits),
        owner: AccountId::default(),
        name: format!("key {bits}"),
        key_type: "ed25519".into(),
        fingerprint: "fingerprint".into(),
        public_key: "ssh-ed25519 AAAA".into(),
        created_at: Timestamp(1),
        tags: [("Name".to_owned(), "a \"quoted\" näme".to_owned())].into(),
    }
}

fn put(bits: u128) -> Transaction {
    Transaction { region: Region::new("eu-central-1"), changes: vec![Change::Put(Record::from(key_pair(bits)))] }
}

fn commit(store: &Embedded, transaction: Transaction) -> Result<Generation, CommitError> {
    let committed = store.commit(store.head().generation, transaction);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(committed)
}

fn stored_keys(store: &Embedded) -> Vec<u128> {
    let snapshot = store.snapshot();
    let worlds = snapshot.regions.values();
    worlds.flat_map(|world| world.tables().key_pairs.keys().map(|id| id.bits()).collect::<Vec<_>>()).collect()
}

/// Changes a closed store behind its back.
fn tamper(directory: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let files = load::open_files(directory).unwrap();
    let transaction = files.database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

#[test]
fn a_second_opener_is_told_that_the_directory_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let first = Embedded::open(directory.path()).unwrap();
    let error = Embedded::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    drop(first);
    Embedded::open(directory.path()).unwrap();
}

#[test]
fn the_file_is_private_to_its_owner() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("deep/data");
    let _store = Embedded::open(&directory).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for name in ["store.redb", "store.log.0", "store.log.1"] {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_newer_format_refuses_to_open_and_says_which() {
    let directory = tempfile::tempdir().unwrap();
    drop(Embedded::open(directory.path()).unwrap());
    tamper(directory.path(), |t| {
        t.open_table(META).unwrap().insert(META_FORMAT, FORMAT + 1).unwrap();
    });
    let error = Embedded::open(directory.path()).unwrap_err().to_string();
    assert!(error.contains("was written by a newer Groundplane (store format 3; this one knows formats up to 2)"));
}

#[test]
fn a_damaged_row_names_itself() {
    let key = key_pair(7).id.to_string();
    let row = ("eu-central-1", "KeyPair", key.as_str());
    let other = serde_json::json!({"v": 1, "record": Record::from(key_pair(8))}).to_string();
    for (value, cause) in [
        ("{\"v\":1,\"rec", "it is not the JSON of a record"),
        ("{\"v\":1,\"record\":{\"KeyPair\":{}}}", "it is not the JSON of a record"),
        ("{\"v\":1,\"record\":{\"Teapot\":{}}}", "it is not the JSON of a record"),
        ("{\"v\":2,\"record\":{}}", "its version is 2, and this program reads up to 1"),
        (other.as_str(), "it holds another record: KeyPair key-00000000000000008 in eu-central-1"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        commit(&Embedded::open(directory.path()).unwrap(), put(7)).unwrap();
        tamper(directory.path(), |t| {
            t.open_table(RECORDS).unwrap().insert(row, value.as_bytes()).unwrap();
        });
        let error = Embedded::open(directory.path()).unwrap_err();
        let named = "KeyPair key-00000000000000007 in eu-central-1 can't be read";
        assert!(error.to_string().contains(named), "{error}");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), cause);
    }
}

#[test]
fn a_file_of_something_else_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("store.redb"), vec![b'x'; 1 << 16]).unwrap();
    let error = Embedded::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::Database { .. }), "{error}");
    // A redb file, but with the tables of another program.
    let directory = tempfile::tempdir().unwrap();
    tamper(directory.path(), |t| {
        t.open_table(redb::TableDefinition::<u64, u64>::new("other")).unwrap();
    });
    let error = Embedded::open(directory.path()).unwrap_err();
    assert!(matches!(error, OpenError::NotAStore { missing: "format", .. }), "{error}");
}

/// A file in memory, on a disk that fails from its n-th operation on; it knows what was flushed.
#[derive(Debug, Clone, Default)]
pub(super) struct FaultyDisk {
    file: Arc<Mutex<FaultyFile>>,
    /// Writes and flushes that still succeed, of all the disk's files.
    operations_left: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct FaultyFile {
    written: Vec<u8>,
    flushed: Vec<u8>,
}

impl FaultyDisk {
    pub(super) fn holding(bytes: Vec<u8>, operations_left: usize) -> Self {
        Self::default().with_operations(operations_left).with_file(bytes)
    }

    fn with_operations(self, operations_left: usize) -> Self {
        Self { operations_left: Arc::new(AtomicUsize::new(operations_left)), ..self }
    }

    /// Another file of the same disk.
    fn with_file(&self, bytes: Vec<u8>) -> Self {
        let file = FaultyFile { written: bytes.clone(), flushed: bytes };
        Self { file: Arc::new(Mutex::new(file)), operations_left: self.operations_left.clone() }
    }

    pub(super) fn written(&self) -> Vec<u8> {
        self.file.lock().unwrap().written.clone()
    }

    fn flushed(&self) -> Vec<u8> {
        self.file.lock().unwrap().flushed.clone()
    }

    fn operate(&self, operation: impl FnOnce(&mut FaultyFile)) -> io::Result<()> {
        let mut file = self.file.lock().unwrap();
        let spent = |left: usize| left.checked_sub(1);
        let left = self.operations_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent);
        left.map_err(|_none| io::ErrorKind::StorageFull)?;
        operation(&mut file);
        Ok(())
    }
}

impl StorageBackend for FaultyDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let file = self.file.lock().unwrap();
        let start = offset as usize;
        let bytes = file.written.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.operate(|file| file.written.resize(len as usize, 0))
    }
    fn sync_data(&self) -> io::Result<()> {
        self.operate(|file| file.flushed = file.written.clone())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.operate(|file| {
            let end = offset as usize + data.len();
            let length = file.written.len().max(end);
            file.written.resize(length, 0);
            file.written[end - data.len()..end].copy_from_slice(data);
        })
    }
    fn try_lock_range(&self, _: std::ops::Bound<u64>, _: std::ops::Bound<u64>) -> Result<bool, redb::BackendError> {
        Ok(true)
    }
    fn unlock_range(&self, _: std::ops::Bound<u64>, _: std::ops::Bound<u64>) -> Result<(), redb::BackendError> {
        Ok(())
    }
}

/// A store's files: tables, log, log.
type Disks = [FaultyDisk; 3];

fn disks(operations_left: usize, files: [Vec<u8>; 3]) -> Disks {
    let disk = FaultyDisk::default().with_operations(operations_left);
    files.map(|bytes| disk.with_file(bytes))
}

/// Opens a store whose log is handed over after every other commit.
fn open_on(disks: &Disks) -> Result<Embedded, OpenError> {
    const TWO_COMMITS: u64 = 700;
    let directory = Path::new("a disk in memory");
    let [tables, one, other] = disks.clone();
    let database = load::builder()
        .create_with_backend(tables)
        .map_err(|e| OpenError::Database { directory: directory.to_owned(), source: e.into() })?;
    let logs = [one, other].map(|disk| Log::new(Box::new(disk)));
    Embedded::from_files(Files { database, logs, checkpoint_bytes: TWO_COMMITS }, directory)
}

/// The disk fails at each operation in turn. After the first failure no commit is answered with success, and what was
/// answered before is there after a restart: after a crash of the process, which keeps what was written, and after a
/// power cut, which keeps what was flushed.
#[test]
fn a_disk_that_fails_at_any_operation_loses_nothing_that_was_answered() {
    const COMMITS: u128 = 12;
    let mut completed = false;
    for operations in 0.. {
        let disks = disks(operations, Default::default());
        let Ok(store) = open_on(&disks) else { continue };
        let answers: Vec<_> = (0..COMMITS).map(|n| commit(&store, put(n))).collect();
        let answered = answers.iter().take_while(|a| a.is_ok()).count();
        let refusals = &answers[answered..];
        assert!(refusals.iter().all(|a| matches!(a, Err(CommitError::Failed { .. }))), "{answers:?}");
        let kept: Vec<u128> = (0..answered as u128).collect();
        assert_eq!(stored_keys(&store), kept, "readers see what is durable, with {operations} operations");
        drop(store);
        let [written, flushed] = [FaultyDisk::written, FaultyDisk::flushed].map(|what| disks.each_ref().map(what));
        for (survivor, bytes) in [("process crash", written), ("power cut", flushed)] {
            let store = open_on(&self::disks(usize::MAX, bytes)).unwrap();
            assert!(stored_keys(&store).starts_with(&kept), "{survivor} with {operations} operations");
            assert_eq!(store.snapshot().generation.0 as usize, stored_keys(&store).len());
        }
        // Something is left: the last checkpoint, too, has met no failure.
        if disks[0].operations_left.load(Ordering::Relaxed) > 0 {
            completed = true;
            break;
        }
    }
    assert!(completed);
}

#[test]
fn commits_that_wait_together_share_a_flush() {
    let disks = disks(usize::MAX, Default::default());
    let store = open_on(&disks).unwrap();
    let left = || disks[0].operations_left.load(Ordering::Relaxed);
    let before = left();
    // While the locks of the logs are held the writer is stuck in its first batch, and all others gather behind it.
    let held = [&disks[1], &disks[2]].map(|log| log.file.lock().unwrap());
    let commits: Vec<_> = (0..200).map(|n| store.commit(store.head().generation, put(n))).collect();
    drop(held);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for committed in commits {
        runtime.block_on(committed).unwrap();
    }
    let operations = before - left();
    assert!(operations < 100, "200 commits took {operations} disk operations");
    assert_eq!(stored_keys(&store).len(), 200);
}

#[test]
fn a_store_without_a_log_is_read_and_gets_one() {
    let directory = tempfile::tempdir().unwrap();
    commit(&Embedded::open(directory.path()).unwrap(), put(7)).unwrap();
    // As format 1 left it.
    for name in ["store.log.0", "store.log.1"] {
        std::fs::remove_file(directory.path().join(name)).unwrap();
    }
    tamper(directory.path(), |t| drop(t.open_table(META).unwrap().insert(META_FORMAT, 1).unwrap()));
    let store = Embedded::open(directory.path()).unwrap();
    assert_eq!(commit(&store, put(8)), Ok(Generation(2)));
    drop(store);
    assert_eq!(stored_keys(&Embedded::open(directory.path()).unwrap()), [7, 8]);
    tamper(directory.path(), |t| {
        let format = t.open_table(META).unwrap().get(META_FORMAT).unwrap().map(|row| row.value());
        assert_eq!(format, Some(FORMAT), "a program that knows no log must not open it");
    });
}

#[test]
fn a_log_that_lacks_a_generation_is_damage() {
    let disks = disks(usize::MAX, Default::default());
    let [first, last] = [2, 2].map(Generation);
    Log::new(Box::new(disks[1].clone())).append(&Entry { first, last, rows: Vec::new() }).unwrap();
    let error = open_on(&disks).unwrap_err();
    assert!(error.to_string().ends_with("is damaged: its log lacks generation 1"), "{error}");
}
