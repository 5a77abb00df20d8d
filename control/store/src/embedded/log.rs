//! The log: what has been committed since the last checkpoint, so that a flush is one write at one place.
//!
//! ```text
//! entry  length u32 │ CRC-32 u32 │ first generation u64 │ last u64 │ row …        all little-endian
//! row    region │ kind │ key │ value            each: length u32 │ bytes; no value: length u32::MAX
//! ```
//!
//! A log is written from its start again after each checkpoint, over what it held: the file keeps its size, so a flush
//! is of data alone. What an entry says of generations tells it from the older ones behind it, and its checksum from
//! one that a crash cut short. Nobody was answered for that one, since an entry is flushed before its answers go out and
//! before the next is written.

use super::row::{RowChange, RowName};
use gp_model::Generation;
use redb::StorageBackend;
use std::io;

/// What one flush makes durable: commits that follow each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) first: Generation,
    pub(super) last: Generation,
    pub(super) rows: Vec<RowChange>,
}

/// A file that is appended to from its start.
#[derive(Debug)]
pub(super) struct Log {
    file: Box<dyn StorageBackend>,
    end: u64,
    /// Room for an entry's bytes.
    buffer: Vec<u8>,
}

/// Bytes of an entry before its generations.
const HEAD: usize = 8;
/// In the place of a value's length.
const NO_VALUE: u32 = u32::MAX;

impl Log {
    /// An empty log. What the file holds is there until it is written over.
    pub(super) fn new(file: Box<dyn StorageBackend>) -> Self {
        Self { file, end: 0, buffer: Vec::new() }
    }

    /// Forgets what was appended: the next entry is the first.
    pub(super) fn restart(&mut self) {
        self.end = 0;
    }

    /// Bytes of the entries since the start.
    pub(super) fn len(&self) -> u64 {
        self.end
    }

    /// Appends an entry. When this returns it is durable.
    ///
    /// # Errors
    /// The file's; whether the entry is there is unknown then. An entry of 4 GiB or more is refused.
    pub(super) fn append(&mut self, entry: &Entry) -> io::Result<()> {
        self.buffer.clear();
        encode(entry, &mut self.buffer)?;
        self.file.write(self.end, &self.buffer)?;
        self.file.sync_data()?;
        self.end += self.buffer.len() as u64;
        Ok(())
    }

