/* Generated from core/abi; a test of gp-compile compares, and rewrites it with UPDATE=1. */
#pragma once

#include <linux/types.h>

#define GP_ABI_VERSION 5u
#define GP_ACTION_DROP 1u
#define GP_ACTION_DELIVER 2u
#define GP_OUTPUT_PEER 1u
#define GP_OUTPUT_EGRESS 2u
#define GP_TRANSLATE_ADDRESSES 1u
#define GP_TRANSLATE_PORTS 2u
#define GP_TRANSLATE_MSS 4u
#define GP_PORT_VLAN_SHIFT 20u
#define GP_OPENS_AT_SENDER 1u
#define GP_OPENS_AT_RECEIVER 2u
#define GP_UPCALL_MAGIC 1196447056u
#define GP_CAUSE_MISS 1u
#define GP_CAUSE_SLOW 2u
#define GP_CAUSE_REOPEN 3u
#define GP_CAUSE_TOO_LARGE 4u
#define GP_BUCKETS_PER_ALLOWANCE 4u
#define GP_BUCKET_OUT 0u
#define GP_BUCKET_IN 1u
#define GP_BUCKET_INTERNET_OUT 2u
#define GP_BUCKET_INTERNET_IN 3u
#define GP_DROP_COUNTERS 256u
#define GP_OPENED_BY_EGRESS 1u
#define GP_OPENED_BY_INGRESS 2u
#define GP_TRACKER_ENI 0u
#define GP_TRACKER_NAT_GATEWAY 1u
#define GP_TRACKER_EGRESS_ONLY_INTERNET_GATEWAY 2u

struct gp_flow_key {
	__u8 src[16];
	__u8 dst[16];
	__u32 port;
	__u8 src_mac[6];
	__u16 src_port;
	__u16 dst_port;
	__u8 protocol;
	__u8 family;
};
_Static_assert(sizeof(struct gp_flow_key) == 48, "size of struct gp_flow_key");
_Static_assert(__builtin_offsetof(struct gp_flow_key, src) == 0, "offset of struct gp_flow_key.src");
_Static_assert(__builtin_offsetof(struct gp_flow_key, dst) == 16, "offset of struct gp_flow_key.dst");
_Static_assert(__builtin_offsetof(struct gp_flow_key, port) == 32, "offset of struct gp_flow_key.port");
_Static_assert(__builtin_offsetof(struct gp_flow_key, src_mac) == 36, "offset of struct gp_flow_key.src_mac");
_Static_assert(__builtin_offsetof(struct gp_flow_key, src_port) == 42, "offset of struct gp_flow_key.src_port");
_Static_assert(__builtin_offsetof(struct gp_flow_key, dst_port) == 44, "offset of struct gp_flow_key.dst_port");
_Static_assert(__builtin_offsetof(struct gp_flow_key, protocol) == 46, "offset of struct gp_flow_key.protocol");
_Static_assert(__builtin_offsetof(struct gp_flow_key, family) == 47, "offset of struct gp_flow_key.family");

struct gp_flow_key4 {
	__u8 src[4];
	__u8 dst[4];
	__u32 port;
	__u8 src_mac[6];
	__u16 src_port;
	__u16 dst_port;
	__u8 protocol;
	__u8 family;
};
_Static_assert(sizeof(struct gp_flow_key4) == 24, "size of struct gp_flow_key4");
_Static_assert(__builtin_offsetof(struct gp_flow_key4, src) == 0, "offset of struct gp_flow_key4.src");
_Static_assert(__builtin_offsetof(struct gp_flow_key4, dst) == 4, "offset of struct gp_flow_key4.dst");
_Static_assert(__builtin_offsetof(struct gp_flow_key4, port) == 8, "offset of struct gp_flow_key4.port");
_Static_assert(__builtin_offsetof(struct gp_flow_key4, src_mac) == 12, "offset of struct gp_flow_key4.src_mac");
_Static_assert(__builtin_offsetof(struct gp_flow_key4, src_port) == 18, "offset of struct gp_flow_key4.src_port");
_Static_assert(__builtin_offsetof(struct gp_flow_key4, dst_port) == 20, "offset of struct gp_flow_key4.dst_port");
_Static_assert(__builtin_offsetof(struct gp_flow_key4, protocol) == 22, "offset of struct gp_flow_key4.protocol");
_Static_assert(__builtin_offsetof(struct gp_flow_key4, family) == 23, "offset of struct gp_flow_key4.family");

