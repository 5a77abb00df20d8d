//! Structs and codes that the kernel program and user space share.
//!
//! ```text
//! this file → header::text() → dataplane/bpf/generated/abi.h → the programs of dataplane/bpf
//! ```
//!
//! The C header is generated from here and asserts every size and offset, and a test compares the checked-in file with
//! the generated text, so the two can't drift apart.
//!
//! [`FlowValue`] and [`PairValue`] are what user space works with and are not shared: the kernel's tables hold them packed
//! ([`PackedFlow`], [`Adjacency`], [`PackedPair`]), and gp-maps alone translates.
//!
//! Integers are in host order; addresses and MACs are bytes in network order. No implicit padding anywhere
//! (bytemuck's derive refuses it).

mod flat;
pub mod header;
mod shared;

pub use flat::{FlowValue, PairValue};
use shared::{CType, Shared, shared_constants, shared_structs};

shared_constants! {
    /// Grows with every change of a struct of this crate; pinned maps of another version are not adopted.
    pub const ABI_VERSION: u32 = 5;

    /// Drop every packet of the flow.
    pub const ACTION_DROP: u8 = 1;
    /// Rewrite and hand to the receiving port.
    pub const ACTION_DELIVER: u8 = 2;

    /// The receiver is behind the peer of a veth: its stack takes the frame at once.
    pub const OUTPUT_PEER: u8 = 1;
    /// The receiver is what the interface sends to: a TAP's reader, a wire.
    pub const OUTPUT_EGRESS: u8 = 2;

    /// Write both IPv4 addresses.
    pub const TRANSLATE_ADDRESSES: u8 = 1;
    /// Write both ports, or the id of an ICMP echo.
    pub const TRANSLATE_PORTS: u8 = 2;
    /// Lower the segment size that a SYN announces to what fits the flow's MTU.
    pub const TRANSLATE_MSS: u8 = 4;

    /// A port's number is its interface index, and from this bit on the 802.1Q tag of its frames (0 without).
    pub const PORT_VLAN_SHIFT: u32 = 20;

    /// The sender's end tracks the connection that the flow's first packet has opened.
    pub const OPENS_AT_SENDER: u8 = 1;
    /// The receiver's end does.
    pub const OPENS_AT_RECEIVER: u8 = 2;

    /// First word of each upcall.
    pub const UPCALL_MAGIC: u32 = 0x4750_5550;
    /// The flow table has no entry.
    pub const CAUSE_MISS: u32 = 1;
    /// ARP, IPv6 neighbour discovery, ICMP errors, fragments, extension headers, and whatever the program doesn't
    /// parse.
    pub const CAUSE_SLOW: u32 = 2;
    /// A SYN on a flow that is delivered: the connection may be a new one.
    pub const CAUSE_REOPEN: u32 = 3;
    /// Larger than the flow's frames may be: its sender is to be told, or it is to be fragmented.
    pub const CAUSE_TOO_LARGE: u32 = 4;

    /// An instance's allowance of bandwidth on one network card is this many buckets in a row.
    pub const BUCKETS_PER_ALLOWANCE: u32 = 4;
    /// What the instance sends. Even indices are for what goes out, odd ones for what comes in.
    pub const BUCKET_OUT: u32 = 0;
    /// What it receives.
    pub const BUCKET_IN: u32 = 1;
    /// Of what it sends, what goes to an internet gateway.
    pub const BUCKET_INTERNET_OUT: u32 = 2;
    /// Of what it receives, what comes from an internet gateway.
    pub const BUCKET_INTERNET_IN: u32 = 3;

    /// Entries of the per-CPU array of drop counters, indexed by drop reason.
    pub const DROP_COUNTERS: u32 = 256;

    /// The opening packet left the ENI.
    pub const OPENED_BY_EGRESS: u8 = 1;
    /// The opening packet arrived at the ENI.
    pub const OPENED_BY_INGRESS: u8 = 2;

    /// Who tracks a connection.
    pub const TRACKER_ENI: u8 = 0;
    pub const TRACKER_NAT_GATEWAY: u8 = 1;
    pub const TRACKER_EGRESS_ONLY_INTERNET_GATEWAY: u8 = 2;
}

