//! What a hit leaves behind in the entry: `lib/flow.h`.

use super::Gso;
use super::parse::Parsed;
use gp_abi::{ACTION_DELIVER, FlowValue};
use gp_wire::TcpFlags;

const ETHERNET_HEADER_BYTES: u64 = 14;

/// May this packet ask for a new connection, by the tuple of one that lets it pass? Whether that one has ended, its other
/// direction tells as well: user space looks at both.
pub(super) fn reopens(flow: &FlowValue, tcp_flags: u8) -> bool {
    TcpFlags(tcp_flags).opens() && flow.action == ACTION_DELIVER
}

/// One frame as it counts on the wire.
pub(super) struct Seen {
    pub packets: u64,
    bytes: u64,
    /// Of the IP packets that the frame is on the wire: what bandwidth is counted in.
    pub ip_bytes: u64,
    tcp_flags: u8,
    largest_frame_bytes: u64,
}

impl Seen {
    pub fn of(frame_bytes: usize, parsed: &Parsed, gso: Option<Gso>) -> Self {
        let (frame_bytes, headers) = (frame_bytes as u64, parsed.headers as u64);
        let packets = segments(frame_bytes - headers, gso);
        let bytes = frame_bytes + (packets - 1) * headers;
        Self {
            packets,
            bytes,
            ip_bytes: bytes - packets * ETHERNET_HEADER_BYTES,
            tcp_flags: parsed.tcp_flags,
            largest_frame_bytes: gso.map_or(frame_bytes, |gso| headers + u64::from(gso.size)),
        }
    }

    /// A drop, too, may stand behind a place that tells the senders of larger packets so; one that doesn't has no limit: 0.
    pub fn is_too_large(&self, flow: &FlowValue) -> bool {
        flow.mtu != 0 && self.largest_frame_bytes > u64::from(flow.mtu)
    }

    pub fn count(&self, flow: &mut FlowValue, now_ns: u64) {
        flow.packets = flow.packets.wrapping_add(self.packets);
        flow.bytes = flow.bytes.wrapping_add(self.bytes);
        flow.last_seen_ns = now_ns;
        flow.tcp_flags |= self.tcp_flags;
    }
}

fn segments(payload_bytes: u64, gso: Option<Gso>) -> u64 {
    match gso {
        None => 1,
        Some(Gso { segments, .. }) if segments > 0 => segments.into(),
        Some(Gso { size, .. }) => payload_bytes.div_ceil(u64::from(size).max(1)).max(1),
    }
}