struct gp_packed_flow {
	__u64 packets;
	__u64 bytes;
	__u64 last_seen_ns;
	__u8 new_src[4];
	__u8 new_dst[4];
	__u32 adjacency;
	__u16 new_src_port;
	__u16 new_dst_port;
	__u16 buckets[2];
	__u8 tcp_flags;
	__u8 opens;
	__u8 reserved[2];
};
_Static_assert(sizeof(struct gp_packed_flow) == 48, "size of struct gp_packed_flow");
_Static_assert(__builtin_offsetof(struct gp_packed_flow, packets) == 0, "offset of struct gp_packed_flow.packets");
_Static_assert(__builtin_offsetof(struct gp_packed_flow, bytes) == 8, "offset of struct gp_packed_flow.bytes");
_Static_assert(__builtin_offsetof(struct gp_packed_flow, last_seen_ns) == 16, "offset of struct gp_packed_flow.last_seen_ns");
_Static_assert(__builtin_offsetof(struct gp_packed_flow, new_src) == 24, "offset of struct gp_packed_flow.new_src");
_Static_assert(__builtin_offsetof(struct gp_packed_flow, new_dst) == 28, "offset of struct gp_packed_flow.new_dst");
_Static_assert(__builtin_offsetof(struct gp_packed_flow, adjacency) == 32, "offset of struct gp_packed_flow.adjacency");
_Static_assert(__builtin_offsetof(struct gp_packed_flow, new_src_port) == 36, "offset of struct gp_packed_flow.new_src_port");
_Static_assert(__builtin_offsetof(struct gp_packed_flow, new_dst_port) == 38, "offset of struct gp_packed_flow.new_dst_port");
_Static_assert(__builtin_offsetof(struct gp_packed_flow, buckets) == 40, "offset of struct gp_packed_flow.buckets");
_Static_assert(__builtin_offsetof(struct gp_packed_flow, tcp_flags) == 44, "offset of struct gp_packed_flow.tcp_flags");
_Static_assert(__builtin_offsetof(struct gp_packed_flow, opens) == 45, "offset of struct gp_packed_flow.opens");
_Static_assert(__builtin_offsetof(struct gp_packed_flow, reserved) == 46, "offset of struct gp_packed_flow.reserved");

struct gp_adjacency {
	__u32 out_ifindex;
	__u16 drop_reason;
	__u8 action;
	__u8 output;
	__u8 dst_mac[6];
	__u8 src_mac[6];
	__u16 mtu;
	__u16 out_vlan;
	__u8 translate;
	__u8 reserved[7];
};
_Static_assert(sizeof(struct gp_adjacency) == 32, "size of struct gp_adjacency");
_Static_assert(__builtin_offsetof(struct gp_adjacency, out_ifindex) == 0, "offset of struct gp_adjacency.out_ifindex");
_Static_assert(__builtin_offsetof(struct gp_adjacency, drop_reason) == 4, "offset of struct gp_adjacency.drop_reason");
_Static_assert(__builtin_offsetof(struct gp_adjacency, action) == 6, "offset of struct gp_adjacency.action");
_Static_assert(__builtin_offsetof(struct gp_adjacency, output) == 7, "offset of struct gp_adjacency.output");
_Static_assert(__builtin_offsetof(struct gp_adjacency, dst_mac) == 8, "offset of struct gp_adjacency.dst_mac");
_Static_assert(__builtin_offsetof(struct gp_adjacency, src_mac) == 14, "offset of struct gp_adjacency.src_mac");
_Static_assert(__builtin_offsetof(struct gp_adjacency, mtu) == 20, "offset of struct gp_adjacency.mtu");
_Static_assert(__builtin_offsetof(struct gp_adjacency, out_vlan) == 22, "offset of struct gp_adjacency.out_vlan");
_Static_assert(__builtin_offsetof(struct gp_adjacency, translate) == 24, "offset of struct gp_adjacency.translate");
_Static_assert(__builtin_offsetof(struct gp_adjacency, reserved) == 25, "offset of struct gp_adjacency.reserved");

struct gp_pair_key {
	__u8 src[16];
	__u8 dst[16];
	__u32 port;
	__u8 src_mac[6];
	__u16 dst_port;
	__u8 protocol;
	__u8 family;
	__u8 reserved[2];
};
_Static_assert(sizeof(struct gp_pair_key) == 48, "size of struct gp_pair_key");
_Static_assert(__builtin_offsetof(struct gp_pair_key, src) == 0, "offset of struct gp_pair_key.src");
_Static_assert(__builtin_offsetof(struct gp_pair_key, dst) == 16, "offset of struct gp_pair_key.dst");
_Static_assert(__builtin_offsetof(struct gp_pair_key, port) == 32, "offset of struct gp_pair_key.port");
_Static_assert(__builtin_offsetof(struct gp_pair_key, src_mac) == 36, "offset of struct gp_pair_key.src_mac");
_Static_assert(__builtin_offsetof(struct gp_pair_key, dst_port) == 42, "offset of struct gp_pair_key.dst_port");
_Static_assert(__builtin_offsetof(struct gp_pair_key, protocol) == 44, "offset of struct gp_pair_key.protocol");
_Static_assert(__builtin_offsetof(struct gp_pair_key, family) == 45, "offset of struct gp_pair_key.family");
_Static_assert(__builtin_offsetof(struct gp_pair_key, reserved) == 46, "offset of struct gp_pair_key.reserved");

