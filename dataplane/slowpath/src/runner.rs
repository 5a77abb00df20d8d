//! The thread that takes upcalls from the TAP, and hears of connections that the fast path has let begin.
//!
//! One thread, since the engine has one lock. It sleeps in poll until a frame comes, then reads until there is none, so
//! a burst costs one wake-up. News of connections wait for others to come with them, unless an upcall comes first: then
//! they cost one wake-up in [`NEWS_WAIT_MS`] at most, and not one each.

use crate::clock::Now;
use crate::engine::Engine;
use crate::kernel::Kernel;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

/// The largest frame that a TAP delivers, with the upcall's header in front.
const BUFFER_BYTES: usize = 65_536 + 32;

/// Frames that are read before the time is read again.
const FRAMES_PER_CLOCK: usize = 64;

/// How long news of a connection may wait, in milliseconds.
const NEWS_WAIT_MS: i32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    #[error("cannot make an event descriptor")]
    Event(#[source] io::Error),
    #[error("cannot start the upcall thread")]
    Thread(#[source] io::Error),
}

/// The running thread; dropping it stops the thread and waits for its end.
#[derive(Debug)]
pub struct UpcallRunner {
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl UpcallRunner {
    /// Starts to take upcalls from `tap`, which must not block.
    ///
    /// # Errors
    /// No descriptor or thread is to be had.
    pub fn start<K: Kernel + 'static>(engine: Arc<Engine<K>>, tap: OwnedFd) -> Result<Self, RunnerError> {
        let stop = Arc::new(event().map_err(RunnerError::Event)?);
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("gp-upcalls".into())
            .spawn(move || take_upcalls(&engine, &tap, &stopped))
            .map_err(RunnerError::Thread)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for UpcallRunner {
    fn drop(&mut self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the descriptor is open as long as `self.stop`, and the buffer has the eight bytes of an eventfd.
        unsafe { libc::write(self.stop.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended too, which is all that is wanted here.
            let _ = thread.join();
        }
    }
}

fn event() -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: eventfd takes plain integers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor has just been made and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn take_upcalls<K: Kernel>(engine: &Engine<K>, tap: &OwnedFd, stop: &OwnedFd) {
    let mut buffer = vec![0u8; BUFFER_BYTES];
    let mut has_news = false;
    loop {
        match wait(tap, stop, engine.kernel.opened_fd().filter(|_| !has_news), has_news) {
            Ok(Woken::Stop) => return,
            Ok(Woken::News) => has_news = true,
            Ok(Woken::Late) => {
                engine.catch_up(Now::read());
                has_news = false;
            }
            Ok(Woken::Frames) => {
                has_news = false;
                while let Some(error) = drain(engine, tap, &mut buffer) {
                    match error.kind() {
                        io::ErrorKind::WouldBlock => break,
                        io::ErrorKind::Interrupted => {}
                        _ => {
                            tracing::error!(%error, "the upcall TAP can't be read; no new flow will pass");
                            return;
                        }
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::error!(%error, "waiting for upcalls failed; no new flow will pass");
                return;
            }
        }
    }
}

enum Woken {
    Frames,
    /// Connections have begun.
    News,
    /// News have waited long enough.
    Late,
    Stop,
}

fn wait(tap: &OwnedFd, stop: &OwnedFd, news: Option<BorrowedFd<'_>>, has_news: bool) -> io::Result<Woken> {
    let interest = |fd: i32| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // A negative descriptor is none.
    let mut fds = [tap.as_raw_fd(), stop.as_raw_fd(), news.map_or(-1, |fd| fd.as_raw_fd())].map(interest);
    let timeout = if has_news { NEWS_WAIT_MS } else { -1 };
    // SAFETY: the array has three entries and lives through the call.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), 3, timeout) };
    if ready < 0 {
        return Err(io::Error::last_os_error());
    }
    if ready == 0 {
        return Ok(Woken::Late);
    }
    if fds[1].revents != 0 {
        return Ok(Woken::Stop);
    }
    if fds[0].revents == 0 {
        return Ok(Woken::News);
    }
    if fds[0].revents & libc::POLLIN == 0 {
        // The TAP is gone: POLLERR or POLLHUP for ever.
        return Err(io::Error::from(io::ErrorKind::NotConnected));
    }
    Ok(Woken::Frames)
}

/// Handles up to [`FRAMES_PER_CLOCK`] frames; the error of the read that gave none, if one did.
fn drain<K: Kernel>(engine: &Engine<K>, tap: &OwnedFd, buffer: &mut [u8]) -> Option<io::Error> {
    let now = Now::read();
    for _ in 0..FRAMES_PER_CLOCK {
        // SAFETY: the buffer is ours and as long as we say.
        let count = unsafe { libc::read(tap.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        match usize::try_from(count) {
            Ok(count) => {
                engine.handle_upcall(&mut buffer[..count], now);
            }
            Err(_) => return Some(io::Error::last_os_error()),
        }
    }
    None
}
