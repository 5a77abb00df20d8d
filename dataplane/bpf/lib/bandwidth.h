/* Policing by what the instances' types allow: core/compile/src/execute/bandwidth.rs says the same in Rust.
 *
 * Two buckets in a row, of which packets meet the second one only: the baseline fills the credit, the credit fills the
 * tokens at peak rate. So a hit costs one atomic addition for each end, and all else happens when the clock ticks.
 */
#pragma once

#include <linux/if_ether.h>

#include "../maps.h"
#include "flow.h"
#include "helpers.h"
#include "parse.h"
#include "stats.h"

#define GP_NS_PER_US 1000ull
#define GP_US_PER_SECOND 1000000ull

static __always_inline __u64 gp_min(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

/* Bytes that a rate per second gives. With rates of some terabits nothing wraps within years. */
static __always_inline __u64 gp_earned(__u64 us, __u64 rate)
{
	return us / GP_US_PER_SECOND * rate + us % GP_US_PER_SECOND * rate / GP_US_PER_SECOND;
}

/* Adds what the time since the last refill has earned. Of CPUs that race only one adds it; one that is held up for
 * longer than a tick in here may lose a tick's credit.
 */
static __noinline void gp_earn(struct gp_bucket *bucket, __u64 now)
{
	__u64 then = bucket->refilled_ns;
	__u64 us = (now - then) / GP_NS_PER_US;
	__u64 credit, grant, room, tokens;

	if (bucket->peak_rate == 0)
		return;
	if (__sync_val_compare_and_swap(&bucket->refilled_ns, then, then + us * GP_NS_PER_US) != then)
		return;
	tokens = bucket->tokens;
	room = (__s64)tokens < (__s64)bucket->burst ? bucket->burst - tokens : 0;
	credit = bucket->credit + gp_earned(us, bucket->baseline_rate);
	grant = gp_min(gp_min(room, gp_earned(us, bucket->peak_rate)), credit);
	bucket->credit = gp_min(credit - grant, bucket->credit_max);
	__sync_fetch_and_add(&bucket->tokens, grant);
}

/* Takes the bytes, into a debt if need be: then how large a packet may be doesn't hang on the size of the bucket. */
static __always_inline int gp_take(struct gp_bucket *bucket, __u64 bytes, __u64 now)
{
	if ((__s64)(now - bucket->refilled_ns) >= (__s64)GP_NS_PER_US)
		gp_earn(bucket, now);
	if ((__s64)bucket->tokens <= 0)
		return 0;
	__sync_fetch_and_add(&bucket->tokens, -bytes);
	return 1;
}

/* Bandwidth is counted in the bytes of IP packets, as they are on the wire. */
static __always_inline __u64 gp_ip_bytes(struct __sk_buff *skb, const struct gp_packet *packet, __u32 segments)
{
	return skb->len - ETH_HLEN + (__u64)(segments - 1) * (packet->headers - ETH_HLEN);
}

/* Drops a packet that found the bucket at this index empty, on account of the ENI whose instance has it. */
static __noinline int gp_exceeded(const struct gp_adjacency *adjacency, const struct gp_packet *packet,
				  __u32 index, __u32 segments)
{
	int is_in = index & 1;
	__u32 receiver = adjacency->out_ifindex | (__u32)adjacency->out_vlan << GP_PORT_VLAN_SHIFT;
	__u32 port = is_in ? receiver : packet->key.port;
	struct gp_eni_state *eni = bpf_map_lookup_elem(&gp_enis, &port);

	if (eni && is_in)
		__sync_fetch_and_add(&eni->bandwidth_in_drops, segments);
	else if (eni)
		__sync_fetch_and_add(&eni->bandwidth_out_drops, segments);
	return gp_drop(is_in ? GP_DROP_BANDWIDTH_IN_ALLOWANCE : GP_DROP_BANDWIDTH_OUT_ALLOWANCE);
}

/* The index of the bucket that has nothing left, or 0. A packet that the second one stops has taken from the first, as
 * what arrives at a busy receiver was sent.
 */
static __always_inline __u32 gp_police(const struct gp_packed_flow *flow, __u64 bytes, __u64 now)
{
	struct gp_bucket *bucket;
	__u32 index;

	index = flow->buckets[0];
	bucket = index ? bpf_map_lookup_elem(&gp_buckets, &index) : 0;
	if (bucket && !gp_take(bucket, bytes, now))
		return index;
	index = flow->buckets[1];
	bucket = index ? bpf_map_lookup_elem(&gp_buckets, &index) : 0;
	if (bucket && !gp_take(bucket, bytes, now))
		return index;
	return 0;
}
