//! One blocking rtnetlink conversation at a time, in the namespace where the socket was opened.
//!
//! Blocking on purpose: the kernel answers a routing request within the send call, so there is nothing to wait for and no runtime to run.
//! The messages themselves are rtnetlink's.

use crate::error::{Context, LinuxError};
use crate::netns::NetNs;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};

/// What to do when the object is there already, or not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Make it; `EEXIST` if it is there.
    Create,
    /// Make it or change it.
    Replace,
    /// Change or remove what is there.
    Existing,
    /// Read one.
    Get,
    /// Read all.
    Dump,
}

impl Mode {
    fn flags(self) -> u16 {
        NLM_F_REQUEST
            | match self {
                Self::Create => NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
                Self::Replace => NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
                Self::Existing | Self::Get => NLM_F_ACK,
                Self::Dump => NLM_F_DUMP,
            }
    }
}

/// One of several requests that go to the kernel together.
#[derive(Debug)]
pub(crate) struct Step {
    pub message: RouteNetlinkMessage,
    pub mode: Mode,
    pub what: String,
    /// Answers that are as good as done.
    pub forgiven: &'static [i32],
}

/// Requests that are sent together: their answers must find room in the socket.
const STEPS_MAX: usize = 64;

/// A route netlink socket of one namespace.
#[derive(Debug)]
pub(crate) struct Netlink {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// Opens a socket inside `netns`.
    pub(crate) fn open(netns: &NetNs) -> Result<Self, LinuxError> {
        netns.run(Self::open_here)?
    }

    /// Opens a socket in the namespace of the calling thread.
    pub(crate) fn open_here() -> Result<Self, LinuxError> {
        let socket = open_socket(0).context(|| "open a netlink socket".into())?;
        Ok(Self { state: Mutex::new(State { socket, sequence: 0 }) })
    }

    /// Sends requests that answer with success or failure only, and waits for all of them. The kernel works them off in
    /// order, and goes on after one that fails.
    ///
    /// # Errors
    /// The first failure.
    pub(crate) fn batch(&self, steps: &[Step]) -> Result<(), LinuxError> {
        steps.chunks(STEPS_MAX).try_for_each(|chunk| self.send_together(chunk))
    }

    fn send_together(&self, steps: &[Step]) -> Result<(), LinuxError> {
        let what = || steps.iter().map(|step| step.what.as_str()).collect::<Vec<_>>().join(", ");
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let first = state.sequence.wrapping_add(1);
        state.sequence = state.sequence.wrapping_add(steps.len() as u32);
        let mut datagram = Vec::new();
        for (sequence, step) in (0..).map(|i| first.wrapping_add(i)).zip(steps) {
            let message = serialize(step.message.clone(), step.mode, sequence);
            datagram.extend_from_slice(&message);
            datagram.resize(datagram.len().next_multiple_of(4), 0);
        }
        state.socket.send(&datagram, 0).context(what)?;
        let mut answers: Vec<Option<i32>> = vec![None; steps.len()];
        while answers.iter().any(Option::is_none) {
            let (datagram, _) = state.socket.recv_from_full().context(what)?;
            each_message(&datagram, &what, |message| {
                let index = message.header.sequence_number.wrapping_sub(first) as usize;
                if let (Some(answer), NetlinkPayload::Error(error)) = (answers.get_mut(index), message.payload) {
                    *answer = Some(error.raw_code().saturating_abs());
                }
            })?;
        }
        let mut failures =
            answers.iter().flatten().zip(steps).filter(|(code, step)| **code != 0 && !step.forgiven.contains(code));
        failures.next().map_or(Ok(()), |(code, step)| {
            Err(LinuxError::Os { what: step.what.clone(), source: io::Error::from_raw_os_error(*code) })
        })
    }

