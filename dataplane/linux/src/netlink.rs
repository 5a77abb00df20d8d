//! One blocking rtnetlink conversation at a time, in the namespace where the socket was opened.
//!
//! Blocking on purpose: the kernel answers a routing request within the send call, so there is nothing to wait for and no runtime to run.
//! The messages themselves are rtnetlink's.

use crate::error::{Context, LinuxError};
use crate::netns::NetNs;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::io;
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
        let socket = (|| {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            Ok::<_, io::Error>(socket)
        })()
        .context(|| "open a netlink socket".into())?;
        Ok(Self { state: Mutex::new(State { socket, sequence: 0 }) })
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
        let mut request = NetlinkMessage::from(message);
        request.header.flags = mode.flags();
        request.header.sequence_number = sequence;
        request.finalize();
        let mut buffer = vec![0; request.buffer_len()];
        request.serialize(&mut buffer);
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

/// Reads the messages of one datagram; true when the answer is complete.
fn read_datagram(
    datagram: &[u8],
    sequence: u32,
    objects: &mut Vec<RouteNetlinkMessage>,
    what: &impl Fn() -> String,
) -> Result<bool, LinuxError> {
    let mut rest = datagram;
    while !rest.is_empty() {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
            .map_err(|error| LinuxError::Netlink { what: what(), detail: error.to_string() })?;
        // Messages are padded to four bytes.
        let length = (message.header.length as usize).next_multiple_of(4).clamp(4, rest.len().max(4));
        rest = rest.get(length..).unwrap_or_default();
        if message.header.sequence_number != sequence {
            continue;
        }
        match message.payload {
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) if error.raw_code() == 0 => return Ok(true),
            NetlinkPayload::Error(error) => {
                let source = io::Error::from_raw_os_error(error.raw_code().saturating_abs());
                return Err(LinuxError::Os { what: what(), source });
            }
            NetlinkPayload::InnerMessage(object) => objects.push(object),
            _ => {}
        }
    }
    Ok(false)
}
