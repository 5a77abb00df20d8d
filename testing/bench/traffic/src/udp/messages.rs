//! sendmmsg and recvmmsg: many datagrams in one system call.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Datagrams of one call.
pub const BATCH: usize = 64;

/// Holds what arrives while this process waits for a CPU, so that a lost packet is one that the path has lost.
pub const RECEIVE_BYTES: usize = 64 << 20;

/// Sends each buffer as one datagram; how many went.
///
/// # Errors
/// What the kernel says of the first.
pub fn send(socket: BorrowedFd<'_>, buffers: &[&[u8]]) -> io::Result<usize> {
    let mut parts: [libc::iovec; BATCH] = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
    // SAFETY: all bytes zero is a header without address, data or control.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    let count = buffers.len().min(BATCH);
    for ((buffer, part), header) in buffers.iter().zip(&mut parts).zip(&mut headers) {
        *part = libc::iovec { iov_base: buffer.as_ptr().cast_mut().cast(), iov_len: buffer.len() };
        header.msg_hdr.msg_iov = part;
        header.msg_hdr.msg_iovlen = 1;
    }
    // SAFETY: the first `count` headers each point to one part, and those to buffers that live through the call, which
    // only reads them.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count as u32, 0) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Room for received datagrams and their senders.
pub struct Received<const BYTES: usize> {
    buffers: Box<[[u8; BYTES]; BATCH]>,
    from: Box<[libc::sockaddr_in; BATCH]>,
    lengths: [usize; BATCH],
}

impl<const BYTES: usize> Received<BYTES> {
    pub fn new() -> Self {
        // SAFETY: all bytes zero is an address of no family.
        let from: [libc::sockaddr_in; BATCH] = unsafe { std::mem::zeroed() };
        Self { buffers: Box::new([[0; BYTES]; BATCH]), from: Box::new(from), lengths: [0; BATCH] }
    }

    /// Takes what has arrived without waiting; how many.
    ///
    /// # Errors
    /// `WouldBlock` where nothing has.
    pub fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let mut parts: [libc::iovec; BATCH] = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        // SAFETY: all bytes zero is a header without address, data or control.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        for index in 0..BATCH {
            parts[index] = libc::iovec { iov_base: self.buffers[index].as_mut_ptr().cast(), iov_len: BYTES };
            headers[index].msg_hdr.msg_iov = &raw mut parts[index];
            headers[index].msg_hdr.msg_iovlen = 1;
            headers[index].msg_hdr.msg_name = (&raw mut self.from[index]).cast();
            headers[index].msg_hdr.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
        }
        let (all, flags) = (headers.as_mut_ptr(), libc::MSG_DONTWAIT);
        // SAFETY: each header points to one part with room for BYTES and to an address, which all live through the call.
        let count = unsafe { libc::recvmmsg(socket.as_raw_fd(), all, BATCH as u32, flags, std::ptr::null_mut()) };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (length, header) in self.lengths.iter_mut().zip(&headers[..count]) {
            *length = (header.msg_len as usize).min(BYTES);
        }
        Ok(count)
    }

    /// One of those that [`Received::receive`] has counted.
    pub fn datagram(&self, index: usize) -> &[u8] {
        &self.buffers[index][..self.lengths[index]]
    }

    /// Sends it back to where it came from. What the kernel can't send now is lost, as datagrams are.
    pub fn echo(&self, socket: BorrowedFd<'_>, index: usize) {
        let (data, to) = (self.datagram(index), &raw const self.from[index]);
        let to_bytes = size_of::<libc::sockaddr_in>() as u32;
        // SAFETY: buffer and address live through the call, which only reads them.
        unsafe { libc::sendto(socket.as_raw_fd(), data.as_ptr().cast(), data.len(), 0, to.cast(), to_bytes) };
    }
}