    /// The entries that the file holds from its start on: each follows the one before it.
    ///
    /// # Errors
    /// The file's.
    pub(super) fn entries(&self) -> io::Result<Vec<Entry>> {
        let too_long = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        let mut bytes = vec![0; usize::try_from(self.file.len()?).map_err(too_long)?];
        self.file.read(0, &mut bytes)?;
        let mut rest = bytes.as_slice();
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(entry) = decode(&mut rest) {
            if entries.last().is_some_and(|before| entry.first.0 != before.last.0 + 1) {
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

fn encode(entry: &Entry, out: &mut Vec<u8>) -> io::Result<()> {
    out.resize(HEAD, 0);
    out.extend(entry.first.0.to_le_bytes());
    out.extend(entry.last.0.to_le_bytes());
    for RowChange { name, value } in &entry.rows {
        for text in [&name.region, &name.kind, &name.key] {
            put(text.as_bytes(), out)?;
        }
        match value {
            Some(value) => put(value, out)?,
            None => out.extend(NO_VALUE.to_le_bytes()),
        }
    }
    let (head, body) = out.split_at_mut(HEAD);
    let (length, sum) = head.split_at_mut(HEAD / 2);
    length.copy_from_slice(&length_of(body)?.to_le_bytes());
    sum.copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    Ok(())
}

fn put(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend(length_of(bytes)?.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

fn length_of(bytes: &[u8]) -> io::Result<u32> {
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length != NO_VALUE);
    length.ok_or_else(|| io::ErrorKind::FileTooLarge.into())
}

/// Takes the entry at the start of `bytes`; `None` if there is no whole one.
fn decode(bytes: &mut &[u8]) -> Option<Entry> {
    let length = take_u32(bytes)?;
    let sum = take_u32(bytes)?;
    let mut body = take(bytes, length as usize)?;
    if crc32fast::hash(body) != sum {
        return None;
    }
    let (first, last) = (Generation(take_u64(&mut body)?), Generation(take_u64(&mut body)?));
    let mut rows = Vec::new();
    while !body.is_empty() {
        rows.push(take_row(&mut body)?);
    }
    (first <= last).then_some(Entry { first, last, rows })
}

fn take_row(body: &mut &[u8]) -> Option<RowChange> {
    let name = RowName { region: take_text(body)?, kind: take_text(body)?, key: take_text(body)? };
    let value = match take_u32(body)? {
        NO_VALUE => None,
        length => Some(take(body, length as usize)?.to_vec()),
    };
    Some(RowChange { name, value })
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(taken)
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(take(bytes, size_of::<u32>())?.try_into().ok()?))
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(take(bytes, size_of::<u64>())?.try_into().ok()?))
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let length = take_u32(bytes)?;
    String::from_utf8(take(bytes, length as usize)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::FaultyDisk;
    use super::*;

    fn entry(first: u64, last: u64, value: Option<&str>) -> Entry {
        let name = RowName { region: "eu-central-1".into(), kind: "KeyPair".into(), key: format!("key-ä{first}") };
        let row = RowChange { name, value: value.map(|text| text.as_bytes().to_vec()) };
        Entry { first: Generation(first), last: Generation(last), rows: vec![row] }
    }

    fn log(disk: &FaultyDisk) -> Log {
        Log::new(Box::new(disk.clone()))
    }

    #[test]
    fn what_is_appended_is_read_back() {
        let disk = FaultyDisk::holding(Vec::new(), usize::MAX);
        assert_eq!(log(&disk).entries().unwrap(), []);
        let mut written = log(&disk);
        let entries = [entry(5, 5, Some("{}")), entry(6, 9, None), entry(10, 10, Some(""))];
        entries.iter().for_each(|entry| written.append(entry).unwrap());
        assert_eq!(log(&disk).entries().unwrap(), entries);
    }

    #[test]
    fn older_entries_behind_the_new_ones_are_not_read() {
        let disk = FaultyDisk::holding(Vec::new(), usize::MAX);
        let mut written = log(&disk);
        (1..=4).for_each(|n| written.append(&entry(n, n, Some("as long as the others"))).unwrap());
        written.restart();
        // As long as the old ones, so that the next begins where an old one does.
        (5..=6).for_each(|n| written.append(&entry(n, n, Some("as long as the others"))).unwrap());
        let read: Vec<u64> = log(&disk).entries().unwrap().iter().map(|entry| entry.first.0).collect();
        assert_eq!(read, [5, 6]);
    }

    #[test]
    fn an_entry_that_was_cut_short_or_garbled_anywhere_ends_the_log() {
        let disk = FaultyDisk::holding(Vec::new(), usize::MAX);
        let mut written = log(&disk);
        written.append(&entry(1, 1, Some("whole"))).unwrap();
        let whole = written.len() as usize;
        written.append(&entry(2, 3, Some("cut short"))).unwrap();
        let bytes = disk.written();
        for at in whole..bytes.len() {
            let cut = FaultyDisk::holding(bytes[..at].to_vec(), usize::MAX);
            assert_eq!(log(&cut).entries().unwrap(), [entry(1, 1, Some("whole"))], "cut at {at}");
            let mut garbled = bytes.clone();
            garbled[at] ^= 0x10;
            let garbled = FaultyDisk::holding(garbled, usize::MAX);
            assert_eq!(log(&garbled).entries().unwrap(), [entry(1, 1, Some("whole"))], "garbled at {at}");
        }
    }
}
