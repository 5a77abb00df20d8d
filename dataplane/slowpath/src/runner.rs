//! The thread that takes upcalls from the TAP, and hears of connections that the fast path has let begin.
//!
//! One thread, since the engine has one lock. It sleeps until a frame comes, then reads until there is none, so a burst
//! costs one wake-up. The TAP has many queues, and an ENI's upcalls wait in one of them; the queues that have frames take
//! turns. So an ENI that asks more than can be answered fills its own queue and makes others wait for a few frames only.
//!
//! News of connections wait for others to come with them, unless an upcall comes first: then they cost one wake-up in
//! [`NEWS_WAIT_MS`] at most, and not one each.

use crate::clock::Now;
use crate::engine::Engine;
use crate::kernel::Kernel;
use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::{Errno, read, write};
use rustix::process::setpriority_process;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;

/// The largest frame that a TAP delivers, with the upcall's header in front.
const BUFFER_BYTES: usize = 65_536 + 32;

/// Frames of one queue that are handled before it is another's turn: some tenths of a millisecond.
const FRAMES_PER_TURN: usize = 4;

/// Queues that are told of at once.
const TURNS: usize = 64;

/// How long news of a connection may wait, in milliseconds.
const NEWS_WAIT_MS: i64 = 1;

/// Packets wait for this thread, so it goes before others that want the same CPU, nearly always: beside a flood and a sweep of
/// the flow table it is kept waiting a third as long as at 0. Not by a real-time policy, which leaves the others nothing.
const NICENESS: i32 = -10;

/// What is waited for, besides the queues, which have their numbers.
const STOP: u64 = u64::MAX;
const NEWS: u64 = u64::MAX - 1;

/// Told of once, until it is asked for again: what is known to be there needs no further wake-up.
const NEWS_ONCE: epoll::EventFlags = epoll::EventFlags::IN.union(epoll::EventFlags::ONESHOT);

#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    #[error("cannot wait for upcalls")]
    Wait(#[source] io::Error),
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
    /// Starts to take upcalls from the queues of a TAP, which must not block.
    ///
    /// # Errors
    /// No descriptor or thread is to be had.
    pub fn start<K: Kernel + 'static>(engine: Arc<Engine<K>>, queues: Vec<OwnedFd>) -> Result<Self, RunnerError> {
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(waiting)?);
        let reader = Reader::new(engine, queues, &stop).map_err(waiting)?;
        let thread = std::thread::Builder::new()
            .name("gp-upcalls".into())
            .spawn(move || reader.run())
            .map_err(RunnerError::Thread)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for UpcallRunner {
    fn drop(&mut self) {
        // It can't be full: nobody else writes to it.
        let _ = write(&self.stop, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has ended too, which is all that is wanted here.
            let _ = thread.join();
        }
    }
}

fn waiting(errno: Errno) -> RunnerError {
    RunnerError::Wait(errno.into())
}

struct Reader<K: Kernel> {
    engine: Arc<Engine<K>>,
    queues: Vec<OwnedFd>,
    epoll: OwnedFd,
    /// Kept open as long as it is waited for.
    _stop: Arc<OwnedFd>,
}

impl<K: Kernel> Reader<K> {
    fn new(engine: Arc<Engine<K>>, queues: Vec<OwnedFd>, stop: &Arc<OwnedFd>) -> Result<Self, Errno> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, stop, epoll::EventData::new_u64(STOP), epoll::EventFlags::IN)?;
        for (number, queue) in (0..).zip(&queues) {
            epoll::add(&epoll, queue, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        }
        let reader = Self { engine, queues, epoll, _stop: Arc::clone(stop) };
        if let Some(fd) = reader.engine.kernel.opened_fd() {
            epoll::add(&reader.epoll, fd, epoll::EventData::new_u64(NEWS), NEWS_ONCE)?;
        }
        Ok(reader)
    }

    fn run(self) {
        // No process: of Linux's threads each has a niceness of its own.
        if let Err(error) = setpriority_process(None, NICENESS) {
            tracing::debug!(%error, "the upcall thread has no precedence over other processes");
        }
        match self.take_turns() {
            Ok(()) => {}
            Err(error) => tracing::error!(%error, "the upcall TAP can't be read; no new flow will pass"),
        }
    }

    /// Until it is told to stop.
    fn take_turns(&self) -> Result<(), Errno> {
        let mut buffer = vec![0u8; BUFFER_BYTES];
        let mut events = Vec::with_capacity(TURNS);
        let mut has_news = false;
        loop {
            events.clear();
            let wait = Timespec { tv_sec: 0, tv_nsec: NEWS_WAIT_MS * 1_000_000 };
            match epoll::wait(&self.epoll, spare_capacity(&mut events), has_news.then_some(&wait)) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            if events.is_empty() {
                self.engine.catch_up(Now::read());
                self.wait_for_news()?;
                has_news = false;
            }
            for event in &events {
                match event.data.u64() {
                    STOP => return Ok(()),
                    NEWS => has_news = true,
                    number => self.drain(number, &mut buffer)?,
                }
            }
        }
    }

    fn wait_for_news(&self) -> Result<(), Errno> {
        let Some(fd) = self.engine.kernel.opened_fd() else { return Ok(()) };
        epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(NEWS), NEWS_ONCE)
    }

    /// Handles some frames of a queue.
    fn drain(&self, number: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        let Some(queue) = usize::try_from(number).ok().and_then(|number| self.queues.get(number)) else {
            return Ok(());
        };
        let now = Now::read();
        for _ in 0..FRAMES_PER_TURN {
            match read(queue, &mut *buffer) {
                Ok(count) => {
                    self.engine.handle_upcall(&mut buffer[..count], now);
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
