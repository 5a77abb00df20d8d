//! A hash map of the kernel with typed keys and values: the one place that knows that the sizes fit.

use crate::error::MapError;
use crate::sys::{self, Found, Position};
use aya::maps::MapData;
use bytemuck::Pod;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Entries that a walk asks for at once; grows where one bucket holds more. No more, since a kernel that doesn't preempt itself
/// lets packets wait on this CPU meanwhile.
const BATCH_ENTRIES: u32 = 256;

/// A handle on one map.
#[derive(Debug)]
pub(crate) struct Table<K, V> {
    name: &'static str,
    fd: Arc<OwnedFd>,
    types: PhantomData<fn(K) -> V>,
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        Self { name: self.name, fd: Arc::clone(&self.fd), types: PhantomData }
    }
}

impl<K: Pod, V: Pod> Table<K, V> {
    /// # Safety
    /// `fd` is a hash or array map, not per CPU, whose keys and values have the sizes of `K` and `V`.
    pub unsafe fn new(name: &'static str, fd: OwnedFd) -> Self {
        Self { name, fd: Arc::new(fd), types: PhantomData }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What it may hold, as the kernel has it.
    pub fn max_entries(&self) -> Result<u32, MapError> {
        let failed = |error: aya::maps::MapError| self.error("size", io::Error::other(error));
        let fd = self.fd.try_clone().map_err(|error| self.error("size", error))?;
        MapData::from_fd(fd).and_then(|data| data.info()).map(|info| info.max_entries()).map_err(failed)
    }

    fn error(&self, operation: &'static str, source: io::Error) -> MapError {
        match source.raw_os_error() {
            Some(libc::E2BIG | libc::ENOMEM) => MapError::Full { map: self.name },
            _ => MapError::Call { map: self.name, operation, source },
        }
    }

    pub fn get(&self, key: &K) -> Result<Option<V>, MapError> {
        let mut value = V::zeroed();
        // SAFETY: `new`'s promise on the sizes.
        let found = unsafe { sys::lookup(self.fd(), bytemuck::bytes_of(key), bytemuck::bytes_of_mut(&mut value)) };
        found.map(|found| found.then_some(value)).map_err(|error| self.error("read", error))
    }

    /// # Errors
    /// [`MapError::Full`] for a new key in a full map.
    pub fn insert(&self, key: &K, value: &V) -> Result<(), MapError> {
        self.update(key, value, Found::Anything).map(drop)
    }

    /// Writes where the key is already; false where it isn't.
    pub fn replace(&self, key: &K, value: &V) -> Result<bool, MapError> {
        self.update(key, value, Found::Something)
    }

    fn update(&self, key: &K, value: &V, found: Found) -> Result<bool, MapError> {
        // SAFETY: `new`'s promise on the sizes.
        unsafe { sys::update(self.fd(), bytemuck::bytes_of(key), bytemuck::bytes_of(value), found) }
            .map_err(|error| self.error("write", error))
    }

    pub fn remove(&self, key: &K) -> Result<bool, MapError> {
        // SAFETY: `new`'s promise on the sizes.
        unsafe { sys::delete(self.fd(), bytemuck::bytes_of(key)) }.map_err(|error| self.error("remove from", error))
    }

    /// Removes and answers the last value, with nothing lost in between.
    pub fn take(&self, key: &K) -> Result<Option<V>, MapError> {
        let mut value = V::zeroed();
        // SAFETY: `new`'s promise on the sizes.
        let found = unsafe { sys::take(self.fd(), bytemuck::bytes_of(key), bytemuck::bytes_of_mut(&mut value)) };
        found.map(|found| found.then_some(value)).map_err(|error| self.error("remove from", error))
    }

    /// Calls `visit` for each entry of a hash map. Entries that stay during the walk are seen exactly once; of those
    /// that come and go meanwhile, some are seen.
    pub fn scan(&self, mut visit: impl FnMut(&K, &V)) -> Result<(), MapError> {
        let mut room = BATCH_ENTRIES;
        let mut position = Position::default();
        loop {
            let mut keys = vec![K::zeroed(); room as usize];
            let mut values = vec![V::zeroed(); room as usize];
            // SAFETY: the buffers hold `room` keys and values; sizes by `new`'s promise.
            let batch = unsafe {
                let (keys, values) = (bytemuck::cast_slice_mut(&mut keys), bytemuck::cast_slice_mut(&mut values));
                sys::lookup_batch(self.fd(), position, room, keys, values)
            };
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && room < u32::MAX / 2 => {
                    room *= 2;
                    continue;
                }
                Err(error) => return Err(self.error("walk", error)),
            };
            keys.iter().zip(&values).take(batch.count).for_each(|(key, value)| visit(key, value));
            if batch.is_last {
                return Ok(());
            }
            position = batch.next;
        }
    }

    pub fn len(&self) -> Result<usize, MapError> {
        let mut entries = 0;
        self.scan(|_, _| entries += 1)?;
        Ok(entries)
    }
}
