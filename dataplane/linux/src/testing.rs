//! Helpers of this crate's tests.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// True as root; otherwise prints why the test does nothing.
pub(crate) fn root_or_skip() -> bool {
    // SAFETY: geteuid has no arguments and can't fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        println!("skipped: needs root");
    }
    is_root
}

/// A frame of `length` bytes with an experimental type, to nobody.
pub(crate) fn frame(length: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5];
    frame.extend((0..length - frame.len()).map(|i| i as u8));
    frame
}

/// The next frame of our experimental type out of a TAP, which is sent again and again: a TAP that has just been opened
/// drops what comes until the kernel has noticed that it has a reader.
pub(crate) fn read_frame(fd: &OwnedFd, mut send: impl FnMut()) -> Vec<u8> {
    let mut file = File::from(fd.try_clone().unwrap());
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut buffer = vec![0; 70_000];
    while Instant::now() < deadline {
        send();
        for _ in 0..50 {
            match file.read(&mut buffer) {
                Ok(length) if buffer[12..14] == [0x88, 0xb5] => return buffer[..length].to_vec(),
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
    panic!("no frame came out of the TAP");
}
