//! Opening the files, putting what the log holds into the tables, and building the worlds from their rows.

use super::checkpoint;
use super::log::{Entry, Log};
use super::row::{self, META, META_FORMAT, META_GENERATION, RECORDS, RowError, RowName};
use super::writer::{CHECKPOINT_BYTES, Files};
use crate::Snapshot;
use gp_model::{Change, Generation, Record, Region, World};
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

/// Version of the store that this program writes; one with a newer version is not opened. 1: no log, the same tables.
pub const FORMAT: u64 = 2;

/// The store's files within its directory: the tables, and the logs that take turns.
const FILE_NAME: &str = "store.redb";
const LOG_NAMES: [&str; 2] = ["store.log.0", "store.log.1"];
/// Memory for redb's pages, in bytes. Little is read after the start: readers use the worlds in memory.
const CACHE_BYTES: usize = 32 << 20;

/// Why a store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{} is in use by another Groundplane; stop that one, or give this one its own --name or --data-dir", directory.display())]
    InUse { directory: PathBuf },
    #[error(
        "{} was written by a newer Groundplane (store format {found}; this one knows formats up to {FORMAT}); use that one, or another --data-dir",
        directory.display()
    )]
    NewerFormat { directory: PathBuf, found: u64 },
    #[error("the store in {} has no row for its {missing}: it isn't a Groundplane store, or it is damaged", directory.display())]
    NotAStore { directory: PathBuf, missing: &'static str },
    #[error("the store in {} is damaged: {row} can't be read", directory.display())]
    Row {
        directory: PathBuf,
        row: RowName,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("can't make {}", path.display())]
    Make {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("can't read the log of the store in {}", directory.display())]
    Log {
        directory: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the store in {} is damaged: its log lacks generation {}", directory.display(), missing.0)]
    LogGap { directory: PathBuf, missing: Generation },
    #[error("can't read the store in {}", directory.display())]
    Database {
        directory: PathBuf,
        #[source]
        source: redb::Error,
    },
    #[error("can't start the store's writer thread")]
    Thread {
        #[source]
        source: io::Error,
    },
}

/// Opens the files, readable by nobody else, and makes sure that their names survive a power cut.
pub(super) fn open_files(directory: &Path) -> Result<Files, OpenError> {
    let making = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Make { path, source }
    };
    let open = |name: &str| {
        let path = directory.join(name);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        file.map_err(making(&path))
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(making(directory))?;
    let tables = open(FILE_NAME)?;
    let logs = [open(LOG_NAMES[0])?, open(LOG_NAMES[1])?];
    File::open(directory).and_then(|entry| entry.sync_all()).map_err(making(directory))?;
    let log = |file| FileBackend::new(file).map(|file| Log::new(Box::new(file))).map_err(failed(directory));
    let [one, other] = logs.map(log);
    // The tables' lock is the store's.
    let database = builder().create_file(tables).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { directory: directory.to_owned() },
        other => failed(directory)(other),
    })?;
    Ok(Files { database, logs: [one?, other?], checkpoint_bytes: CHECKPOINT_BYTES })
}

/// Names the directory in an error of redb, whichever of its error types it is.
fn failed<E: Into<redb::Error>>(directory: &Path) -> impl Fn(E) -> OpenError {
    move |source| OpenError::Database { directory: directory.to_owned(), source: source.into() }
}

pub(super) fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// The worlds in the files. New files get their format row first, and what only a log holds goes into the tables.
pub(super) fn load(files: &Files, directory: &Path) -> Result<Snapshot, OpenError> {
    let database = &files.database;
    if is_new(database).map_err(failed(directory))? {
        initialise(database).map_err(failed(directory))?;
    }
    let stored = check_meta(database, directory)?;
    let generation = recover(files, stored, directory)?;
    let mut worlds: BTreeMap<String, World> = BTreeMap::new();
    // Reading and indexing take about as long as each other, so each has a processor.
    let (batches, read) = mpsc::sync_channel(BATCHES_MAX);
    thread::scope(|scope| {
        let reader = scope.spawn(|| read_records(database, directory, batches));
        for (region, record) in read.into_iter().flatten() {
            let world = match worlds.get_mut(&region) {
                Some(world) => world,
                None => worlds.entry(region.clone()).or_insert_with(|| World::new(Region::new(&region))),
            };
            world.apply(Change::Put(record));
        }
        reader.join().unwrap_or_else(|panic| resume_unwind(panic))
    })?;
    let regions = worlds.into_values().map(|world| (world.region.clone(), Arc::new(world))).collect();
    Ok(Snapshot { generation, regions })
}

