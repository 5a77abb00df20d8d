/* Letting a connection begin between peers of a known pair: core/compile/src/execute/open.rs says the same in Rust.
 *
 * Nothing is decided here: a pair says what the slow path would install for the packet, and it is installed. User space
 * learns of it by a ring. The record is reserved before the pair is looked up, so who deletes a pair and then waits for
 * all records that are reserved by then knows each connection that the pair has ever begun.
 */
#pragma once

#include "../maps.h"
#include "flow.h"
#include "helpers.h"
#include "parse.h"
#include "rewrite.h"

/* CPUs that race for a cell try again; who loses so often goes up. */
#define GP_GRANT_TRIES 4

static __always_inline int gp_may_open(const struct gp_packet *packet)
{
	if (packet->key.protocol == IPPROTO_UDP)
		return 1;
	return packet->key.protocol == IPPROTO_TCP &&
	       (packet->tcp_flags & (GP_TCP_FIN | GP_TCP_SYN | GP_TCP_RST | GP_TCP_ACK)) == GP_TCP_SYN;
}

/* Takes one from a cell, never below nothing: user space may take all at any moment. */
static __always_inline int gp_take_grant(__u32 index)
{
	__u64 *left = bpf_map_lookup_elem(&gp_grants, &index);
	__u64 old;
	int try;

	if (!left)
		return 0;
#pragma unroll
	for (try = 0; try < GP_GRANT_TRIES; try++) {
		old = *left;
		if (old == 0)
			return 0;
		if (__sync_val_compare_and_swap(left, old, old - 1) == old)
			return 1;
	}
	return 0;
}

static __always_inline void gp_give_grant(__u32 index)
{
	__u64 *left = bpf_map_lookup_elem(&gp_grants, &index);

	if (left)
		__sync_fetch_and_add(left, 1);
}

static __always_inline int gp_take_grants(const struct gp_packed_pair *pair)
{
	if (!gp_take_grant(pair->grants[0]))
		return 0;
	if (gp_take_grant(pair->grants[1]))
		return 1;
	gp_give_grant(pair->grants[0]);
	return 0;
}

/* Puts in an entry that is not there yet; 0 if it has. Out of line: it is called twice. */
static __noinline long gp_flow_insert(const struct gp_flow_key *key, const struct gp_packed_flow *flow)
{
	struct gp_flow_key4 key4;

	if (key->family != 4)
		return bpf_map_update_elem(&gp_flows6, key, flow, BPF_NOEXIST);
	gp_pack_key(&key4, key);
	return bpf_map_update_elem(&gp_flows, &key4, flow, BPF_NOEXIST);
}

static __always_inline void gp_flow_remove(const struct gp_flow_key *key)
{
	struct gp_flow_key4 key4;

	if (key->family != 4) {
		bpf_map_delete_elem(&gp_flows6, key);
		return;
	}
	gp_pack_key(&key4, key);
	bpf_map_delete_elem(&gp_flows, &key4);
}

/* Both entries or none. The answer's first: who finds the forward one need not ask for the other. */
static __always_inline int gp_insert_pair(const struct gp_packed_pair *pair, const struct gp_packet *packet, __u64 now)
{
	struct gp_flow_key answer = { .port = pair->answer_port,
				      .src_port = packet->key.dst_port,
				      .dst_port = packet->key.src_port,
				      .protocol = packet->key.protocol,
				      .family = packet->key.family };
	struct gp_packed_flow flow = pair->answer;

	__builtin_memcpy(answer.src, packet->key.dst, sizeof(answer.src));
	__builtin_memcpy(answer.dst, packet->key.src, sizeof(answer.dst));
	__builtin_memcpy(answer.src_mac, pair->answer_mac, sizeof(answer.src_mac));
	/* Not a packet, but as fresh as one: it must not be the first to be thrown out. */
	flow.last_seen_ns = now;
	if (gp_flow_insert(&answer, &flow))
		return 0;
	flow = pair->forward;
	flow.last_seen_ns = now;
	if (gp_flow_insert(&packet->key, &flow) == 0)
		return 1;
	gp_flow_remove(&answer);
	return 0;
}

static __always_inline int gp_is_of_pair(struct __sk_buff *skb, const struct gp_packed_pair *pair,
					 const struct gp_packet *packet)
{
	const struct gp_adjacency *adjacency = gp_adjacency_find(&pair->forward.adjacency);

	return packet->key.src_port >= pair->src_port_from && packet->key.src_port <= pair->src_port_to &&
	       adjacency && !gp_is_too_large(skb, adjacency, packet);
}

/* For a packet without an entry: 1 where it has one now, 0 where it is for user space. */
static __noinline int gp_open(struct __sk_buff *skb, const struct gp_packet *packet)
{
	struct gp_pair_key key = { .port = packet->key.port,
				   .dst_port = packet->key.dst_port,
				   .protocol = packet->key.protocol,
				   .family = packet->key.family };
	struct gp_packed_pair *pair;
	struct gp_opened *opened;
	__u64 now = bpf_ktime_get_coarse_ns();

	if (!gp_may_open(packet))
		return 0;
	__builtin_memcpy(key.src, packet->key.src, sizeof(key.src));
	__builtin_memcpy(key.dst, packet->key.dst, sizeof(key.dst));
	__builtin_memcpy(key.src_mac, packet->key.src_mac, sizeof(key.src_mac));
	/* Only a first look: most packets that come here are of no pair, and need no record. */
	if (!bpf_map_lookup_elem(&gp_pairs, &key))
		return 0;
	opened = bpf_ringbuf_reserve(&gp_opened, sizeof(*opened), 0);
	if (!opened)
		return 0;
	/* A full barrier: the record is to be seen as reserved before the pair is found. */
	__sync_lock_test_and_set(&opened->pair, 0);
	pair = bpf_map_lookup_elem(&gp_pairs, &key);
	if (!pair || !gp_is_of_pair(skb, pair, packet) || !gp_take_grants(pair))
		goto none;
	if (!gp_insert_pair(pair, packet, now)) {
		gp_give_grant(pair->grants[0]);
		gp_give_grant(pair->grants[1]);
		goto none;
	}
	opened->pair = pair->number;
	opened->opened_ns = now;
	opened->src_port = packet->key.src_port;
	opened->tcp_flags = packet->tcp_flags;
	__builtin_memset(opened->reserved, 0, sizeof(opened->reserved));
	bpf_ringbuf_submit(opened, 0);
	return 1;
none:
	bpf_ringbuf_discard(opened, 0);
	return 0;
}
