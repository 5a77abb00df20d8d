//! `bpf(2)`: the few commands on maps that are needed here. aya has no batches and wants exclusive access for writes.
//!
//! Layouts are those of `union bpf_attr` in `<linux/bpf.h>`; the kernel takes a shorter attr than its own.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};

const MAP_LOOKUP_ELEM: u32 = 1;
const MAP_UPDATE_ELEM: u32 = 2;
const MAP_DELETE_ELEM: u32 = 3;
const MAP_LOOKUP_AND_DELETE_ELEM: u32 = 21;
const MAP_LOOKUP_BATCH: u32 = 24;

/// What an update may find under its key.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(crate) enum Found {
    Anything = 0,
    Something = 2,
}

#[repr(C)]
struct ElementAttr {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    element_flags: u64,
    flags: u64,
}

/// # Safety
/// `attr` is the struct of `command`, and every address in it is that of memory as large as the kernel will use.
unsafe fn bpf<T>(command: u32, attr: &mut T) -> io::Result<()> {
    // SAFETY: the attr is a live, initialised struct of the length told; the caller vouches for what it points to.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn element(map: BorrowedFd<'_>, key: &[u8], value: u64, flags: u64) -> ElementAttr {
    ElementAttr { map_fd: map.as_raw_fd() as u32, padding: 0, key: key.as_ptr() as u64, value, flags }
}

fn none_if_missing(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads the value under `key`; false where there is none.
///
/// # Safety
/// `key` and `value` have the sizes of the map (for a per-CPU map, the value's times the number of possible CPUs).
pub(crate) unsafe fn lookup(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
    let mut attr = element(map, key, value.as_mut_ptr() as u64, 0);
    // SAFETY: both buffers outlive the call and have the sizes that the caller vouches for.
    none_if_missing(unsafe { bpf(MAP_LOOKUP_ELEM, &mut attr) })
}

/// Reads and removes the value under `key`; false where there is none.
///
/// # Safety
/// As [`lookup`].
pub(crate) unsafe fn take(map: BorrowedFd<'_>, key: &[u8], value: &mut [u8]) -> io::Result<bool> {
    let mut attr = element(map, key, value.as_mut_ptr() as u64, 0);
    // SAFETY: as in `lookup`.
    none_if_missing(unsafe { bpf(MAP_LOOKUP_AND_DELETE_ELEM, &mut attr) })
}

/// Writes `value` under `key`; false where `found` asks for an old value and there is none.
///
/// # Safety
/// As [`lookup`].
pub(crate) unsafe fn update(map: BorrowedFd<'_>, key: &[u8], value: &[u8], found: Found) -> io::Result<bool> {
    let mut attr = element(map, key, value.as_ptr() as u64, found as u64);
    // SAFETY: as in `lookup`; the kernel only reads both.
    none_if_missing(unsafe { bpf(MAP_UPDATE_ELEM, &mut attr) })
}

/// Removes `key`; false where it was not there.
///
/// # Safety
/// `key` has the size of the map's keys.
pub(crate) unsafe fn delete(map: BorrowedFd<'_>, key: &[u8]) -> io::Result<bool> {
    let mut attr = element(map, key, 0, 0);
    // SAFETY: the key outlives the call and has the size that the caller vouches for.
    none_if_missing(unsafe { bpf(MAP_DELETE_ELEM, &mut attr) })
}

/// How far a walk by batches has come. A hash map's position is the number of a bucket.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Position(Option<u32>);

/// One batch of a walk.
pub(crate) struct Batch {
    /// Entries that were written to the buffers.
    pub count: usize,
    pub next: Position,
    pub is_last: bool,
}

/// Reads as many whole buckets as `room` entries hold, from `position` on.
///
/// # Errors
/// `ENOSPC` where one bucket holds more than `room` entries: try again with more room.
///
/// # Safety
/// The map is a hash map; `keys` and `values` have room for `room` keys and values of the map's sizes.
pub(crate) unsafe fn lookup_batch(
    map: BorrowedFd<'_>,
    position: Position,
    room: u32,
    keys: &mut [u8],
    values: &mut [u8],
) -> io::Result<Batch> {
    let mut next = 0u32;
    let mut attr = BatchAttr {
        in_batch: position.0.as_ref().map_or(0, |bucket| &raw const *bucket as u64),
        out_batch: &raw mut next as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count: room,
        map_fd: map.as_raw_fd() as u32,
        element_flags: 0,
        flags: 0,
    };
    // SAFETY: the positions are live u32s, which is what hash maps use; the caller vouches for the buffers.
    let is_last = match unsafe { bpf(MAP_LOOKUP_BATCH, &mut attr) } {
        Ok(()) => false,
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
        Err(error) => return Err(error),
    };
    Ok(Batch { count: attr.count as usize, next: Position(Some(next)), is_last })
}

fn mmap(map: BorrowedFd<'_>, bytes: usize, protection: i32, offset: usize) -> io::Result<NonNull<u8>> {
    let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
    // SAFETY: a new mapping at a place of the kernel's choice touches nothing of ours.
    let start =
        unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, map.as_raw_fd(), offset) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(start.cast()).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// An array of the kernel, mapped for reading and writing: the same memory that the program works on.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: it is memory that nothing moves, reached only by atomic operations.
unsafe impl Send for Mapping {}
// SAFETY: as for Send.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `words` of an array that was made with BPF_F_MMAPABLE.
    ///
    /// # Errors
    /// The array is smaller, or was made otherwise.
    pub fn new(map: BorrowedFd<'_>, words: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let start = mmap(map, words * size_of::<AtomicU64>(), protection, 0)?.cast();
        Ok(Self { start, words })
    }

    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: `new` has mapped that many words, zeroed or written by the program, until `drop`; the kernel only lets
        // an array be mapped as far as it goes.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: start and length are those of the mapping, and nobody holds a reference to it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.words * size_of::<AtomicU64>()) };
    }
}