/// Puts the entries of the logs that the tables, of generation `stored`, lack into them; gives their generation then.
fn recover(files: &Files, stored: Generation, directory: &Path) -> Result<Generation, OpenError> {
    let mut entries = Vec::new();
    for log in &files.logs {
        let read = log.entries().map_err(|source| OpenError::Log { directory: directory.to_owned(), source })?;
        entries.extend(read.into_iter().filter(|entry| entry.last > stored));
    }
    entries.sort_by_key(|entry| entry.first);
    let mut generation = stored;
    for Entry { first, last, .. } in &entries {
        let next = Generation(generation.0 + 1);
        if *first != next {
            return Err(OpenError::LogGap { directory: directory.to_owned(), missing: next });
        }
        generation = *last;
    }
    checkpoint::apply(&files.database, entries).map_err(failed(directory))?;
    Ok(generation)
}

/// Records with their regions, and how many of such batches wait to be indexed.
type Batch = Vec<(String, Record)>;
const BATCH: usize = 512;
const BATCHES_MAX: usize = 8;

/// Decodes every row.
fn read_records(database: &Database, directory: &Path, batches: mpsc::SyncSender<Batch>) -> Result<(), OpenError> {
    let transaction = database.begin_read().map_err(failed(directory))?;
    let records = transaction.open_table(RECORDS).map_err(failed(directory))?;
    let mut batch = Batch::with_capacity(BATCH);
    for entry in records.iter().map_err(failed(directory))? {
        let (key, value) = entry.map_err(failed(directory))?;
        let (region, kind, id) = key.value();
        let name = RowName { region: region.to_owned(), kind: kind.to_owned(), key: id.to_owned() };
        let record = row::decode(&name, value.value()).map_err(|source: RowError| OpenError::Row {
            directory: directory.to_owned(),
            row: name.clone(),
            source: Box::new(source),
        })?;
        batch.push((name.region, record));
        if batch.len() == BATCH {
            // The other side takes them all, unless it panics, which this must not hide.
            let _ = batches.send(std::mem::replace(&mut batch, Batch::with_capacity(BATCH)));
        }
    }
    let _ = batches.send(batch);
    Ok(())
}

/// A crash may come before the first transaction of a new store: then the file has no tables, and is still new.
fn is_new(database: &Database) -> Result<bool, redb::Error> {
    let transaction = database.begin_read()?;
    Ok(transaction.list_tables()?.next().is_none())
}

fn initialise(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(META_FORMAT, FORMAT)?;
        meta.insert(META_GENERATION, 0)?;
        transaction.open_table(RECORDS)?;
    }
    transaction.commit()?;
    Ok(())
}

/// Checks the format, which becomes the newest, and gives the tables' generation.
fn check_meta(database: &Database, directory: &Path) -> Result<Generation, OpenError> {
    let read = || -> Result<_, redb::Error> {
        let transaction = database.begin_read()?;
        let meta = match transaction.open_table(META) {
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok((None, None)),
            other => other?,
        };
        let number = |name| -> Result<Option<u64>, redb::Error> { Ok(meta.get(name)?.map(|row| row.value())) };
        Ok((number(META_FORMAT)?, number(META_GENERATION)?))
    };
    let (format, generation) = read().map_err(failed(directory))?;
    let missing = |missing| OpenError::NotAStore { directory: directory.to_owned(), missing };
    let format = format.ok_or_else(|| missing("format"))?;
    if format > FORMAT {
        return Err(OpenError::NewerFormat { directory: directory.to_owned(), found: format });
    }
    if format < FORMAT {
        // Before the first entry of a log, which a program that knows no log would not read.
        set_format(database).map_err(failed(directory))?;
    }
    generation.map(Generation).ok_or_else(|| missing("generation"))
}

fn set_format(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert(META_FORMAT, FORMAT)?;
    transaction.commit()?;
    Ok(())
}
