//! Checkpoints: the log's entries, put into the tables by many at a time, behind everybody's back.
//!
//! A row's place in the tables is as random as its id, so each row that is written costs a page and those above it.
//! Written by the thousand they share the upper ones and a flush, and nobody waits for it.

use super::log::Entry;
use super::row::{META, META_GENERATION, RECORDS, RowName};
use redb::Database;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, mpsc};

/// Puts what comes into the tables until nobody is left to send, or one has failed. It takes the next only when the one
/// before it is durable, so a rendezvous channel tells when that is.
pub(super) fn run(database: &Database, entries: mpsc::Receiver<Vec<Entry>>, failure: &Arc<OnceLock<String>>) {
    for entries in entries {
        if let Err(error) = apply(database, entries) {
            super::writer::fail(failure, &error);
            return;
        }
    }
}

/// Puts entries into the tables, durably and all or none. What several of them write is written once.
pub(super) fn apply(database: &Database, entries: Vec<Entry>) -> Result<(), redb::Error> {
    let Some(last) = entries.last().map(|entry| entry.last) else { return Ok(()) };
    let rows = entries.into_iter().flat_map(|entry| entry.rows).map(|row| (row.name, row.value));
    let rows: BTreeMap<RowName, Option<Vec<u8>>> = rows.collect();
    let transaction = database.begin_write()?;
    {
        let mut records = transaction.open_table(RECORDS)?;
        for (name, value) in &rows {
            let key = (name.region.as_str(), name.kind.as_str(), name.key.as_str());
            match value {
                Some(value) => records.insert(key, value.as_slice())?,
                None => records.remove(key)?,
            };
        }
        transaction.open_table(META)?.insert(META_GENERATION, last.0)?;
    }
    // redb's default durability: returns after the flush.
    transaction.commit()?;
    Ok(())
}