    /// Sends one request and returns the objects it answers with.
    pub(crate) fn request(
        &self,
        message: RouteNetlinkMessage,
        mode: Mode,
        what: impl Fn() -> String,
    ) -> Result<Vec<RouteNetlinkMessage>, LinuxError> {
        // A panic between send and receive would leave answers of an old sequence number behind; those are skipped below.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sequence = state.sequence.wrapping_add(1);
        let sequence = state.sequence;
        let buffer = serialize(message, mode, sequence);
        state.socket.send(&buffer, 0).context(&what)?;
        let mut objects = Vec::new();
        loop {
            let (datagram, _) = state.socket.recv_from_full().context(&what)?;
            if read_datagram(&datagram, sequence, &mut objects, &what)? {
                return Ok(objects);
            }
        }
    }
}

/// What the kernel tells everybody about the links of one namespace.
#[derive(Debug)]
pub(crate) struct Notices {
    socket: Socket,
}

impl Notices {
    /// Listens from now on, in the namespace of the calling thread.
    pub(crate) fn of_links_here() -> Result<Self, LinuxError> {
        let socket =
            open_socket(libc::RTMGRP_LINK as u32).context(|| "listen to what the kernel tells of links".into())?;
        Ok(Self { socket })
    }

    /// The links that have been removed, by index. Blocks until there is anything to read.
    ///
    /// # Errors
    /// `ENOBUFS` where something went unheard.
    pub(crate) fn removed_links(&self) -> Result<Vec<u32>, LinuxError> {
        let what = || "hear of a link".to_owned();
        let (datagram, _) = self.socket.recv_from_full().context(what)?;
        let mut removed = Vec::new();
        each_message(&datagram, &what, |message| match message.payload {
            // A bridge tells of its ports in a family of its own.
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link))
                if link.header.interface_family == AddressFamily::Unspec =>
            {
                removed.push(link.header.index);
            }
            _ => {}
        })?;
        Ok(removed)
    }
}

impl AsFd for Notices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn open_socket(groups: u32) -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind(&SocketAddr::new(0, groups))?;
    if groups == 0 {
        socket.connect(&SocketAddr::new(0, 0))?;
    }
    Ok(socket)
}

fn serialize(message: RouteNetlinkMessage, mode: Mode, sequence: u32) -> Vec<u8> {
    let mut request = NetlinkMessage::from(message);
    request.header.flags = mode.flags();
    request.header.sequence_number = sequence;
    request.finalize();
    let mut buffer = vec![0; request.buffer_len()];
    request.serialize(&mut buffer);
    buffer
}

/// Hands out the messages of one datagram.
fn each_message(
    datagram: &[u8],
    what: &impl Fn() -> String,
    mut see: impl FnMut(NetlinkMessage<RouteNetlinkMessage>),
) -> Result<(), LinuxError> {
    let mut rest = datagram;
    while !rest.is_empty() {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
            .map_err(|error| LinuxError::Netlink { what: what(), detail: error.to_string() })?;
        // Messages are padded to four bytes.
        let length = (message.header.length as usize).next_multiple_of(4).clamp(4, rest.len().max(4));
        rest = rest.get(length..).unwrap_or_default();
        see(message);
    }
    Ok(())
}

/// Reads the messages of one datagram; true when the answer is complete.
fn read_datagram(
    datagram: &[u8],
    sequence: u32,
    objects: &mut Vec<RouteNetlinkMessage>,
    what: &impl Fn() -> String,
) -> Result<bool, LinuxError> {
    let mut end = None;
    each_message(datagram, what, |message| {
        if message.header.sequence_number != sequence || end.is_some() {
            return;
        }
        match message.payload {
            NetlinkPayload::Done(_) => end = Some(0),
            NetlinkPayload::Error(error) => end = Some(error.raw_code().saturating_abs()),
            NetlinkPayload::InnerMessage(object) => objects.push(object),
            _ => {}
        }
    })?;
    match end {
        None => Ok(false),
        Some(0) => Ok(true),
        Some(code) => Err(LinuxError::Os { what: what(), source: io::Error::from_raw_os_error(code) }),
    }
}
