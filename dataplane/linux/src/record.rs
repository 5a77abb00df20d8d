//! Small JSON files by which a later process finds what an earlier one left running.

use crate::error::{Context, LinuxError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::path::Path;

/// Writes a record so that a crash of ours leaves either all of it or what was there before. It is not made to outlive a
/// crash of the host: what it tells of does not either.
///
/// # Errors
/// The directory is not there, or can't be written to.
pub fn save_record(path: &Path, record: &impl Serialize) -> Result<(), LinuxError> {
    let what = || format!("write {}", path.display());
    let text = serde_json::to_vec(record).context(what)?;
    let fresh = path.with_extension("new");
    fs::write(&fresh, text).context(what)?;
    fs::rename(&fresh, path).context(what)
}

/// Reads a record; none where there is none, or one that can't be read as this.
pub fn load_record<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_saved_and_a_broken_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thing.json");
        assert_eq!(load_record::<u32>(&path), None);
        for record in [1, 2] {
            save_record(&path, &record).unwrap();
            assert_eq!(load_record::<u32>(&path), Some(record));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing but the record is left");
        fs::write(&path, "{").unwrap();
        assert_eq!(load_record::<u32>(&path), None);
        let error = save_record(&dir.path().join("not-there/thing.json"), &1).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{error}");
    }
}