struct gp_packed_pair {
	struct gp_packed_flow forward;
	struct gp_packed_flow answer;
	__u64 number;
	__u32 answer_port;
	__u32 grants[2];
	__u16 src_port_from;
	__u16 src_port_to;
	__u8 answer_mac[6];
	__u8 reserved[2];
};
_Static_assert(sizeof(struct gp_packed_pair) == 128, "size of struct gp_packed_pair");
_Static_assert(__builtin_offsetof(struct gp_packed_pair, forward) == 0, "offset of struct gp_packed_pair.forward");
_Static_assert(__builtin_offsetof(struct gp_packed_pair, answer) == 48, "offset of struct gp_packed_pair.answer");
_Static_assert(__builtin_offsetof(struct gp_packed_pair, number) == 96, "offset of struct gp_packed_pair.number");
_Static_assert(__builtin_offsetof(struct gp_packed_pair, answer_port) == 104, "offset of struct gp_packed_pair.answer_port");
_Static_assert(__builtin_offsetof(struct gp_packed_pair, grants) == 108, "offset of struct gp_packed_pair.grants");
_Static_assert(__builtin_offsetof(struct gp_packed_pair, src_port_from) == 116, "offset of struct gp_packed_pair.src_port_from");
_Static_assert(__builtin_offsetof(struct gp_packed_pair, src_port_to) == 118, "offset of struct gp_packed_pair.src_port_to");
_Static_assert(__builtin_offsetof(struct gp_packed_pair, answer_mac) == 120, "offset of struct gp_packed_pair.answer_mac");
_Static_assert(__builtin_offsetof(struct gp_packed_pair, reserved) == 126, "offset of struct gp_packed_pair.reserved");

struct gp_opened {
	__u64 pair;
	__u64 opened_ns;
	__u16 src_port;
	__u8 tcp_flags;
	__u8 reserved[5];
};
_Static_assert(sizeof(struct gp_opened) == 24, "size of struct gp_opened");
_Static_assert(__builtin_offsetof(struct gp_opened, pair) == 0, "offset of struct gp_opened.pair");
_Static_assert(__builtin_offsetof(struct gp_opened, opened_ns) == 8, "offset of struct gp_opened.opened_ns");
_Static_assert(__builtin_offsetof(struct gp_opened, src_port) == 16, "offset of struct gp_opened.src_port");
_Static_assert(__builtin_offsetof(struct gp_opened, tcp_flags) == 18, "offset of struct gp_opened.tcp_flags");
_Static_assert(__builtin_offsetof(struct gp_opened, reserved) == 19, "offset of struct gp_opened.reserved");

struct gp_eni_state {
	__u64 tokens;
	__u64 refilled_ns;
	__u64 upcall_rate;
	__u64 upcall_burst;
	__u64 upcalls;
	__u64 upcall_drops;
	__u64 bandwidth_out_drops;
	__u64 bandwidth_in_drops;
};
_Static_assert(sizeof(struct gp_eni_state) == 64, "size of struct gp_eni_state");
_Static_assert(__builtin_offsetof(struct gp_eni_state, tokens) == 0, "offset of struct gp_eni_state.tokens");
_Static_assert(__builtin_offsetof(struct gp_eni_state, refilled_ns) == 8, "offset of struct gp_eni_state.refilled_ns");
_Static_assert(__builtin_offsetof(struct gp_eni_state, upcall_rate) == 16, "offset of struct gp_eni_state.upcall_rate");
_Static_assert(__builtin_offsetof(struct gp_eni_state, upcall_burst) == 24, "offset of struct gp_eni_state.upcall_burst");
_Static_assert(__builtin_offsetof(struct gp_eni_state, upcalls) == 32, "offset of struct gp_eni_state.upcalls");
_Static_assert(__builtin_offsetof(struct gp_eni_state, upcall_drops) == 40, "offset of struct gp_eni_state.upcall_drops");
_Static_assert(__builtin_offsetof(struct gp_eni_state, bandwidth_out_drops) == 48, "offset of struct gp_eni_state.bandwidth_out_drops");
_Static_assert(__builtin_offsetof(struct gp_eni_state, bandwidth_in_drops) == 56, "offset of struct gp_eni_state.bandwidth_in_drops");