/// A BPF ring buffer, mapped: the reader's position, the writers', and the records.
#[derive(Debug)]
pub(crate) struct RingMapping {
    consumer: NonNull<u8>,
    producer: NonNull<u8>,
    page: usize,
    /// Of the records; a power of two.
    bytes: usize,
}

// SAFETY: it is memory that nothing moves; positions and lengths are reached by atomic operations, and records once
// their length says that they are written.
unsafe impl Send for RingMapping {}

impl RingMapping {
    /// Maps a ring of so many bytes.
    ///
    /// # Errors
    /// The ring has another size.
    pub fn new(map: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        // SAFETY: sysconf takes a plain integer.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).map_err(io::Error::other)?;
        let consumer = mmap(map, page, libc::PROT_READ | libc::PROT_WRITE, 0)?;
        match mmap(map, page + 2 * bytes, libc::PROT_READ, page) {
            Ok(producer) => Ok(Self { consumer, producer, page, bytes }),
            Err(error) => {
                // SAFETY: it has just been mapped with this length, and nobody knows of it.
                unsafe { libc::munmap(consumer.as_ptr().cast(), page) };
                Err(error)
            }
        }
    }

    pub fn consumer(&self) -> &AtomicUsize {
        // SAFETY: a page of its own begins with the position, for as long as the mapping lives.
        unsafe { self.consumer.cast().as_ref() }
    }

    pub fn producer(&self) -> &AtomicUsize {
        // SAFETY: as for the consumer; it is only ever read.
        unsafe { self.producer.cast().as_ref() }
    }

    /// The length of the record at this position, with its flags.
    pub fn header(&self, at: usize) -> &AtomicU32 {
        // SAFETY: positions are multiples of eight, and masked they lie within the records.
        unsafe { self.record(at & !7).cast().as_ref() }
    }

    /// A value that is wholly written.
    pub fn read<T: bytemuck::Pod>(&self, at: usize) -> T {
        const { assert!(size_of::<T>() <= 4096) };
        // SAFETY: masked it begins within the records, which are mapped twice in a row and are longer than T; any bytes
        // are a T.
        unsafe { self.record(at).cast().read_unaligned() }
    }

    fn record(&self, at: usize) -> NonNull<u8> {
        // SAFETY: behind the writers' page there are twice so many bytes as the mask lets through.
        unsafe { self.producer.add(self.page + (at & (self.bytes - 1))) }
    }
}

impl Drop for RingMapping {
    fn drop(&mut self) {
        // SAFETY: starts and lengths are those of the mappings, and nobody holds a reference to them any more.
        unsafe {
            libc::munmap(self.consumer.as_ptr().cast(), self.page);
            libc::munmap(self.producer.as_ptr().cast(), self.page + 2 * self.bytes);
        }
    }
}
