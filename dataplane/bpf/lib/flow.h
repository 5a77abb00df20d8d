/* The flow table: finding an entry, what it says, and what a hit leaves behind in it. */
#pragma once

#include "../maps.h"
#include "parse.h"

#define GP_TCP_FIN 0x01
#define GP_TCP_SYN 0x02
#define GP_TCP_RST 0x04
#define GP_TCP_ACK 0x10

_Static_assert(sizeof(struct gp_flow_key) - __builtin_offsetof(struct gp_flow_key, dst) - 12 ==
		       sizeof(struct gp_flow_key4) - __builtin_offsetof(struct gp_flow_key4, dst),
	       "from the destination's last bytes on both keys are alike");

/* `key`: an IPv4 packet's. */
static __always_inline void gp_pack_key(struct gp_flow_key4 *to, const struct gp_flow_key *key)
{
	__builtin_memcpy(to->src, key->src + 12, sizeof(to->src));
	__builtin_memcpy((void *)to + __builtin_offsetof(struct gp_flow_key4, dst),
			 (const void *)key + __builtin_offsetof(struct gp_flow_key, dst) + 12,
			 sizeof(*to) - __builtin_offsetof(struct gp_flow_key4, dst));
}

static __always_inline struct gp_packed_flow *gp_flow_find(const struct gp_flow_key *key)
{
	struct gp_flow_key4 key4;

	if (key->family != 4)
		return bpf_map_lookup_elem(&gp_flows6, key);
	gp_pack_key(&key4, key);
	return bpf_map_lookup_elem(&gp_flows, &key4);
}

/* What becomes of packets by the entry that names this number; 0 where it names none. */
static __always_inline const struct gp_adjacency *gp_adjacency_find(const __u32 *number)
{
	const struct gp_adjacency *adjacency = bpf_map_lookup_elem(&gp_adjacencies, number);

	return adjacency && adjacency->action ? adjacency : 0;
}

/* May this packet ask for a new connection, by the tuple of one that lets it pass? Whether that one has ended, its
 * other direction tells as well: user space looks at both.
 */
static __always_inline int gp_flow_reopens(const struct gp_adjacency *adjacency, const struct gp_packet *packet)
{
	return (packet->tcp_flags & (GP_TCP_SYN | GP_TCP_ACK | GP_TCP_RST)) == GP_TCP_SYN &&
	       adjacency->action == GP_ACTION_DELIVER;
}

/* Packets that the frame is on the wire. */
static __always_inline __u32 gp_segments(struct __sk_buff *skb, const struct gp_packet *packet)
{
	__u32 payload = skb->len - packet->headers;

	if (skb->gso_size == 0)
		return 1;
	if (skb->gso_segs)
		return skb->gso_segs;
	/* A guest's raw socket may leave the count to the kernel. */
	return payload > skb->gso_size ? (payload + skb->gso_size - 1) / skb->gso_size : 1;
}

/* The counters are atomic: two queues of one guest may send packets of one flow. The flags are not: the race can lose
 * a flag only while two CPUs each add a first one, and then the connection lives until its idle timeout.
 */
static __always_inline void gp_flow_count(struct __sk_buff *skb, struct gp_packed_flow *flow,
					  const struct gp_packet *packet, __u32 segments, __u64 now)
{
	__sync_fetch_and_add(&flow->packets, segments);
	__sync_fetch_and_add(&flow->bytes, skb->len + (__u64)(segments - 1) * packet->headers);
	flow->last_seen_ns = now;
	if ((flow->tcp_flags | packet->tcp_flags) != flow->tcp_flags)
		flow->tcp_flags |= packet->tcp_flags;
}