struct gp_bucket {
	__u64 tokens;
	__u64 refilled_ns;
	__u64 credit;
	__u64 peak_rate;
	__u64 burst;
	__u64 baseline_rate;
	__u64 credit_max;
	__u64 reserved;
};
_Static_assert(sizeof(struct gp_bucket) == 64, "size of struct gp_bucket");
_Static_assert(__builtin_offsetof(struct gp_bucket, tokens) == 0, "offset of struct gp_bucket.tokens");
_Static_assert(__builtin_offsetof(struct gp_bucket, refilled_ns) == 8, "offset of struct gp_bucket.refilled_ns");
_Static_assert(__builtin_offsetof(struct gp_bucket, credit) == 16, "offset of struct gp_bucket.credit");
_Static_assert(__builtin_offsetof(struct gp_bucket, peak_rate) == 24, "offset of struct gp_bucket.peak_rate");
_Static_assert(__builtin_offsetof(struct gp_bucket, burst) == 32, "offset of struct gp_bucket.burst");
_Static_assert(__builtin_offsetof(struct gp_bucket, baseline_rate) == 40, "offset of struct gp_bucket.baseline_rate");
_Static_assert(__builtin_offsetof(struct gp_bucket, credit_max) == 48, "offset of struct gp_bucket.credit_max");
_Static_assert(__builtin_offsetof(struct gp_bucket, reserved) == 56, "offset of struct gp_bucket.reserved");

struct gp_allowance_key {
	__u8 instance[16];
	__u32 card;
	__u32 reserved;
};
_Static_assert(sizeof(struct gp_allowance_key) == 24, "size of struct gp_allowance_key");
_Static_assert(__builtin_offsetof(struct gp_allowance_key, instance) == 0, "offset of struct gp_allowance_key.instance");
_Static_assert(__builtin_offsetof(struct gp_allowance_key, card) == 16, "offset of struct gp_allowance_key.card");
_Static_assert(__builtin_offsetof(struct gp_allowance_key, reserved) == 20, "offset of struct gp_allowance_key.reserved");

struct gp_allowance_value {
	__u32 slot;
	__u32 is_resting;
};
_Static_assert(sizeof(struct gp_allowance_value) == 8, "size of struct gp_allowance_value");
_Static_assert(__builtin_offsetof(struct gp_allowance_value, slot) == 0, "offset of struct gp_allowance_value.slot");
_Static_assert(__builtin_offsetof(struct gp_allowance_value, is_resting) == 4, "offset of struct gp_allowance_value.is_resting");

struct gp_config {
	__u32 upcall_ifindex;
	__u32 abi_version;
};
_Static_assert(sizeof(struct gp_config) == 8, "size of struct gp_config");
_Static_assert(__builtin_offsetof(struct gp_config, upcall_ifindex) == 0, "offset of struct gp_config.upcall_ifindex");
_Static_assert(__builtin_offsetof(struct gp_config, abi_version) == 4, "offset of struct gp_config.abi_version");

struct gp_upcall_header {
	__u32 magic;
	__u32 port;
	__u32 cause;
	__u32 reserved[5];
};
_Static_assert(sizeof(struct gp_upcall_header) == 32, "size of struct gp_upcall_header");
_Static_assert(__builtin_offsetof(struct gp_upcall_header, magic) == 0, "offset of struct gp_upcall_header.magic");
_Static_assert(__builtin_offsetof(struct gp_upcall_header, port) == 4, "offset of struct gp_upcall_header.port");
_Static_assert(__builtin_offsetof(struct gp_upcall_header, cause) == 8, "offset of struct gp_upcall_header.cause");
_Static_assert(__builtin_offsetof(struct gp_upcall_header, reserved) == 12, "offset of struct gp_upcall_header.reserved");

