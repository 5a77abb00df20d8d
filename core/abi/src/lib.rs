//! Structs and codes that the kernel program and user space share. The C header is generated from here, and a test
//! compares sizes and offsets, so the two can't drift apart.
//!
//! Integers are in host order; addresses and MACs are bytes in network order. No implicit padding anywhere
//! (bytemuck's derive refuses it).

use bytemuck::{Pod, Zeroable};

/// Key of the flow table: one direction of one 5-tuple as it leaves one ENI.
/// IPv4 addresses are stored IPv4-mapped (RFC 4291, 2.5.5.2), so one table and one path serve both families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Pod, Zeroable)]
#[repr(C)]
pub struct FlowKey {
    pub src: [u8; 16],
    pub dst: [u8; 16],
    /// Interface index of the ENI's host side: where the packet came in.
    pub ifindex: u32,
    /// For ICMP the identifier; see gp-wire's `FiveTuple`.
    pub src_port: u16,
    /// For ICMP type and code.
    pub dst_port: u16,
    pub protocol: u8,
    /// 4 or 6.
    pub family: u8,
    pub reserved: [u8; 2],
}

/// Value of the flow table: what to do with the packets of the flow, and what was seen of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct FlowValue {
    pub packets: u64,
    pub bytes: u64,
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub last_seen_ns: u64,
    /// Interface index of the receiving ENI's host side; unused by a drop.
    pub out_ifindex: u32,
    /// A drop reason's code; 0 where the action is not [`ACTION_DROP`].
    pub drop_reason: u16,
    /// One of the `ACTION_` constants.
    pub action: u8,
    /// OR of the TCP flags of every packet seen.
    pub tcp_flags: u8,
    pub dst_mac: [u8; 6],
    pub src_mac: [u8; 6],
    /// Largest frame, Ethernet header included, that may go out; larger ones are dropped (GSO frames are judged by
    /// their segments).
    pub mtu: u16,
    pub reserved: [u8; 2],
}

/// Drop every packet of the flow.
pub const ACTION_DROP: u8 = 1;
/// Rewrite the Ethernet addresses and hand to the receiving ENI.
pub const ACTION_DELIVER: u8 = 2;

/// What an ENI's host side keeps in the kernel: its budget of upcalls and its counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct EniState {
    /// Upcalls that may be made at once; refilled by `upcall_rate` a second up to `upcall_burst`.
    pub tokens: u64,
    pub refilled_ns: u64,
    pub upcall_rate: u64,
    pub upcall_burst: u64,
    pub upcalls: u64,
    /// Packets dropped because the budget was used up.
    pub upcall_drops: u64,
}

/// Settings of the program, in a one-entry array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Config {
    /// The TAP that upcalls are redirected to.
    pub upcall_ifindex: u32,
    pub abi_version: u32,
}

/// Grows with every change of a struct of this crate; pinned maps of another version are not adopted.
pub const ABI_VERSION: u32 = 1;

/// Put in front of each frame that goes to user space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct UpcallHeader {
    pub magic: u32,
    /// Where the packet came in.
    pub ifindex: u32,
    /// One of the `CAUSE_` constants.
    pub cause: u32,
    pub reserved: [u32; 5],
}

pub const UPCALL_MAGIC: u32 = 0x4750_5550;

/// The flow table has no entry.
pub const CAUSE_MISS: u32 = 1;
/// ARP, IPv6 neighbour discovery, fragments, extension headers, and whatever the program doesn't parse.
pub const CAUSE_SLOW: u32 = 2;
/// A SYN on a flow that has seen FIN or RST: the connection may be a new one.
pub const CAUSE_REOPEN: u32 = 3;

/// Entries of the per-CPU array of drop counters, indexed by drop reason.
pub const DROP_COUNTERS: u32 = 256;