shared_structs! {
    /// Key of a flow: one direction of one 5-tuple as it comes in at one port with one source MAC. The table of IPv6
    /// flows has it as it is, that of IPv4 flows as [`FlowKey4`].
    ///
    /// It holds all of a cacheable packet that a trace may look at, so a hit means that this very question was asked
    /// before. The MAC belongs to it since the source check judges it.
    ///
    /// IPv4 addresses are stored IPv4-mapped (RFC 4291, 2.5.5.2), so all but the tables' doors serves both families alike.
    #[derive(Hash, PartialOrd, Ord)]
    pub struct FlowKey {
        pub src: [u8; 16],
        pub dst: [u8; 16],
        /// Number of the port that the packet came in at.
        pub port: u32,
        pub src_mac: [u8; 6],
        /// For ICMP the identifier; see gp-wire's `FiveTuple`.
        pub src_port: u16,
        /// For ICMP type and code.
        pub dst_port: u16,
        pub protocol: u8,
        /// 4 or 6.
        pub family: u8,
    }

    /// Key of the table of IPv4 flows: of a [`FlowKey`] all that an IPv4 packet can differ in, from the destination's last
    /// bytes on in the same order.
    #[derive(Hash, PartialOrd, Ord)]
    pub struct FlowKey4 {
        pub src: [u8; 4],
        pub dst: [u8; 4],
        pub port: u32,
        pub src_mac: [u8; 6],
        pub src_port: u16,
        pub dst_port: u16,
        pub protocol: u8,
        /// 4.
        pub family: u8,
    }

    /// Value of both flow tables: what a flow has for itself. With the longer key's 48 bytes an entry of the kernel has
    /// 152, with the shorter one's 24 it has 128, a size class of its allocator.
    pub struct PackedFlow {
        pub packets: u64,
        pub bytes: u64,
        /// `CLOCK_MONOTONIC_COARSE`, in nanoseconds: some milliseconds behind `CLOCK_MONOTONIC`.
        pub last_seen_ns: u64,
        pub new_src: [u8; 4],
        pub new_dst: [u8; 4],
        /// Number of the [`Adjacency`] that says what becomes of the flow's packets.
        pub adjacency: u32,
        /// The id of an ICMP echo, too.
        pub new_src_port: u16,
        pub new_dst_port: u16,
        /// Indices of the buckets that the flow's packets take from, in this order; 0 for none.
        pub buckets: [u16; 2],
        /// OR of the TCP flags of every packet seen.
        pub tcp_flags: u8,
        /// OR of the `OPENS_` constants; see [`FlowValue`].
        pub opens: u8,
        pub reserved: [u8; 2],
    }

    /// What becomes of packets, as far as many flows share it: a row of an array, by the number that flows name. Half a
    /// cache line. The fields are those of [`FlowValue`].
    ///
    /// A row without an action is none: packets of a flow that names it are for user space, as those of no flow. The one
    /// at 0 is never used.
    #[derive(Hash)]
    pub struct Adjacency {
        pub out_ifindex: u32,
        pub drop_reason: u16,
        pub action: u8,
        pub output: u8,
        /// As in a frame: destination, then source.
        pub dst_mac: [u8; 6],
        pub src_mac: [u8; 6],
        pub mtu: u16,
        pub out_vlan: u16,
        pub translate: u8,
        pub reserved: [u8; 7],
    }

    /// Key of the table of pairs: all of an opening packet's [`FlowKey`] but its source port.
    #[derive(Hash, PartialOrd, Ord)]
    pub struct PairKey {
        pub src: [u8; 16],
        pub dst: [u8; 16],
        pub port: u32,
        pub src_mac: [u8; 6],
        pub dst_port: u16,
        pub protocol: u8,
        pub family: u8,
        pub reserved: [u8; 2],
    }

    /// Value of the table of pairs: what a connection's first packet puts into the flow table.
    pub struct PackedPair {
        /// Entry of the opening packet's direction, with nothing counted.
        pub forward: PackedFlow,
        /// Entry of its answers' direction.
        pub answer: PackedFlow,
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
        pub reserved: [u8; 2],
    }

    /// What the program tells user space, by a ring, of each connection that it lets begin.
    pub struct Opened {
        /// The pair's number.
        pub pair: u64,
        /// `CLOCK_MONOTONIC_COARSE`, in nanoseconds.
        pub opened_ns: u64,
        pub src_port: u16,
        /// Of the opening packet.
        pub tcp_flags: u8,
        pub reserved: [u8; 5],
    }

    /// What a port keeps in the kernel, by its number: its budget of upcalls and its counters.
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
        /// Packets from this ENI dropped because its instance had no bandwidth left to send.
        pub bandwidth_out_drops: u64,
        /// Packets to this ENI dropped because its instance had no bandwidth left to receive.
        pub bandwidth_in_drops: u64,
    }

    /// Bandwidth that an instance has left on one network card, one way: one cache line of an array that kernel and
    /// user space have mapped, so both take from the same.
    ///
    /// `baseline_rate` fills the credit, the credit fills the tokens at `peak_rate`, and packets take tokens. So no more
    /// than `burst + peak_rate * t` bytes pass in a time, and no more than `burst + credit_max + baseline_rate * t`.
    pub struct Bucket {
        /// Bytes that may pass, as an `i64`. A packet passes while there is any, so the last one leaves a debt.
        pub tokens: u64,
        /// `CLOCK_MONOTONIC`, in nanoseconds.
        pub refilled_ns: u64,
        /// Bytes.
        pub credit: u64,
        /// Bytes per second. 0: never filled again.
        pub peak_rate: u64,
        /// Most tokens.
        pub burst: u64,
        /// Bytes per second.
        pub baseline_rate: u64,
        /// Most credit.
        pub credit_max: u64,
        pub reserved: u64,
    }

    /// Key of the table of allowances: an instance and one of its network cards. User space's alone.
    #[derive(Hash, PartialOrd, Ord)]
    pub struct AllowanceKey {
        /// The bits of the instance's id, highest byte first.
        pub instance: [u8; 16],
        pub card: u32,
        pub reserved: u32,
    }

    /// Where an allowance's buckets are.
    pub struct AllowanceValue {
        /// Its buckets start at [`BUCKETS_PER_ALLOWANCE`] times this; never 0.
        pub slot: u32,
        /// 1 while the instance has no ENI on this host: it earns nothing.
        pub is_resting: u32,
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
        /// Number of the port that the packet came in at. The frame behind this header has no tag.
        pub port: u32,
        /// One of the `CAUSE_` constants.
        pub cause: u32,
        pub reserved: [u32; 5],
    }

    /// Key of the table of tracked connections. The fast path never reads that table: it is pinned, and so keeps the
    /// connections while no agent runs.
    #[derive(Hash, PartialOrd, Ord)]
    pub struct ConnectionKey {
        /// The bits of the id of the ENI or gateway that tracks it, highest byte first.
        pub tracker: [u8; 16],
        /// Addresses, ports and protocol as the opening packet had them, in the form of [`FlowKey`].
        pub src: [u8; 16],
        pub dst: [u8; 16],
        pub src_port: u16,
        pub dst_port: u16,
        pub protocol: u8,
        /// 4 or 6.
        pub family: u8,
        /// One of the `TRACKER_` constants.
        pub tracker_kind: u8,
        pub reserved: u8,
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
        /// What a NAT gateway makes of the opening packet's addresses, in the form of [`FlowKey`].
        pub translated_src: [u8; 16],
        pub translated_dst: [u8; 16],
        pub translated_src_port: u16,
        pub translated_dst_port: u16,
        pub translated_protocol: u8,
        /// 4 or 6; 0 where nothing is translated.
        pub translated_family: u8,
        pub translated_reserved: [u8; 2],
    }

    /// What is answered who asks the uplink's card for a neighbour of an IPv6 block. The table's key is the block.
    pub struct NeighborAnswer {
        pub mac: [u8; 6],
        /// 0: for this one of a larger block nothing is answered.
        pub is_answered: u8,
        pub reserved: u8,
        /// Who answers: a link-local address.
        pub source: [u8; 16],
    }
}

impl Shared for PackedFlow {
    const C: CType = CType { name: "struct gp_packed_flow", elements: None };
}
