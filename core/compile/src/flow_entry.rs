//! Path → flow entry: what the fast path replays.

use crate::key::{is_looked_up, key};
use bytemuck::Zeroable;
use gp_abi::{ACTION_DELIVER, ACTION_DROP, FlowKey, FlowValue, OUTPUT_EGRESS, OUTPUT_PEER, PORT_VLAN_SHIFT};
use gp_model::{EniId, Mac};
use gp_trace::{Path, Verdict};
use gp_wire::{IpPacket, Transport};

const ETHERNET_HEADER_BYTES: u16 = 14;

/// How frames get from a host side to the guest behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The guest has the other end of a veth.
    Peer,
    /// What the interface sends is what the guest gets: a TAP, a physical link.
    Egress,
}

impl Output {
    fn code(self) -> u8 {
        match self {
            Output::Peer => OUTPUT_PEER,
            Output::Egress => OUTPUT_EGRESS,
        }
    }
}

/// The number by which kernel and user space name a port: interface and 802.1Q tag, 0 for none. `None` where either is
/// too large; the kernel counts interfaces of a namespace from 1 on.
pub fn port_number(ifindex: u32, vlan: u16) -> Option<u32> {
    let fits = ifindex < 1 << PORT_VLAN_SHIFT && vlan < 1 << (u32::BITS - PORT_VLAN_SHIFT);
    fits.then_some(ifindex | u32::from(vlan) << PORT_VLAN_SHIFT)
}

/// The number of the port that an entry sends to.
pub fn out_port(flow: &FlowValue) -> u32 {
    flow.out_ifindex | u32::from(flow.out_vlan) << PORT_VLAN_SHIFT
}

/// How an ENI hangs on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostSide {
    /// Interface index of the host's end of the ENI.
    pub ifindex: u32,
    /// 802.1Q tag of a branch ENI's frames on its trunk; 0 for any other ENI.
    pub vlan: u16,
    pub output: Output,
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
        let sender = host_sides.host_side(path.ingress().eni()?)?;
        let value = match path.verdict() {
            Verdict::Deliver { eni, src_mac, dst_mac } => {
                let receiver = host_sides.host_side(*eni)?;
                FlowValue {
                    action: ACTION_DELIVER,
                    out_ifindex: receiver.ifindex,
                    out_vlan: receiver.vlan,
                    output: receiver.output.code(),
                    src_mac: src_mac.0,
                    dst_mac: dst_mac.0,
                    mtu: receiver.mtu.saturating_add(ETHERNET_HEADER_BYTES),
                    ..Zeroable::zeroed()
                }
            }
            Verdict::Drop(drop) => {
                FlowValue { action: ACTION_DROP, drop_reason: drop.reason.code(), ..Zeroable::zeroed() }
            }
            Verdict::Uplink | Verdict::LocalService(_) => return None,
        };
        // A trace that saw another source MAC than the ENI's own is not cacheable.
        Some(Self { key: key(&path.tuple(), sender.mac, port_number(sender.ifindex, sender.vlan)?), value })
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
