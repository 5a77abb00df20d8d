//! Path → flow entry: what the fast path replays.

use crate::key::{is_looked_up, key};
use bytemuck::Zeroable;
use gp_abi::{ACTION_DELIVER, ACTION_DROP, FlowKey, FlowValue};
use gp_model::{EniId, Mac};
use gp_trace::{Path, Verdict};
use gp_wire::{IpPacket, Transport};

const ETHERNET_HEADER_BYTES: u16 = 14;

/// How an ENI hangs on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostSide {
    /// Interface index of the host's end of the ENI.
    pub ifindex: u32,
    /// The ENI's own MAC address.
    pub mac: Mac,
    /// Largest IP packet that the ENI takes, in bytes.
    pub mtu: u16,
}

/// The ENIs of this host.
pub trait HostSides {
    /// `None` for an ENI that has no interface here.
    fn host_side(&self, eni: EniId) -> Option<HostSide>;
}

impl<F: Fn(EniId) -> Option<HostSide>> HostSides for F {
    fn host_side(&self, eni: EniId) -> Option<HostSide> {
        self(eni)
    }
}

/// One entry of the flow table. It can be made from a [`Path`] alone, so the fast path can let nothing pass that no
/// trace let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowEntry {
    key: FlowKey,
    value: FlowValue,
}

impl FlowEntry {
    /// `None` where the path may not be replayed (fragments, local services, ICMP errors), or where one of its ENIs has
    /// no interface on this host.
    pub fn from_path(path: &Path, host_sides: &impl HostSides) -> Option<Self> {
        if !path.is_cacheable() || !is_looked_up(&path.tuple()) {
            return None;
        }
        let sender = host_sides.host_side(path.ingress())?;
        let value = match path.verdict() {
            Verdict::Deliver { eni, src_mac, dst_mac } => {
                let receiver = host_sides.host_side(*eni)?;
                FlowValue {
                    action: ACTION_DELIVER,
                    out_ifindex: receiver.ifindex,
                    src_mac: src_mac.0,
                    dst_mac: dst_mac.0,
                    mtu: receiver.mtu.saturating_add(ETHERNET_HEADER_BYTES),
                    ..Zeroable::zeroed()
                }
            }
            Verdict::Drop(drop) => {
                FlowValue { action: ACTION_DROP, drop_reason: drop.reason.code(), ..Zeroable::zeroed() }
            }
            Verdict::LocalService(_) => return None,
        };
        // A trace that saw another source MAC than the ENI's own is not cacheable.
        Some(Self { key: key(&path.tuple(), sender.mac, sender.ifindex), value })
    }

    pub fn key(&self) -> &FlowKey {
        &self.key
    }

    pub fn value(&self) -> &FlowValue {
        &self.value
    }

    /// The same decision with what an older entry of the flow has counted.
    pub fn with_counters_of(self, older: &FlowValue) -> Self {
        let FlowValue { packets, bytes, last_seen_ns, tcp_flags, .. } = *older;
        Self { value: FlowValue { packets, bytes, last_seen_ns, tcp_flags, ..self.value }, ..self }
    }

    /// The same decision with one packet counted: the one that the slow path sends on by itself.
    pub fn with_first_packet(self, packet: &IpPacket, now_ns: u64) -> Self {
        let tcp_flags = match packet.transport {
            Transport::Tcp { flags } => flags.0,
            _ => 0,
        };
        let bytes = u64::from(packet.frame_bytes);
        Self { value: FlowValue { packets: 1, bytes, last_seen_ns: now_ns, tcp_flags, ..self.value }, ..self }
    }
}
