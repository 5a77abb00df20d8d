//! Structs and codes that the kernel program and user space share.
//!
//! ```text
//! this file → header::text() → dataplane/bpf/generated/abi.h → from_eni.bpf.c
//! ```
//!
//! The C header is generated from here and asserts every size and offset, and a test compares the checked-in file with
//! the generated text, so the two can't drift apart.
//!
//! Integers are in host order; addresses and MACs are bytes in network order. No implicit padding anywhere
//! (bytemuck's derive refuses it).

pub mod header;
mod shared;

use shared::{shared_constants, shared_structs};

shared_constants! {
    /// Grows with every change of a struct of this crate; pinned maps of another version are not adopted.
    pub const ABI_VERSION: u32 = 1;

    /// Drop every packet of the flow.
    pub const ACTION_DROP: u8 = 1;
    /// Rewrite the Ethernet addresses and hand to the receiving ENI.
    pub const ACTION_DELIVER: u8 = 2;

    /// First word of each upcall.
    pub const UPCALL_MAGIC: u32 = 0x4750_5550;
    /// The flow table has no entry.
    pub const CAUSE_MISS: u32 = 1;
    /// ARP, IPv6 neighbour discovery, ICMP errors, fragments, extension headers, and whatever the program doesn't
    /// parse.
    pub const CAUSE_SLOW: u32 = 2;
    /// A SYN on a flow that is delivered: the connection may be a new one.
    pub const CAUSE_REOPEN: u32 = 3;

    /// Entries of the per-CPU array of drop counters, indexed by drop reason.
    pub const DROP_COUNTERS: u32 = 256;

    /// The opening packet left the ENI.
    pub const OPENED_BY_EGRESS: u8 = 1;
    /// The opening packet arrived at the ENI.
    pub const OPENED_BY_INGRESS: u8 = 2;
}

shared_structs! {
    /// Key of the flow table: one direction of one 5-tuple as it leaves one ENI with one source MAC.
    ///
    /// It holds all of a cacheable packet that a trace may look at, so a hit means that this very question was asked
    /// before. The MAC belongs to it since the source check judges it.
    ///
    /// IPv4 addresses are stored IPv4-mapped (RFC 4291, 2.5.5.2), so one table and one path serve both families.
    #[derive(Hash, PartialOrd, Ord)]
    pub struct FlowKey {
        pub src: [u8; 16],
        pub dst: [u8; 16],
        /// Interface index of the ENI's host side: where the packet came in.
        pub ifindex: u32,
        pub src_mac: [u8; 6],
        /// For ICMP the identifier; see gp-wire's `FiveTuple`.
        pub src_port: u16,
        /// For ICMP type and code.
        pub dst_port: u16,
        pub protocol: u8,
        /// 4 or 6.
        pub family: u8,
    }

    /// Value of the flow table: what to do with the packets of the flow, and what was seen of them.
    ///
    /// Packets and bytes are those of the wire: a frame that the sender's kernel left whole for segmentation counts as
    /// its segments.
    pub struct FlowValue {
        pub packets: u64,
        pub bytes: u64,
        /// `CLOCK_MONOTONIC_COARSE`, in nanoseconds: some milliseconds behind `CLOCK_MONOTONIC`.
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

    /// What an ENI's host side keeps in the kernel: its budget of upcalls and its counters.
    pub struct EniState {
        /// Upcalls that may be made at once; refilled by `upcall_rate` a second up to `upcall_burst`.
        pub tokens: u64,
        pub refilled_ns: u64,
        /// At most `u32::MAX`.
        pub upcall_rate: u64,
        pub upcall_burst: u64,
        pub upcalls: u64,
        /// Packets dropped because the budget was used up.
        pub upcall_drops: u64,
    }

    /// Settings of the program, in a one-entry array.
    pub struct Config {
        /// The TAP that upcalls are redirected to.
        pub upcall_ifindex: u32,
        pub abi_version: u32,
    }

    /// Put in front of each frame that goes to user space.
    pub struct UpcallHeader {
        pub magic: u32,
        /// Where the packet came in.
        pub ifindex: u32,
        /// One of the `CAUSE_` constants.
        pub cause: u32,
        pub reserved: [u32; 5],
    }

    /// Key of the table of tracked connections. The fast path never reads that table: it is pinned, and so keeps the
    /// connections while no agent runs.
    #[derive(Hash, PartialOrd, Ord)]
    pub struct ConnectionKey {
        /// The bits of the ENI's id, highest byte first.
        pub eni: [u8; 16],
        /// Addresses, ports and protocol as the opening packet had them, in the form of [`FlowKey`].
        pub src: [u8; 16],
        pub dst: [u8; 16],
        pub src_port: u16,
        pub dst_port: u16,
        pub protocol: u8,
        /// 4 or 6.
        pub family: u8,
        pub reserved: [u8; 2],
    }

    /// What is known of a tracked connection.
    pub struct ConnectionValue {
        /// `CLOCK_MONOTONIC`, in nanoseconds.
        pub created_ns: u64,
        pub last_seen_ns: u64,
        /// One of the `OPENED_BY_` constants.
        pub opened_by: u8,
        /// OR of the TCP flags seen in the opener's direction.
        pub opener_tcp_flags: u8,
        /// OR of the TCP flags seen in the other direction.
        pub answer_tcp_flags: u8,
        /// Packets seen in the opener's direction; 255 stands for more.
        pub opener_packets: u8,
        /// Packets seen in the other direction; 255 stands for more.
        pub answer_packets: u8,
        pub reserved: [u8; 3],
    }
}
