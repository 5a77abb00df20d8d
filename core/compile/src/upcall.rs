//! What stands in front of each frame that the fast path hands to user space.

use gp_abi::{CAUSE_MISS, CAUSE_REOPEN, CAUSE_SLOW, CAUSE_TOO_LARGE, UPCALL_MAGIC, UpcallHeader};

/// Why the fast path hands a frame up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The flow table has no entry.
    Miss,
    /// The fast path doesn't parse it: ARP, neighbour discovery, ICMP errors, fragments, extension
    /// headers, whatever is malformed.
    Slow,
    /// A SYN on a flow that is delivered: the connection may be a new one.
    Reopen,
    /// Larger than the flow's frames may be.
    TooLarge,
}

impl Cause {
    pub fn code(self) -> u32 {
        match self {
            Cause::Miss => CAUSE_MISS,
            Cause::Slow => CAUSE_SLOW,
            Cause::Reopen => CAUSE_REOPEN,
            Cause::TooLarge => CAUSE_TOO_LARGE,
        }
    }

    fn from_code(code: u32) -> Option<Self> {
        [Cause::Miss, Cause::Slow, Cause::Reopen, Cause::TooLarge].into_iter().find(|cause| cause.code() == code)
    }
}

/// Where a frame came in, and why it is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upcall {
    /// Number of the port.
    pub port: u32,
    pub cause: Cause,
}

impl Upcall {
    /// Parts what the upcall TAP delivered: the header's meaning, and the frame as its guest sent it, but for a tag. `None` for
    /// whatever the fast path did not send, such as frames of the host's own stack.
    pub fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, frame) = bytes.split_at_checked(size_of::<UpcallHeader>())?;
        let header: UpcallHeader = bytemuck::pod_read_unaligned(header);
        let cause = Cause::from_code(header.cause).filter(|_| header.magic == UPCALL_MAGIC)?;
        Some((Self { port: header.port, cause }, frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(header: UpcallHeader) -> Vec<u8> {
        bytemuck::bytes_of(&header).iter().copied().chain([1, 2, 3]).collect()
    }

    #[test]
    fn an_upcall_parts_into_header_and_frame() {
        let header = UpcallHeader { magic: UPCALL_MAGIC, port: 7, cause: CAUSE_REOPEN, reserved: [0; 5] };
        let bytes = bytes_of(header);
        assert_eq!(Upcall::split(&bytes), Some((Upcall { port: 7, cause: Cause::Reopen }, &[1, 2, 3][..])));
    }

    #[test]
    fn other_bytes_are_no_upcall() {
        let header = UpcallHeader { magic: UPCALL_MAGIC, port: 7, cause: CAUSE_MISS, reserved: [0; 5] };
        assert_eq!(Upcall::split(&bytes_of(UpcallHeader { magic: 1, ..header })), None);
        assert_eq!(Upcall::split(&bytes_of(UpcallHeader { cause: 99, ..header })), None);
        assert_eq!(Upcall::split(&bytes_of(header)[..31]), None);
        assert_eq!(Upcall::split(&[]), None);
    }
}
