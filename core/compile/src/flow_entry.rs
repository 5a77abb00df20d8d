//! Path → flow entry: what the fast path replays.

use crate::key::{is_looked_up, key};
use bytemuck::Zeroable;
use gp_abi::{
    ACTION_DELIVER, ACTION_DROP, BUCKET_IN, BUCKET_INTERNET_IN, BUCKET_INTERNET_OUT, BUCKET_OUT, BUCKETS_PER_ALLOWANCE,
    FlowKey, FlowValue, OUTPUT_EGRESS, OUTPUT_PEER, PORT_VLAN_SHIFT, TRANSLATE_ADDRESSES, TRANSLATE_MSS,
    TRANSLATE_PORTS,
};
use gp_model::{EniId, Mac};
use gp_trace::{Ingress, Path, Tracker, Verdict};
use gp_wire::{IpPacket, Transport, icmp};
use std::net::IpAddr;

const ETHERNET_HEADER_BYTES: u16 = 14;
/// Of the headers of IPv4 and TCP, without options.
const IPV4_TCP_BYTES: u16 = 40;

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
    /// Slot of its instance's allowance of bandwidth; 0 for none.
    pub allowance: u32,
}

/// How the outside is reached from this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UplinkSide {
    /// Its MAC address is that of the peer, where everything to the outside goes and everything from there comes from.
    pub side: HostSide,
    /// The MAC address of our own end.
    pub own_mac: Mac,
}

/// The ENIs of this host, and its uplink.
pub trait HostSides {
    /// `None` for an ENI that has no interface here.
    fn host_side(&self, eni: EniId) -> Option<HostSide>;

    /// The uplink of the region that is asked about; `None` where it has none here.
    fn uplink(&self) -> Option<UplinkSide> {
        None
    }
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
        let tuple = path.tuple();
        let sender = match path.ingress() {
            Ingress::Eni(eni) => host_sides.host_side(eni)?,
            Ingress::Uplink => host_sides.uplink()?.side,
        };
        let value = match path.verdict() {
            Verdict::Deliver { eni, src_mac, dst_mac } => {
                deliver(path, &sender, &host_sides.host_side(*eni)?, [*src_mac, *dst_mac])?
            }
            Verdict::Uplink => {
                let UplinkSide { side, own_mac } = host_sides.uplink()?;
                deliver(path, &sender, &side, [own_mac, side.mac])?
            }
            Verdict::Drop(drop) => {
                // A larger packet would have died before this one, at the place with this MTU, and its sender be told.
                let mtu = path.mtu().map_or(0, |mtu| mtu.saturating_add(ETHERNET_HEADER_BYTES));
                FlowValue { action: ACTION_DROP, drop_reason: drop.reason.code(), mtu, ..Zeroable::zeroed() }
            }
            Verdict::LocalService(_) => return None,
        };
        // A trace that saw another source MAC than the ENI's own is not cacheable.
        Some(Self { key: key(&tuple, sender.mac, port_number(sender.ifindex, sender.vlan)?), value })
    }

    pub fn key(&self) -> &FlowKey {
        &self.key
    }

    pub fn value(&self) -> &FlowValue {
        &self.value
    }

    /// The same decision with what an older entry of the flow has counted, and standing for the same connections if it can.
    pub fn with_counters_of(self, older: &FlowValue) -> Self {
        let FlowValue { packets, bytes, last_seen_ns, tcp_flags, .. } = *older;
        let opens = if self.can_stand_for(older) { older.opens } else { 0 };
        Self { value: FlowValue { packets, bytes, last_seen_ns, tcp_flags, opens, ..self.value }, ..self }
    }

    /// Can this entry stand for the connections that an older one of the flow stands for? Where it delivers tells whose
    /// they are.
    pub fn can_stand_for(&self, older: &FlowValue) -> bool {
        self.value.action == older.action && out_port(&self.value) == out_port(older)
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

/// `None` where the fast path can't do what the path says.
fn deliver(path: &Path, from: &HostSide, to: &HostSide, [src_mac, dst_mac]: [Mac; 2]) -> Option<FlowValue> {
    let mtu = path.mtu().map_or(to.mtu, |mtu| mtu.min(to.mtu));
    let mut value = FlowValue {
        action: ACTION_DELIVER,
        out_ifindex: to.ifindex,
        out_vlan: to.vlan,
        output: to.output.code(),
        src_mac: src_mac.0,
        dst_mac: dst_mac.0,
        mtu: mtu.saturating_add(ETHERNET_HEADER_BYTES),
        buckets: buckets_of(path, from, to),
        ..Zeroable::zeroed()
    };
    translate(path, &mut value)?;
    if let Some(mss) = mss(path, to.mtu) {
        // The program knows the MTU alone.
        if mss != mtu.saturating_sub(IPV4_TCP_BYTES) {
            return None;
        }
        value.translate |= TRANSLATE_MSS;
    }
    Some(value)
}

/// The largest segment that a SYN of this path may announce, where one is set: it fits the receiving port, too.
pub fn mss(path: &Path, port_mtu: u16) -> Option<u16> {
    path.mss().map(|mss| mss.min(port_mtu.saturating_sub(IPV4_TCP_BYTES)))
}

/// The buckets that a path's packets take from: the sender's, then the receiver's. To and from an internet gateway an
/// instance has a further one; behind a NAT gateway it is not the instance that talks to the internet.
pub fn buckets_of(path: &Path, from: &HostSide, to: &HostSide) -> [u32; 2] {
    let index = |side: &HostSide, bucket| match side.allowance {
        0 => 0,
        allowance => allowance * BUCKETS_PER_ALLOWANCE + bucket,
    };
    let is_translated = path.passes().iter().any(|pass| matches!(pass.tracker, Tracker::NatGateway(_)));
    match (path.ingress(), path.verdict()) {
        (Ingress::Eni(_), Verdict::Uplink) if !is_translated => {
            [index(from, BUCKET_OUT), index(from, BUCKET_INTERNET_OUT)]
        }
        (Ingress::Uplink, _) if !is_translated => [index(to, BUCKET_INTERNET_IN), index(to, BUCKET_IN)],
        _ => [index(from, BUCKET_OUT), index(to, BUCKET_IN)],
    }
}

fn translate(path: &Path, value: &mut FlowValue) -> Option<()> {
    let (from, to) = (path.tuple(), path.translated());
    if from == to {
        return Some(());
    }
    // A change of the family or of an ICMP message's kind is more than an exchange of fields.
    let (IpAddr::V4(_), IpAddr::V4(src), IpAddr::V4(dst)) = (from.src, to.src, to.dst) else { return None };
    let is_echo = matches!(from.icmp_type(), Some(icmp::ECHO_REQUEST | icmp::ECHO_REPLY));
    let other_icmp = from.is_icmp() && (from.dst_port != to.dst_port || (from.src_port != to.src_port && !is_echo));
    if from.protocol != to.protocol || other_icmp {
        return None;
    }
    if (from.src, from.dst) != (to.src, to.dst) {
        value.translate |= TRANSLATE_ADDRESSES;
    }
    if (from.src_port, from.dst_port) != (to.src_port, to.dst_port) {
        value.translate |= TRANSLATE_PORTS;
    }
    (value.new_src, value.new_dst) = (src.octets(), dst.octets());
    (value.new_src_port, value.new_dst_port) = (to.src_port, to.dst_port);
    Some(())
}
