//! What the agent, the starter and the guest's init say to each other while an instance comes up.
//!
//! All three are the same binary at the same moment, so there are no versions: a length, then JSON. Descriptors go by `SCM_RIGHTS`.

use crate::disk::Disk;
use crate::spec::SandboxSpec;
use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Longest message, in bytes: a specification with a megabyte of user-data as JSON numbers.
const MESSAGE_MAX_BYTES: u32 = 16 << 20;

/// Most descriptors in one message.
const FDS_MAX: usize = 4;

/// Agent to starter, first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StartRequest {
    pub(crate) spec: SandboxSpec,
    pub(crate) uid_base: u32,
    pub(crate) is_first_boot: bool,
    /// Whether the shared layers come with it.
    pub(crate) has_layers: bool,
    /// Otherwise: paths below `/` that the guest must not see.
    pub(crate) hidden: Vec<PathBuf>,
}

impl StartRequest {
    pub(crate) fn new(spec: &SandboxSpec, disk: Disk, has_layers: bool, hidden: Vec<PathBuf>) -> Self {
        Self { spec: spec.clone(), uid_base: disk.uid_base, is_first_boot: disk.is_new, has_layers, hidden }
    }
}

/// Agent to starter, when the network is there; starter to init, when all is.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Go;

/// Starter to agent; init to starter (only `Ready` and `Failed`).
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Progress {
    /// The namespaces are there.
    Created { pid: i32 },
    /// Init is inside its own root and waits.
    Ready,
    /// Init has been told to go on.
    Started,
    /// It did not work: which step, and why.
    Failed(String),
}

pub(crate) fn send<T: Serialize>(mut stream: &UnixStream, message: &T) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).ok().filter(|length| *length <= MESSAGE_MAX_BYTES);
    let length = length.ok_or_else(|| io::Error::other("message too long"))?;
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(text);
    stream.write_all(&bytes)
}

pub(crate) fn receive<T: DeserializeOwned>(mut stream: &UnixStream) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_ne_bytes(length);
    if length > MESSAGE_MAX_BYTES {
        return Err(io::Error::other("message too long"));
    }
    let mut text = vec![0; length as usize];
    stream.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Sends descriptors, with one byte to carry them.
pub(crate) fn send_fds(stream: &UnixStream, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    sendmsg::<()>(
        stream.as_raw_fd(),
        &[IoSlice::new(b"f")],
        &[ControlMessage::ScmRights(&raw)],
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// Receives what [`send_fds`] sent.
pub(crate) fn receive_fds(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut byte = [0];
    let mut space = cmsg_space!([RawFd; FDS_MAX]);
    let mut slices = [IoSliceMut::new(&mut byte)];
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    if message.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut fds = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            // SAFETY: the kernel has just made these descriptors for us; nobody else owns them.
            fds.extend(raw.into_iter().map(|fd| unsafe { crate::sys::take_fd(fd) }));
        }
    }
    Ok(fds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn messages_and_descriptors_arrive_in_order() {
        let (here, there) = UnixStream::pair().unwrap();
        send(&here, &Progress::Created { pid: 7 }).unwrap();
        let null = File::open("/dev/null").unwrap();
        send_fds(&here, &[null.as_fd(), null.as_fd()]).unwrap();
        send(&here, &Progress::Failed("no".into())).unwrap();
        drop(here);
        assert_eq!(receive::<Progress>(&there).unwrap(), Progress::Created { pid: 7 });
        assert_eq!(receive_fds(&there).unwrap().len(), 2);
        assert_eq!(receive::<Progress>(&there).unwrap(), Progress::Failed("no".into()));
        assert_eq!(receive::<Progress>(&there).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(receive_fds(&there).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
