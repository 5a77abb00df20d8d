//! Flows and pairs as user space works with them: every field in its place, nothing shared with other flows.

use bytemuck::Zeroable;

/// What to do with the packets of a flow, and what was seen of them.
///
/// Packets and bytes are those of the wire: a frame that the sender's kernel left whole for segmentation counts as its
/// segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Zeroable)]
pub struct FlowValue {
    pub packets: u64,
    pub bytes: u64,
    /// `CLOCK_MONOTONIC_COARSE`, in nanoseconds: some milliseconds behind `CLOCK_MONOTONIC`.
    pub last_seen_ns: u64,
    /// Interface index of the receiver's host side; unused by a drop.
    pub out_ifindex: u32,
    /// A drop reason's code; 0 where the action is not [`ACTION_DROP`](crate::ACTION_DROP).
    pub drop_reason: u16,
    /// One of the `ACTION_` constants.
    pub action: u8,
    /// OR of the TCP flags of every packet seen.
    pub tcp_flags: u8,
    pub dst_mac: [u8; 6],
    pub src_mac: [u8; 6],
    /// Largest frame, Ethernet header included but no tag, that may go out; larger ones go up (GSO frames are judged by
    /// their segments).
    pub mtu: u16,
    /// 802.1Q tag to put on; 0 for none.
    pub out_vlan: u16,
    /// One of the `OUTPUT_` constants; unused by a drop.
    pub output: u8,
    /// OR of the `TRANSLATE_` constants.
    pub translate: u8,
    /// The id of an ICMP echo, too.
    pub new_src_port: u16,
    pub new_dst_port: u16,
    /// Of an entry that the program has made from a pair, for the packet that opened the connection: OR of the `OPENS_`
    /// constants. 0 of all others.
    pub opens: u8,
    pub new_src: [u8; 4],
    pub new_dst: [u8; 4],
    /// Indices of the buckets that the flow's packets take from, in this order; 0 for none.
    pub buckets: [u32; 2],
}

/// What a connection's first packet puts into the flow table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Zeroable)]
pub struct PairValue {
    /// Entry of the opening packet's direction, with nothing counted.
    pub forward: FlowValue,
    /// Entry of its answers' direction.
    pub answer: FlowValue,
    /// By which user space knows the pair; never used again for another.
    pub number: u64,
    /// Number of the port that answers come in at.
    pub answer_port: u32,
    /// Indices of the cells that each connection is taken from: the sender's port's and the receiver's.
    pub grants: [u32; 2],
    /// The first and the last source port that this holds for.
    pub src_port_from: u16,
    pub src_port_to: u16,
    /// Source MAC address of answers.
    pub answer_mac: [u8; 6],
}