struct gp_connection_key {
	__u8 tracker[16];
	__u8 src[16];
	__u8 dst[16];
	__u16 src_port;
	__u16 dst_port;
	__u8 protocol;
	__u8 family;
	__u8 tracker_kind;
	__u8 reserved;
};
_Static_assert(sizeof(struct gp_connection_key) == 56, "size of struct gp_connection_key");
_Static_assert(__builtin_offsetof(struct gp_connection_key, tracker) == 0, "offset of struct gp_connection_key.tracker");
_Static_assert(__builtin_offsetof(struct gp_connection_key, src) == 16, "offset of struct gp_connection_key.src");
_Static_assert(__builtin_offsetof(struct gp_connection_key, dst) == 32, "offset of struct gp_connection_key.dst");
_Static_assert(__builtin_offsetof(struct gp_connection_key, src_port) == 48, "offset of struct gp_connection_key.src_port");
_Static_assert(__builtin_offsetof(struct gp_connection_key, dst_port) == 50, "offset of struct gp_connection_key.dst_port");
_Static_assert(__builtin_offsetof(struct gp_connection_key, protocol) == 52, "offset of struct gp_connection_key.protocol");
_Static_assert(__builtin_offsetof(struct gp_connection_key, family) == 53, "offset of struct gp_connection_key.family");
_Static_assert(__builtin_offsetof(struct gp_connection_key, tracker_kind) == 54, "offset of struct gp_connection_key.tracker_kind");
_Static_assert(__builtin_offsetof(struct gp_connection_key, reserved) == 55, "offset of struct gp_connection_key.reserved");

struct gp_connection_value {
	__u64 created_ns;
	__u64 last_seen_ns;
	__u8 opened_by;
	__u8 opener_tcp_flags;
	__u8 answer_tcp_flags;
	__u8 opener_packets;
	__u8 answer_packets;
	__u8 reserved[3];
	__u8 translated_src[16];
	__u8 translated_dst[16];
	__u16 translated_src_port;
	__u16 translated_dst_port;
	__u8 translated_protocol;
	__u8 translated_family;
	__u8 translated_reserved[2];
};
_Static_assert(sizeof(struct gp_connection_value) == 64, "size of struct gp_connection_value");
_Static_assert(__builtin_offsetof(struct gp_connection_value, created_ns) == 0, "offset of struct gp_connection_value.created_ns");
_Static_assert(__builtin_offsetof(struct gp_connection_value, last_seen_ns) == 8, "offset of struct gp_connection_value.last_seen_ns");
_Static_assert(__builtin_offsetof(struct gp_connection_value, opened_by) == 16, "offset of struct gp_connection_value.opened_by");
_Static_assert(__builtin_offsetof(struct gp_connection_value, opener_tcp_flags) == 17, "offset of struct gp_connection_value.opener_tcp_flags");
_Static_assert(__builtin_offsetof(struct gp_connection_value, answer_tcp_flags) == 18, "offset of struct gp_connection_value.answer_tcp_flags");
_Static_assert(__builtin_offsetof(struct gp_connection_value, opener_packets) == 19, "offset of struct gp_connection_value.opener_packets");
_Static_assert(__builtin_offsetof(struct gp_connection_value, answer_packets) == 20, "offset of struct gp_connection_value.answer_packets");
_Static_assert(__builtin_offsetof(struct gp_connection_value, reserved) == 21, "offset of struct gp_connection_value.reserved");
_Static_assert(__builtin_offsetof(struct gp_connection_value, translated_src) == 24, "offset of struct gp_connection_value.translated_src");
_Static_assert(__builtin_offsetof(struct gp_connection_value, translated_dst) == 40, "offset of struct gp_connection_value.translated_dst");
_Static_assert(__builtin_offsetof(struct gp_connection_value, translated_src_port) == 56, "offset of struct gp_connection_value.translated_src_port");
_Static_assert(__builtin_offsetof(struct gp_connection_value, translated_dst_port) == 58, "offset of struct gp_connection_value.translated_dst_port");
_Static_assert(__builtin_offsetof(struct gp_connection_value, translated_protocol) == 60, "offset of struct gp_connection_value.translated_protocol");
_Static_assert(__builtin_offsetof(struct gp_connection_value, translated_family) == 61, "offset of struct gp_connection_value.translated_family");
_Static_assert(__builtin_offsetof(struct gp_connection_value, translated_reserved) == 62, "offset of struct gp_connection_value.translated_reserved");

struct gp_neighbor_answer {
	__u8 mac[6];
	__u8 is_answered;
	__u8 reserved;
	__u8 source[16];
};
_Static_assert(sizeof(struct gp_neighbor_answer) == 24, "size of struct gp_neighbor_answer");
_Static_assert(__builtin_offsetof(struct gp_neighbor_answer, mac) == 0, "offset of struct gp_neighbor_answer.mac");
_Static_assert(__builtin_offsetof(struct gp_neighbor_answer, is_answered) == 6, "offset of struct gp_neighbor_answer.is_answered");
_Static_assert(__builtin_offsetof(struct gp_neighbor_answer, reserved) == 7, "offset of struct gp_neighbor_answer.reserved");
_Static_assert(__builtin_offsetof(struct gp_neighbor_answer, source) == 8, "offset of struct gp_neighbor_answer.source");
